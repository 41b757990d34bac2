"""Band passes on envelopes that know where the clip ends.

A filter is a real window and a complex wave of the same length, made for a response over rate. It
takes, instead of the envelope a, its deviation from the mean within the part of the window that
the clip covers, so that a steady sound does not tremble, up to its very ends.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

LEAST_COVER = 1e-3
"""Share of a window under which the mean within it fades to 0: frames far beyond the clip."""


def band_pass(
    rates: tuple[float, ...], response: np.ndarray, *, sample_rate: float, reach: int
) -> Float[Tensor, "3 1 tap"]:
    """Window, real and imaginary part of the filter, of `reach` samples to either side.

    Least squares: `response` at positive rates, linear in between; none at negative ones, at 0 and
    at half the sample rate.
    """
    time = np.arange(-reach, reach + 1) / sample_rate
    window = np.hanning(2 * reach + 3)[1:-1]
    limit = sample_rate / 2.0
    rate = np.arange(-limit, limit, sample_rate / 300.0 if reach < 100 else sample_rate / 1200.0)
    wanted = np.interp(rate, [0, *rates, limit], [0.0, *response, 0.0], left=0.0)
    wave = np.exp(-2j * np.pi * np.outer(rate, time)) * window
    tone, *_ = np.linalg.lstsq(wave, wanted.astype(complex), rcond=1e-6)
    kernel = tone * window
    kernel = kernel - window * kernel.sum() / window.sum()
    # A cosine of amplitude 1 holds the positive rate with amplitude 1/2.
    parts = np.stack([window / window.sum(), 2.0 * kernel.real, 2.0 * kernel.imag])
    return torch.as_tensor(parts)[:, None]


def centred_filter(
    envelope: Float[Tensor, "batch sample signal"],
    inside: Float[Tensor, "batch sample 1"],
    kernel: Float[Tensor, "3 1 tap"],
    *,
    stride: int = 1,
    lead: int = 0,
) -> Float[Tensor, "3 batch frame signal"]:
    """Mean within the clip, and real and imaginary part of the deviation from it.

    `envelope` is zero where `inside` is. Output k is centred on sample `lead` + k `stride`.
    """
    reach = kernel.shape[-1] // 2
    both = torch.cat([envelope, inside], dim=-1)
    signals = functional.pad(both.transpose(1, 2).flatten(0, 1)[:, None], (reach - lead, reach))
    filtered = functional.conv1d(signals, kernel, stride=stride)
    filtered = filtered.unflatten(0, (both.shape[0], -1)).permute(2, 0, 3, 1)
    (mean, real, imag), cover = filtered[..., :-1], filtered[..., -1:]
    mean = mean / cover[0].clamp_min(LEAST_COVER)
    return torch.stack([mean, real - mean * cover[1], imag - mean * cover[2]])
