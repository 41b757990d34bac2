"""The distance with the methods of a metric of Hugging Face's `evaluate`.

    >>> metric = pamt.evaluate.PerceptualDistance(sample_rate=44_100)
    >>> metric.add_batch(predictions=["a.wav"], references=["b.wav"])
    >>> metric.compute()
    {'pamt_distance': 1.2, 'pamt_distances': [1.2]}

It is called as those are and needs nothing of that package, whose own `load` would run a script
from the Hub.
"""

from collections.abc import Sequence
from typing import TypedDict

from pamt_metric.audio import AudioSource
from pamt_metric.checkpoint import DEFAULT_MODEL, load
from pamt_metric.errors import InputError
from pamt_metric.metric import Align, Level, Metric

__all__ = ["PerceptualDistance"]


class Result(TypedDict):
    """What `compute` gives.

    Attributes:
        pamt_distance: mean over the pairs; lower is better, 0 is identical.
        pamt_distances: of each pair, in the order in which they were added.
    """

    pamt_distance: float
    pamt_distances: list[float]


class PerceptualDistance:
    """Collects pairs with `add` and `add_batch`, and compares them in `compute`.

    Clips are paths, file objects, arrays or tensors, and may differ in length from pair to pair.

    Args:
        model: name, folder or Hub id, or a `Metric`.
        sample_rate: of arrays and tensors, in Hz; files know theirs.
        level: `"match"` or `"absolute"`, as for `pamt.distance`.
        align: as for `pamt.distance`.
    """

    name = "pamt_distance"

    def __init__(
        self,
        model: str | Metric = DEFAULT_MODEL,
        *,
        sample_rate: int | None = None,
        level: Level = "match",
        align: Align = "auto",
    ) -> None:
        self._metric = load(model) if isinstance(model, str) else model
        self._sample_rate = sample_rate
        self._level: Level = level
        self._align: Align = align
        self._pairs: list[tuple[AudioSource, AudioSource]] = []

    def add(self, *, prediction: AudioSource, reference: AudioSource) -> None:
        """Add one pair."""
        self._pairs.append((reference, prediction))

    def add_batch(
        self, *, predictions: Sequence[AudioSource], references: Sequence[AudioSource]
    ) -> None:
        """Add as many pairs as there are references.

        Raises:
            InputError: there are more of one than of the other.
        """
        if len(predictions) != len(references):
            raise InputError(
                f"expected as many predictions as references, got {len(predictions)} and "
                f"{len(references)}"
            )
        self._pairs.extend(zip(references, predictions, strict=True))

    def compute(
        self,
        *,
        predictions: Sequence[AudioSource] | None = None,
        references: Sequence[AudioSource] | None = None,
    ) -> Result:
        """Compare all pairs that were added, and those given here; then forget them.

        Raises:
            InputError: there is no pair, or a clip cannot be used; the message says which. Pairs
                that were added are kept then.
        """
        if (predictions is None) != (references is None):
            raise InputError("predictions and references go together: give both or neither")
        before = list(self._pairs)
        try:
            if predictions is not None and references is not None:
                self.add_batch(predictions=predictions, references=references)
            distances = [self._distance(number) for number in range(len(self._pairs))]
            if not distances:
                raise InputError("no pair to compare: add some, or give predictions and references")
        except InputError:
            self._pairs = before
            raise
        self._pairs = []
        mean = sum(distances) / len(distances)
        return {"pamt_distance": mean, "pamt_distances": distances}

    def _distance(self, number: int) -> float:
        try:
            found = self._metric.compare(
                *self._pairs[number],
                sample_rate=self._sample_rate,
                level=self._level,
                align=self._align,
            )
        except InputError as error:
            raise InputError(f"pair {number}: {error}") from error
        if isinstance(found, list):
            raise InputError(f"pair {number}: expected one clip on either side, got a batch")
        return found.distance
