"""ViSQOL v3 in audio mode, a full-reference quality score for coded audio.

Value: 5 - MOS-LQO, so 0.27 for the same sound (its model ends at 4.73) and about 4 for the worst.
Both sounds in the baselines' conditions, then resampled to 48 kHz (soxr), the rate of its model.
Settings are the package's own: bundled support-vector model, search window 60, alignment on.

Source: M. Chinen et al., ViSQOL v3, QoMEX 2020; visqol-python (talker93/visqol-python), a port of
Google's C++ code.
"""

import functools
import importlib
import sys
from typing import Any

import numpy as np

from benchmarks import waveforms
from benchmarks.guard import Guarded
from benchmarks.metrics import distribution, register, source_version
from benchmarks.waveforms import baseline_conditions, resample

SAMPLE_RATE = 48_000
BEST_SCORE = 5.0


class Visqol:
    """5 - MOS-LQO; b is the degraded sound."""

    name = "visqol"

    def __init__(self) -> None:
        self.implementation = distribution("visqol-python", extra="peers")
        self.version = source_version(
            sys.modules[__name__], waveforms, settings=self.implementation
        )

    @functools.cached_property
    def _api(self) -> Any:
        api = importlib.import_module("visqol").VisqolApi()
        api.create(mode="audio")
        return api

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """NaN for silence, as the package."""
        a, b = (resample(x, sample_rate, SAMPLE_RATE) for x in baseline_conditions(a, b))
        return BEST_SCORE - float(self._api.measure_from_arrays(a, b, SAMPLE_RATE).moslqo)


@register(Visqol.name)
def make_visqol(_argument: str | None) -> Guarded:
    """Takes no argument."""
    return Guarded(Visqol())
