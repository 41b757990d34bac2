"""Tasks without a threshold: judgements of one sound, and matches of one sound to another.

A judgement (loudness, roughness) is what the metric's own ear model says; a metric that is a
distance and nothing else has none. A match has a second way: the comparison whose distance from
the reference is smallest.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.metrics import UndefinedError
from benchmarks.psychophysics.experiment import Key, Ordering, Point, Scale
from benchmarks.psychophysics.human import HumanPoint
from benchmarks.psychophysics.subject import Sound, Subject

N_TOKENS = 3
"""Tokens over which a judgement of noise is averaged."""


@dataclass(frozen=True)
class Rating:
    """Judgements of single sounds.

    Attributes:
        quantity: What is judged: a name of `pamt_metric.psychoacoustics`.
        sounds: The waveform of each condition, from the seed of its noise.
        pairs: Conditions of which listeners judge the first clearly lower than the second.
        noisy: The waveform depends on the seed.
        relative: Each curve in percent of its largest value.
    """

    quantity: str
    sounds: Mapping[Key, Callable[[int], np.ndarray]]
    pairs: Sequence[tuple[Key, Key]] = ()
    noisy: bool = False
    relative: bool = False

    def keys(self) -> Sequence[Key]:
        return list(self.sounds)

    def measure(self, subject: Subject) -> Iterator[tuple[Key, Point]]:
        found = {key: self._point(subject, key) for key in self.sounds}
        if self.relative:
            found = _percent(found)
        yield from found.items()

    def orderings(self, human: Mapping[Key, HumanPoint], scale: Scale) -> Iterator[Ordering]:
        for lower, higher in self.pairs:
            yield Ordering(
                f"more {self.quantity} of {higher[0]}, {higher[1]:g} than of "
                f"{lower[0]}, {lower[1]:g}",
                nearer=lambda subject, key=lower: self._value(subject, key),
                farther=lambda subject, key=higher: self._value(subject, key),
            )

    def _point(self, subject: Subject, key: Key) -> Point:
        try:
            return Point(self._value(subject, key))
        except UndefinedError as error:
            return Point(math.nan, str(error), can=False)

    def _value(self, subject: Subject, key: Key) -> float:
        seeds = range(N_TOKENS if self.noisy else 1)
        values = [subject.judge(self.quantity, Sound(self.sounds[key](seed))) for seed in seeds]
        return float(np.mean(values))


def _percent(points: Mapping[Key, Point]) -> dict[Key, Point]:
    largest: dict[str, float] = {}
    for (curve, _), point in points.items():
        largest[curve] = max(largest.get(curve, 0.0), np.nan_to_num(point.value))
    return {
        key: Point(100.0 * point.value / (largest[key[0]] or math.nan), point.reason, point.can)
        for key, point in points.items()
    }


@dataclass(frozen=True)
class Match:
    """The level at which a comparison is as loud as a reference.

    Attributes:
        references: The reference of each curve.
        comparison: The comparison from x and its level in dB SPL.
        conditions: Curve and x.
        levels: Levels that are tried, in rising order.
    """

    references: Mapping[str, Callable[[], np.ndarray]]
    comparison: Callable[[float, float], np.ndarray]
    conditions: Sequence[Key]
    levels: Sequence[float]

    def keys(self) -> Sequence[Key]:
        return self.conditions

    def measure(self, subject: Subject) -> Iterator[tuple[Key, Point]]:
        judges = hasattr(subject.metric, "judge")
        for curve, x in self.conditions:
            try:
                by = self._by_loudness if judges else self._by_distance
                yield (curve, x), by(subject, curve, x)
            except UndefinedError as error:
                yield (curve, x), Point(math.nan, str(error), can=False)
        subject.forget()

    def orderings(self, human: Mapping[Key, HumanPoint], scale: Scale) -> Iterator[Ordering]:
        return iter(())

    def _by_loudness(self, subject: Subject, curve: str, x: float) -> Point:
        target = subject.judge("loudness_level", Sound(self.references[curve]()))
        found = np.array(
            [subject.judge("loudness_level", Sound(self.comparison(x, db))) for db in self.levels]
        )
        if not found[0] <= target <= found[-1]:
            return Point(math.nan, f"no level from {found[0]:.0f} to {found[-1]:.0f} phon matches")
        # Loudness may be flat where nothing is heard: the first level that reaches the target.
        last = max(1, int(np.argmax(found >= target)))
        share = (target - found[last - 1]) / max(found[last] - found[last - 1], 1e-9)
        step = self.levels[last] - self.levels[last - 1]
        return Point(self.levels[last - 1] + share * step)

    def _by_distance(self, subject: Subject, curve: str, x: float) -> Point:
        reference = Sound(self.references[curve]())
        pairs = [(reference, Sound(self.comparison(x, db))) for db in self.levels]
        found = subject.distances(pairs)
        nearest = int(np.argmin(found))
        if nearest in {0, len(found) - 1}:
            return Point(math.nan, f"nearest at the end of the range, {self.levels[nearest]:g} dB")
        left, middle, right = found[nearest - 1 : nearest + 2]
        # Vertex of the parabola through the three points around the smallest.
        offset = 0.5 * (left - right) / (left - 2.0 * middle + right)
        return Point(self.levels[nearest] + offset * (self.levels[1] - self.levels[0]))
