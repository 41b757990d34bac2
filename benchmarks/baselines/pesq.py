"""PESQ wide band (ITU-T P.862.2), a listening-quality score of telephone speech.

Value: 4.64 - MOS-LQO, so 0 for the same sound and 3.6 for the worst. Both sounds in the
baselines' conditions, then resampled to 16 kHz (soxr); PESQ sets its own listening level. It has no
value for sounds that are too short or in which it finds no utterance.

Source: M. Wang et al., pesq (ludlows/python-pesq), a wrapper of the ITU's C code.
"""

import importlib
import math
import sys

import numpy as np

from benchmarks import waveforms
from benchmarks.guard import Guarded
from benchmarks.metrics import distribution, register, source_version
from benchmarks.waveforms import baseline_conditions, resample

SAMPLE_RATE = 16_000
# P.862.2, eq. 1 at the highest raw score, 4.5.
BEST_SCORE = 0.999 + 4.0 / (1.0 + math.exp(-1.3669 * 4.5 + 3.8224))


class Pesq:
    """4.64 - MOS-LQO; b is the degraded sound."""

    name = "pesq"

    def __init__(self) -> None:
        self.implementation = distribution("pesq", extra="peers")
        self.version = source_version(
            sys.modules[__name__], waveforms, settings=self.implementation
        )

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """Raises what the package raises: BufferTooShortError, NoUtterancesError."""
        pesq = importlib.import_module("pesq")
        a, b = (resample(x, sample_rate, SAMPLE_RATE) for x in baseline_conditions(a, b))
        return BEST_SCORE - float(pesq.pesq(SAMPLE_RATE, a, b, "wb"))


@register(Pesq.name)
def make_pesq(_argument: str | None) -> Guarded:
    """Takes no argument."""
    return Guarded(Pesq())
