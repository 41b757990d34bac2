"""Distance of mel-frequency cepstral coefficients (torchaudio), the classic timbre descriptor.

Value: Euclidean distance of 20 coefficients, averaged over frames, in dB; 0 for the same sound.
Both sounds in the baselines' conditions at their own rate; the mel spectrogram is `log_mel`'s
(2048 samples every 512, 128 bands from 20 Hz), in dB down to 80 dB below each sound's loudest.

Source: S. Davis & P. Mermelstein, IEEE TASSP 28(4), 1980; torchaudio.transforms.MFCC.
"""

import functools
import sys

import numpy as np
import torch

from benchmarks import waveforms
from benchmarks.baselines.log_mel import HOP_LENGTH, LOWEST_FREQUENCY, N_FFT, N_MELS
from benchmarks.metrics import distribution, register, source_version
from benchmarks.waveforms import baseline_conditions

N_MFCC = 20


class Mfcc:
    """Mean over frames of |MFCC(a) - MFCC(b)|."""

    name = "mfcc"

    def __init__(self) -> None:
        self.implementation = distribution("torchaudio", extra="bench")
        settings = self.implementation, HOP_LENGTH, LOWEST_FREQUENCY, N_FFT, N_MELS
        self.version = source_version(sys.modules[__name__], waveforms, settings=settings)

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """In dB, as the coefficients of an orthonormal cosine transform of levels in dB."""
        transform = _transform(sample_rate)
        a_mfcc, b_mfcc = (transform(torch.from_numpy(x)) for x in baseline_conditions(a, b))
        return float(torch.linalg.vector_norm(a_mfcc - b_mfcc, dim=-2).mean())


@functools.cache
def _transform(sample_rate: int) -> torch.nn.Module:
    import torchaudio

    return torchaudio.transforms.MFCC(
        sample_rate,
        n_mfcc=N_MFCC,
        melkwargs={
            "n_fft": N_FFT,
            "hop_length": HOP_LENGTH,
            "n_mels": N_MELS,
            "f_min": LOWEST_FREQUENCY,
            "pad_mode": "constant",
        },
    )


@register(Mfcc.name)
def make_mfcc(_argument: str | None) -> Mfcc:
    """Takes no argument."""
    return Mfcc()
