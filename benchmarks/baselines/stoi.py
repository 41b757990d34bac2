"""STOI, the short-time objective intelligibility of speech.

Value: 1 - STOI, so 0 for the same sound and about 1 where nothing of it is left. Both sounds in the
baselines' conditions at their own rate; pystoi resamples to 10 kHz and drops frames 40 dB below the
reference's loudest. Below 30 such frames (0.4 s) there is no value.

Source: C. Taal et al., An algorithm for intelligibility prediction of time-frequency weighted noisy
speech, IEEE TASLP 19(7), 2011; pystoi (mpariente/pystoi).
"""

import importlib
import sys
import warnings

import numpy as np

from benchmarks import waveforms
from benchmarks.guard import Guarded
from benchmarks.metrics import UndefinedError, distribution, register, source_version
from benchmarks.waveforms import baseline_conditions


class Stoi:
    """1 - STOI; b is the processed sound."""

    name = "stoi"

    def __init__(self) -> None:
        self.implementation = distribution("pystoi", extra="bench")
        self.version = source_version(
            sys.modules[__name__], waveforms, settings=self.implementation
        )

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """1 minus the intelligibility of b.

        Raises:
            UndefinedError: Fewer than 30 frames of the reference are loud enough.
        """
        pystoi = importlib.import_module("pystoi")
        a, b = baseline_conditions(a, b)
        with warnings.catch_warnings():
            # pystoi warns and returns 1e-5.
            warnings.filterwarnings("error", message="Not enough STFT frames")
            try:
                return 1.0 - float(pystoi.stoi(a, b, sample_rate))
            except RuntimeWarning:
                raise UndefinedError("fewer than 30 frames are loud enough for STOI") from None


@register(Stoi.name)
def make_stoi(_argument: str | None) -> Guarded:
    """Takes no argument."""
    return Guarded(Stoi())
