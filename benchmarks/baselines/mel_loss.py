"""Mel-spectrogram loss (auraloss, its defaults), a usual training loss of vocoders and codecs.

Defaults: FFT size 1024, hop 256, Hann window of 1024, 128 mel bands (librosa's, up to half the
rate); spectral convergence plus log magnitude, both with weight 1, at the pair's own rate. Spectral
convergence is relative to its second argument: the adapter averages both orders, so is symmetric.

Source: C. Steinmetz & J. Reiss, auraloss: audio-focused loss functions in PyTorch, DMRN+15 (2020).
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
from benchmarks.waveforms import baseline_conditions

N_FFT = 1024
# The STFT mirrors half a window at both ends, which needs one sample more than that.
MIN_SAMPLES = N_FFT // 2 + 1


class MelLoss:
    """auraloss.freq.MelSTFTLoss with its defaults, averaged over both orders."""

    name = "mel-loss"

    def __init__(self) -> None:
        self.implementation = distribution("auraloss", extra="bench")
        settings = self.implementation, distribution("librosa", extra="bench")
        self.version = source_version(sys.modules[__name__], waveforms, settings=settings)

    @torch.no_grad()
    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """The loss of b against a and of a against b, averaged.

        Raises:
            UndefinedError: The sounds are shorter than half the window.
        """
        a, b = baseline_conditions(a, b)
        if len(a) < MIN_SAMPLES:
            raise UndefinedError(f"{len(a)} samples are too short: it needs {MIN_SAMPLES}")
        loss = _loss(sample_rate)
        pair = [torch.from_numpy(x)[None, None] for x in (a, b)]
        return float(loss(*pair) + loss(*reversed(pair))) / 2.0


@functools.cache
def _loss(sample_rate: int) -> Any:
    return importlib.import_module("auraloss").freq.MelSTFTLoss(sample_rate, fft_size=N_FFT)


@register(MelLoss.name)
def make_mel_loss(_argument: str | None) -> Guarded:
    """Takes no argument."""
    return Guarded(MelLoss())
