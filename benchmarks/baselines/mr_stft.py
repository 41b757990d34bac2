"""Multi-resolution STFT loss (auraloss, its defaults), the usual training loss of audio models.

Defaults: FFT sizes 1024, 2048 and 512, hops 120, 240 and 50, Hann windows of 600, 1200 and 240;
spectral convergence plus log magnitude, both with weight 1, at the pair's own rate. Spectral
convergence is relative to its second argument: the adapter averages both orders, so is symmetric.

Source: C. Steinmetz & J. Reiss, auraloss: audio-focused loss functions in PyTorch, DMRN+15 (2020);
R. Yamamoto et al., Parallel WaveGAN, ICASSP 2020, eq. 3-6.
"""

import functools
import importlib
import sys
from typing import Any

import numpy as np
import torch

from benchmarks import waveforms
from benchmarks.guard import Guarded
from benchmarks.metrics import UndefinedError, distribution, register, source_version
from benchmarks.waveforms import absolute_conditions, baseline_conditions

LARGEST_FFT = 2048
# The STFT mirrors half a window at both ends, which needs one sample more than that.
MIN_SAMPLES = LARGEST_FFT // 2 + 1


class MultiResolutionStft:
    """auraloss.freq.MultiResolutionSTFTLoss with its defaults, averaged over both orders."""

    name = "mr-stft"

    def __init__(self, *, absolute: bool = False) -> None:
        self._conditions = absolute_conditions if absolute else baseline_conditions
        self.implementation = distribution("auraloss", extra="bench")
        self.version = source_version(
            sys.modules[__name__], waveforms, settings=(self.implementation, absolute)
        )

    def at_absolute_level(self) -> Guarded:
        """The same metric, for sounds at the level they have."""
        return Guarded(MultiResolutionStft(absolute=True))

    @functools.cached_property
    def _loss(self) -> Any:
        return importlib.import_module("auraloss").freq.MultiResolutionSTFTLoss()

    @torch.no_grad()
    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """The loss of b against a and of a against b, averaged.

        Raises:
            UndefinedError: The sounds are shorter than half the largest window.
        """
        a, b = self._conditions(a, b)
        if len(a) < MIN_SAMPLES:
            raise UndefinedError(f"{len(a)} samples are too short: it needs {MIN_SAMPLES}")
        pair = [torch.from_numpy(x)[None, None] for x in (a, b)]
        return float(self._loss(*pair) + self._loss(*reversed(pair))) / 2.0


@register(MultiResolutionStft.name)
def make_mr_stft(_argument: str | None) -> Guarded:
    """Takes no argument."""
    return Guarded(MultiResolutionStft())
