"""Zimtohrli, Google's distance of auditory spectrograms for audio coding.

Value: its own distance, 0 for the same sound; its mean opinion score falls with it from 5 to 1.
Both sounds in the baselines' conditions, then resampled to 48 kHz (soxr), the rate it assumes.

It ends its process on NaN and infinities, on no samples, and on many sounds shorter than 70 ms.

Source: J. Alakuijala et al., Zimtohrli: an efficient psychoacoustic audio similarity metric
(2025); zimtohrli (google/zimtohrli).
"""

import importlib
import sys

import numpy as np

from benchmarks import waveforms
from benchmarks.guard import Guarded
from benchmarks.metrics import distribution, register, source_version
from benchmarks.waveforms import absolute_conditions, baseline_conditions, resample

SAMPLE_RATE = 48_000


class Zimtohrli:
    """The distance of b from a."""

    name = "zimtohrli"

    def __init__(self, *, absolute: bool = False) -> None:
        self._conditions = absolute_conditions if absolute else baseline_conditions
        self.implementation = distribution("zimtohrli", extra="peers")
        self.version = source_version(
            sys.modules[__name__], waveforms, settings=(self.implementation, absolute)
        )

    def at_absolute_level(self) -> Guarded:
        """The same metric, for sounds at the level they have."""
        return Guarded(Zimtohrli(absolute=True))

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """Run it guarded: some input ends the process."""
        zimtohrli = importlib.import_module("zimtohrli")
        a, b = (resample(x, sample_rate, SAMPLE_RATE) for x in self._conditions(a, b))
        return float(zimtohrli.Pyohrli().distance(a, b))


@register(Zimtohrli.name)
def make_zimtohrli(_argument: str | None) -> Guarded:
    """Takes no argument."""
    return Guarded(Zimtohrli())
