"""Windows of corpora that are too large to be cached: folders of audio files, and shards.

Which recording a slot of a batch gets at a step, and which part of it, depends on the seed, the
slot and the step alone, so a run that resumes sees what it would have seen. An epoch takes every
recording of a folder once; of shards, every slot goes through all of them in an order of its own,
so that a process that makes few slots of a batch reads few shards at a time.
"""

import logging
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path

import numpy as np

from pamt_metric.errors import InputError
from training.data import public_corpora, shards
from training.data.public_corpora import Recording
from training.pretrain_config import StreamConfig

SAMPLE_RATE = shards.SAMPLE_RATE
SHARDS = "shards"
"""Kind of a corpus that was written as shards."""

_ORDER, _PART, _CHOICE, _ASIDE = range(4)  # streams of random numbers
_N_TRIES = 50

Part = Callable[[int, float], np.ndarray]
"""Reads so many samples of a recording, at a position from 0 to 1."""

_log = logging.getLogger(__name__)


class Stream(ABC):
    """Recordings of one corpus by slot and step, defective ones passed over."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.skipped: dict[str, str] = {}
        """Reason by name, of what could not be read."""

    @abstractmethod
    def recordings(self, slot: int, step: int) -> Iterator[tuple[str, Part]]:
        """The recording of a slot at a step, and those to be taken in its place."""

    @abstractmethod
    def held_aside(self) -> list[tuple[str, Part]]:
        """Recordings for validation, always in the same order."""

    def window(self, slot: int, step: int, n_samples: int) -> np.ndarray:
        """Part of a recording, float32 `(time,)` at 24 kHz.

        Raises:
            InputError: one after the other, so many recordings cannot be read that more is wrong.
        """
        rng = np.random.default_rng([self.seed, _PART, slot, step])
        reason = "there is none"
        for name, part in islice(self.recordings(slot, step), _N_TRIES):
            try:
                return part(n_samples, rng.random())
            except InputError as error:
                reason = f"{name} {error}"
                if name not in self.skipped:
                    _log.warning("passed over: %s", reason)
                self.skipped[name] = str(error)
        raise InputError(f"no recording of the corpus can be read; the last one: {reason}")


class FolderStream(Stream):
    """Files of a corpus, in a new order each epoch."""

    def __init__(
        self, found: Sequence[Recording], seed: int, *, batch_size: int, aside_share: float
    ) -> None:
        super().__init__(seed)
        self._batch_size = batch_size
        self._found, self._aside = split_aside(found, aside_share)

    def recordings(self, slot: int, step: int) -> Iterator[tuple[str, Part]]:
        """Those of the epoch, from the slot's on."""
        epoch, place = divmod(step * self._batch_size + slot, len(self._found))
        order = _order(self.seed, epoch, len(self._found))
        for number in np.roll(order, -place):
            yield _of_file(self._found[number])

    def held_aside(self) -> list[tuple[str, Part]]:
        """Files whose names say so."""
        return [_of_file(recording) for recording in self._aside]


class ShardStream(Stream):
    """Shards, of which each slot keeps the one that it is at in memory."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(seed)
        self._folder = folder
        index = shards.read_index(folder)
        self._counts, self._aside = index["train"], index.get("aside", {})
        self._loaded: dict[int, tuple[str, list[tuple[str, bytes]]]] = {}

    def recordings(self, slot: int, step: int) -> Iterator[tuple[str, Part]]:
        """Those of the slot's shard, from the step's on, in a circle."""
        names = list(self._counts)
        epoch, place = divmod(step, sum(self._counts.values()))
        for number in np.random.default_rng([self.seed, _ORDER, slot, epoch]).permutation(
            len(names)
        ):
            if place < self._counts[names[number]]:
                held = self._shard(slot, names[number])
                yield from map(_of_flac, held[place:] + held[:place])
                return
            place -= self._counts[names[number]]

    def _shard(self, slot: int, name: str) -> list[tuple[str, bytes]]:
        if slot not in self._loaded or self._loaded[slot][0] != name:
            self._loaded[slot] = name, shards.read_shard(self._folder / name)
        return self._loaded[slot][1]

    def held_aside(self) -> list[tuple[str, Part]]:
        """Recordings of the shards that were written for it."""
        return [
            _of_flac(item)
            for name in self._aside
            for item in shards.read_shard(self._folder / name)
        ]


def _of_file(recording: Recording) -> tuple[str, Part]:
    def part(n_samples: int, position: float) -> np.ndarray:
        return public_corpora.read_part(recording.path, SAMPLE_RATE, n_samples, position)

    return recording.name, part


def _of_flac(item: tuple[str, bytes]) -> tuple[str, Part]:
    return item[0], partial(shards.decode_part, item[1])


def split_aside(
    found: Sequence[Recording], share: float
) -> tuple[list[Recording], list[Recording]]:
    """What is trained on and what is held aside, by a hash of each name."""
    aside = {r.name for r in found if zlib.crc32(r.name.encode()) < share * 2**32}
    sides = [r for r in found if r.name not in aside], [r for r in found if r.name in aside]
    return sides if sides[0] else (list(found), [])


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(count)


class MixedStream:
    """Several corpora, each drawn as often as it is named."""

    def __init__(self, config: StreamConfig, root: Path, *, seed: int, batch_size: int) -> None:
        self._seed = seed
        self._streams = [
            _open(*public_corpora.split_spec(spec, root), config, seed + n, batch_size)
            for n, spec in enumerate(config.corpora)
        ]

    def window(self, slot: int, step: int, n_samples: int) -> np.ndarray:
        """Part of a recording of one of them, float32 `(time,)` at 24 kHz."""
        rng = np.random.default_rng([self._seed, _CHOICE, slot, step])
        stream = self._streams[rng.integers(len(self._streams))]
        return stream.window(slot, step, n_samples)

    def validation(self, n_windows: int, n_samples: int) -> list[np.ndarray]:
        """One window of each of so many recordings that are never trained on."""
        rng = np.random.default_rng([self._seed, _ASIDE])
        found: list[np.ndarray] = []
        for name, part in (item for stream in self._streams for item in stream.held_aside()):
            if len(found) == n_windows:
                break
            try:
                found.append(part(n_samples, rng.random()))
            except InputError as error:
                _log.warning("passed over: %s %s", name, error)
        if not found:
            _log.warning("no file is held aside for validation; raise stream.held_aside_share")
        return found


def _open(kind: str, path: Path, config: StreamConfig, seed: int, batch_size: int) -> Stream:
    if kind == SHARDS:
        return ShardStream(path, seed)
    found = public_corpora.recordings(kind, path)
    return FolderStream(found, seed, batch_size=batch_size, aside_share=config.held_aside_share)
