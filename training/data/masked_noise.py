"""Noise that lies a chosen number of dB under or over the masked threshold of a clip.

White noise is weighed in short-time spectra so that its excitation in every band and frame is the
masked threshold of the clip, by our own ear, plus a level. At 0 dB it should be just noticeable.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.frames import FIRST_CENTER, HOP_LENGTH, SAMPLE_RATE
from pamt_metric.psychoacoustics.scales import center_frequencies

N_FFT = 2 * HOP_LENGTH


def add_masked_noise(
    waveform: Float[Tensor, "time"], ear: Ear, *, level_db: float, generator: torch.Generator
) -> Float[Tensor, "time"]:
    """The clip with noise at its masked threshold plus `level_db`.

    Args:
        waveform: mono at 48 kHz, at the level at which it is heard.
        ear: whose threshold counts.
        level_db: over (positive) or under the threshold.
        generator: draws the noise.
    """
    n_sample = waveform.shape[-1]
    threshold = ear(waveform[None, None], torch.tensor([n_sample])).threshold[0]
    gain = (threshold / _white_excitation(ear)).sqrt() * 10.0 ** (level_db / 20.0)
    # Frame t of the short-time transform is centred on the ear's frame t.
    lead = N_FFT // 2 - FIRST_CENTER
    n_frame = gain.shape[0]
    noise = torch.randn((n_frame + 1) * HOP_LENGTH, generator=generator)
    window = torch.hann_window(N_FFT).sqrt()
    spectrum = torch.fft.rfft(noise.unfold(0, N_FFT, HOP_LENGTH) * window)
    shaped = torch.fft.irfft(spectrum * _by_bin(gain), n=N_FFT) * window
    whole = torch.nn.functional.fold(
        shaped.T[None], (1, noise.shape[0]), (1, N_FFT), stride=(1, HOP_LENGTH)
    ).flatten()[lead:]
    result = waveform.clone()
    count = min(n_sample, whole.shape[0])
    result[:count] += whole[:count]
    return result


@lru_cache(maxsize=1)
def _white_excitation(ear: Ear) -> Float[Tensor, "band"]:
    """Excitation of white noise of variance 1."""
    noise = torch.randn(4 * SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    tokens = ear(noise[None, None], torch.tensor([noise.shape[0]]))
    return tokens.excitation[0, 10:-10].mean(0)


def _by_bin(gain: Float[Tensor, "frame band"]) -> Float[Tensor, "frame bin"]:
    """Gains at the bins of the short-time transform, linear in between the bands' centres."""
    center = center_frequencies().float()
    bins = torch.arange(N_FFT // 2 + 1) * SAMPLE_RATE / N_FFT
    right = torch.searchsorted(center, bins).clamp(1, len(center) - 1)
    left = right - 1
    share = ((bins - center[left]) / (center[right] - center[left])).clamp(0.0, 1.0)
    return gain[:, left] * (1.0 - share) + gain[:, right] * share
