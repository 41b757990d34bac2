"""A metric in the listener's chair: distances between sounds, cached, at the level they have.

A metric that offers `at_absolute_level()` is replaced by what that returns: the same metric, which
neither matches levels nor shifts one sound against the other. One that offers `encode_all` and
`between` encodes each sound once; one that offers `judge` has the judgements of an ear model
(loudness, roughness) beside its distance.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.cache import ValueCache, waveform_hash
from benchmarks.metrics import Measurement, Metric, UndefinedError, measure
from benchmarks.psychophysics.stimuli import SAMPLE_RATE, interval

BATCH = 16
"""Sounds that are encoded at once."""


class Sound:
    """One interval: a waveform `(channel, time)` and the hash of its content."""

    def __init__(self, waveform: np.ndarray) -> None:
        self.waveform = interval(waveform)

    @functools.cached_property
    def key(self) -> str:
        return waveform_hash(self.waveform, SAMPLE_RATE)


class Subject:
    """A metric that takes part in experiments.

    Args:
        metric: Any contestant.
        cache: Where values are looked up first and kept.

    Attributes:
        sigma: Its internal noise, NaN until it was fitted.
        no_sigma: Why it has none.
    """

    def __init__(self, metric: Metric, cache: ValueCache | None = None) -> None:
        hook = getattr(metric, "at_absolute_level", None)
        self.metric: Metric = metric if hook is None else hook()
        self.name = metric.name
        self.sigma = math.nan
        self.no_sigma = ""
        self._cache = cache
        self._known: dict[tuple[str, str], Measurement] = {}
        self._encoded: dict[str, Any] = {}

    def distances(self, pairs: Sequence[tuple[Sound, Sound]]) -> np.ndarray:
        """The metric's value for each pair.

        Raises:
            UndefinedError: It has none for one of them.
        """
        missing = {(a.key, b.key): (a, b) for a, b in pairs if self._look_up(a.key, b.key) is None}
        if missing:
            wanted = list(missing.values())
            together = hasattr(self.metric, "encode_all") and hasattr(self.metric, "between")
            found = self._together(wanted) if together else self._one_by_one(wanted)
            self._keep(dict(zip(missing, found, strict=True)))
        return np.array([self._value(a.key, b.key) for a, b in pairs])

    def judge(self, quantity: str, sound: Sound) -> float:
        """What the metric's own ear model says of one sound.

        Raises:
            UndefinedError: It has no such judgement.
        """
        judge = getattr(self.metric, "judge", None)
        if judge is None:
            raise UndefinedError(f"a distance has no {quantity} of one sound")
        if self._look_up(sound.key, quantity) is None:
            found = measure(_Judge(judge, quantity), sound.waveform, sound.waveform, SAMPLE_RATE)
            self._keep({(sound.key, quantity): found})
        return self._value(sound.key, quantity)

    def forget(self) -> None:
        """Drops what was encoded: another experiment has other sounds."""
        self._encoded.clear()

    def _one_by_one(self, pairs: list[tuple[Sound, Sound]]) -> list[Measurement]:
        return [measure(self.metric, a.waveform, b.waveform, SAMPLE_RATE) for a, b in pairs]

    def _together(self, pairs: list[tuple[Sound, Sound]]) -> list[Measurement]:
        metric: Any = self.metric
        sounds = {sound.key: sound for pair in pairs for sound in pair}
        new = [key for key in sounds if key not in self._encoded]
        for start in range(0, len(new), BATCH):
            keys = new[start : start + BATCH]
            waveforms = [sounds[key].waveform for key in keys]
            encoded = metric.encode_all(waveforms, SAMPLE_RATE)
            self._encoded.update(zip(keys, encoded, strict=True))
        encoded_pairs = [(self._encoded[a.key], self._encoded[b.key]) for a, b in pairs]
        return [
            Measurement(value, "" if math.isfinite(value) else f"the metric returned {value}")
            for value in metric.between(encoded_pairs)
        ]

    def _look_up(self, a: str, b: str) -> Measurement | None:
        if (a, b) not in self._known and self._cache is not None:
            found = self._cache.get_by_key(a, b, self.metric.name, self.metric.version)
            if found is not None:
                self._known[a, b] = found
        return self._known.get((a, b))

    def _keep(self, measurements: dict[tuple[str, str], Measurement]) -> None:
        self._known.update(measurements)
        if self._cache is not None:
            self._cache.put_all(measurements, self.metric.name, self.metric.version)

    def _value(self, a: str, b: str) -> float:
        measurement = self._known[a, b]
        if measurement.reason:
            raise UndefinedError(measurement.reason)
        return measurement.value


class _Judge:
    """One quantity in the form of a metric, so that it is measured as one."""

    version = ""

    def __init__(self, judge: Any, quantity: str) -> None:
        self.name = quantity
        self._judge = judge

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        return self._judge(self.name, a, sample_rate)
