"""Noise that lies a chosen number of dB under or over the masked threshold of a clip.

White noise is weighed in short-time spectra so that its excitation in every band and frame is the
masked threshold of the clip, by our own ear, plus a level. At 0 dB it should be just noticeable.
"""

from functools import lru_cache

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.frames import FIRST_CENTER, HOP_LENGTH, SAMPLE_RATE
from pamt_metric.psychoacoustics.scales import center_frequencies

N_FFT = 2 * HOP_LENGTH
LEAD = N_FFT // 2 - FIRST_CENTER


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
    gain = threshold_gain(waveform, ear) * 10.0 ** (level_db / 20.0)
    noise = torch.randn((gain.shape[0] + 1) * HOP_LENGTH, generator=generator)
    return waveform + synthesise(_spectra(noise) * gain, waveform.shape[0])


def threshold_gain(waveform: Float[Tensor, "time"], ear: Ear) -> Float[Tensor, "frame bin"]:
    """What takes white noise of variance 1 to the clip's masked threshold, frame by frame."""
    n_sample = waveform.shape[-1]
    threshold = ear(waveform[None, None], torch.tensor([n_sample])).threshold[0]
    return _by_bin((threshold / _white_excitation(ear)).sqrt())


def analyse(waveform: Float[Tensor, "time"], n_frame: int) -> Complex[Tensor, "frame bin"]:
    """Short-time spectra, frame t centred on the ear's frame t; `synthesise` undoes it."""
    n_padded = (n_frame + 1) * HOP_LENGTH
    end = max(0, n_padded - LEAD - waveform.shape[0])
    return _spectra(functional.pad(waveform, (LEAD, end))[:n_padded])


def synthesise(spectrum: Complex[Tensor, "frame bin"], n_sample: int) -> Float[Tensor, "time"]:
    """Overlapping frames added up, with zeros beyond the last one."""
    frames = torch.fft.irfft(spectrum, n=N_FFT) * _window()
    n_padded = (frames.shape[0] + 1) * HOP_LENGTH
    whole = functional.fold(frames.T[None], (1, n_padded), (1, N_FFT), stride=(1, HOP_LENGTH))
    whole = whole.flatten()[LEAD : LEAD + n_sample]
    return functional.pad(whole, (0, n_sample - whole.shape[0]))


def _spectra(padded: Float[Tensor, "time"]) -> Complex[Tensor, "frame bin"]:
    return torch.fft.rfft(padded.unfold(0, N_FFT, HOP_LENGTH) * _window())


def _window() -> Float[Tensor, "sample"]:
    return torch.hann_window(N_FFT).sqrt()


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
