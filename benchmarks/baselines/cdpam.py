"""CDPAM, a learned distance of speech recordings.

Value: its own distance, 0 for the same sound. Both sounds in the baselines' conditions, resampled
to 22.05 kHz (soxr), multiplied by 32768 and rounded, as the package's `load_audio` does.

cdpam 0.0.6 is mended in two places. Its checkpoint holds more than tensors, which `torch.load` has
refused since torch 2.6 unless told otherwise; and `load_audio` needs `numpy.float`, gone since
numpy 1.24, so the adapter scales the sound itself.

Source: P. Manocha et al., CDPAM: contrastive learning for perceptual audio similarity, ICASSP 2021;
cdpam (pranaymanocha/PerceptualAudio).
"""

import functools
import importlib
import sys
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks import waveforms
from benchmarks.guard import Guarded
from benchmarks.metrics import distribution, register, source_version
from benchmarks.waveforms import baseline_conditions, resample

SAMPLE_RATE = 22_050
FULL_SCALE = 32_768
TIME_LIMIT_S = 600.0


class Cdpam:
    """The distance of b from a."""

    name = "cdpam"

    def __init__(self) -> None:
        self.implementation = distribution("cdpam", extra="cdpam")
        self.version = source_version(
            sys.modules[__name__], waveforms, settings=self.implementation
        )

    @functools.cached_property
    def _model(self) -> Any:
        package = importlib.import_module("cdpam")
        # The package's own checkpoint is a pickle; what it runs is as trusted as the package.
        load = functools.partial(torch.load, weights_only=False)
        with mock.patch.object(torch, "load", load):
            return package.CDPAM(dev="cpu")

    @torch.no_grad()
    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """The distance of the two sounds' embeddings."""
        a, b = (resample(x, sample_rate, SAMPLE_RATE) for x in baseline_conditions(a, b))
        pair = [np.round(x * FULL_SCALE)[None] for x in (a, b)]
        return float(self._model.forward(*pair))


@register(Cdpam.name)
def make_cdpam(_argument: str | None) -> Guarded:
    """Takes no argument."""
    return Guarded(Cdpam(), time_limit_s=TIME_LIMIT_S)
