"""Scores of many pairs: files are read ahead by threads, pairs go through the model in batches.

Neither the batch nor its neighbours nor the number of threads changes a value, and a pair that
cannot be scored takes none with it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import cast

from jaxtyping import Float
from torch import Tensor

from pamt_metric import audio, interrupts
from pamt_metric.batch import sources
from pamt_metric.batch.pairs import Pair
from pamt_metric.batch.result import Result, failed, scored
from pamt_metric.comparison import Comparison
from pamt_metric.errors import InputError
from pamt_metric.metric import Align, Level, Metric
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE

MAX_BATCH_S = 120.0
"""Seconds of padded sound a side of a batch holds; a longer pair goes alone. Bounds the memory."""
# What a damaged file or a full memory raises from below; anything else is a mistake of ours.
_ROW_ERRORS = (InputError, RuntimeError, MemoryError, OSError)


@dataclass(frozen=True)
class Sounds:
    """A pair that was read."""

    reference: Float[Tensor, "_channel _time"]
    test: Float[Tensor, "_channel _time"]

    @property
    def seconds(self) -> float:
        """Duration of the longer of the two."""
        return max(self.reference.shape[-1], self.test.shape[-1]) / SAMPLE_RATE


Loaded = Sounds | Result
"""A pair that was read, or the result that says why it was not."""


def score(
    pairs: Sequence[Pair],
    metric: Metric,
    *,
    level: Level = "match",
    align: Align = "auto",
    batch_size: int = 8,
    workers: int = 2,
    max_duration: float | None = None,
) -> Iterator[list[Result]]:
    """Results of the pairs in their order, a batch at a time.

    Batches begin at the multiples of `batch_size`: a list that is scored piece by piece goes
    through the same batches.

    Args:
        pairs: what to score.
        metric: the model, on its device.
        level: as for `Metric.distance`.
        align: as for `Metric.distance`.
        batch_size: most pairs that go through the model at once.
        workers: threads that read files ahead of the model.
        max_duration: as for `audio.load`; a pair with a longer file fails, before it is decoded.
    """
    read = partial(load, max_duration=max_duration)
    with ThreadPoolExecutor(workers) as pool:
        for batch in _batches(_read_ahead(pool, read, pairs, batch_size + workers), batch_size):
            interrupts.raise_missed()
            yield _score_batch(batch, metric, level, align)


def _read_ahead(
    pool: ThreadPoolExecutor, read: Callable[[Pair], Loaded], pairs: Sequence[Pair], n_ahead: int
) -> Iterator[Loaded]:
    pending: deque[Future[Loaded]] = deque()
    try:
        for pair in pairs:
            pending.append(pool.submit(read, pair))
            if len(pending) > n_ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def load(pair: Pair, *, max_duration: float | None = None) -> Loaded:
    """Read the two files of a pair and cut them to its part."""
    if pair.problem is not None:
        return failed(pair.problem)
    sounds = []
    for side, location in (("reference", pair.reference), ("test", pair.test)):
        try:
            source = sources.fetch(location)
            clip = audio.load(source, target_rate=SAMPLE_RATE, max_duration=max_duration)
            sounds.append(_cut(clip.waveform[0], pair.start, pair.end))
        except _ROW_ERRORS as error:
            return failed(f"{side}: {_described(error)}")
    return Sounds(*sounds)


def _cut(
    waveform: Float[Tensor, "channel time"], start: float, end: float | None
) -> Float[Tensor, "channel kept"]:
    """The part from `start` to `end` seconds.

    Raises:
        InputError: the clip ends before, or too little is left.
    """
    length = waveform.shape[-1]
    first = round(start * SAMPLE_RATE)
    last = length if end is None else round(end * SAMPLE_RATE)
    if first >= length or last > length:
        name, at = ("end", end) if last > length else ("start", start)
        raise InputError(f"{name} is {at:g} s, the clip ends at {length / SAMPLE_RATE:g} s")
    kept = waveform[:, first:last]
    audio.check(kept, sample_rate=SAMPLE_RATE)
    return kept


def _batches(loaded: Iterable[Loaded], batch_size: int) -> Iterator[list[Loaded]]:
    batch: list[Loaded] = []
    longest = 0.0
    for index, item in enumerate(loaded):
        longest = max(longest, item.seconds if isinstance(item, Sounds) else 0.0)
        if batch and (index % batch_size == 0 or longest * (len(batch) + 1) > MAX_BATCH_S):
            yield batch
            batch = []
            longest = item.seconds if isinstance(item, Sounds) else 0.0
        batch.append(item)
    if batch:
        yield batch


def _score_batch(batch: list[Loaded], metric: Metric, level: Level, align: Align) -> list[Result]:
    sounds = [item for item in batch if isinstance(item, Sounds)]
    results = iter(_compare(sounds, metric, level, align) if sounds else ())
    return [item if isinstance(item, Result) else next(results) for item in batch]


def _compare(batch: list[Sounds], metric: Metric, level: Level, align: Align) -> list[Result]:
    """Results of one batch; where it cannot go through whole, each pair goes alone."""
    references, tests = [item.reference for item in batch], [item.test for item in batch]
    try:
        found = metric.compare(references, tests, sample_rate=SAMPLE_RATE, level=level, align=align)
    except _ROW_ERRORS as error:
        interrupts.raise_missed()
        if len(batch) == 1:
            return [failed(_described(error))]
        return [result for item in batch for result in _compare([item], metric, level, align)]
    return [scored(comparison) for comparison in cast("list[Comparison]", found)]


def _described(error: BaseException) -> str:
    kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
    return f"{kind}{error}"
