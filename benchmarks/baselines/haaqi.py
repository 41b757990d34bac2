"""HAAQI, the hearing-aid audio quality index of music, for normal hearing.

Value: 1 - HAAQI, so about 0 for the same sound and 1 for the worst. Both sounds in the baselines'
conditions at their own rate; the ear model resamples to 24 kHz. An RMS of 0.1 stands for 65 dB SPL,
the level the index assumes for normal hearing, and the audiogram is 0 dB HL, which makes the choice
of equalisation immaterial. The ear model adds noise from numpy's global generator, which moves the
fifth decimal: the adapter seeds that generator, so that a pair has one value.

Source: J. Kates & K. Arehart, The hearing-aid audio quality index (HAAQI), IEEE/ACM TASLP 24(2),
2016; pyclarity (claritychallenge/clarity).
"""

import importlib
import math
import sys

import numpy as np

from benchmarks import waveforms
from benchmarks.guard import Guarded
from benchmarks.metrics import distribution, register, source_version
from benchmarks.waveforms import TARGET_RMS, baseline_conditions

PRESENTATION_LEVEL_DB_SPL = 65.0
# The level that an RMS of 1 stands for.
FULL_SCALE_DB_SPL = PRESENTATION_LEVEL_DB_SPL - 20.0 * math.log10(TARGET_RMS)
AUDIOGRAM_FREQUENCIES = (250, 500, 1000, 2000, 4000, 6000)
SEED = 0
TIME_LIMIT_S = 300.0


class Haaqi:
    """1 - HAAQI; b is the processed sound."""

    name = "haaqi"

    def __init__(self) -> None:
        self.implementation = distribution("pyclarity", extra="haaqi")
        self.version = source_version(
            sys.modules[__name__], waveforms, settings=self.implementation
        )

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """1 minus the quality of b."""
        haaqi = importlib.import_module("clarity.evaluator.haaqi")
        audiogram = importlib.import_module("clarity.utils.audiogram").Audiogram(
            levels=np.zeros(len(AUDIOGRAM_FREQUENCIES)),
            frequencies=np.array(AUDIOGRAM_FREQUENCIES),
        )
        a, b = (x.astype(np.float64) for x in baseline_conditions(a, b))
        np.random.seed(SEED)  # noqa: NPY002 (the generator that the package draws from)
        score = haaqi.compute_haaqi(
            processed_signal=b,
            reference_signal=a,
            processed_sample_rate=sample_rate,
            reference_sample_rate=sample_rate,
            audiogram=audiogram,
            level1=FULL_SCALE_DB_SPL,
        )
        return 1.0 - float(score)


@register(Haaqi.name)
def make_haaqi(_argument: str | None) -> Guarded:
    """Takes no argument."""
    return Guarded(Haaqi(), time_limit_s=TIME_LIMIT_S)
