"""What is new in the fine structure of a sound: what tells a copy from another performance.

Two recordings of one note at one level are as alike to the ear as a recording and its copy; their
waveforms are not. In bands half a Cam apart, up to 3.6 kHz, the complex spectrum of a frame is
predicted from the two before it as if each band held a tone that goes on (Bello et al. 2004: the
last value, its phase advanced by as much as before). What is left is new: onsets, noise, the
irregularity of a voice. A copy has much of it, in phase with the original; another performance has
next to none. Synthesised tones that start at one pitch and in one phase have it in common, too, and
a copy that is late by more than some milliseconds has not.

Magnitudes are compressed, so that loud events do not speak for all.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pamt_metric.psychoacoustics.frames import FIRST_CENTER, HOP_LENGTH, SAMPLE_RATE
from pamt_metric.psychoacoustics.scales import hz_to_erb_number

DECIMATION = 4
"""Of the waveform that is read."""
WINDOW_LENGTH = 512
"""Samples of that waveform: 43 ms."""
BAND_STEP = 0.5
"""Distance between neighbouring bands in Cam; each is a triangle as wide to either side."""
FIRST_CAM = 1.5
N_FINE = 50
"""Bands: up to 26 Cam (3.6 kHz)."""
EXPONENT = 0.3
"""Of the magnitude, after compression."""
FLOOR = 0.1
"""Magnitude (some 40 dB SPL) under which nothing is compressed: faint onsets far from a tone, where
its window leaks, are alike for all sounds that start at one instant."""
_PREDICTED_FROM = 2


class FineStructure(nn.Module):
    """From decimated audio to what is new in each frame and band."""

    window: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        window = torch.hann_window(WINDOW_LENGTH, periodic=True)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("weight", _weight().float(), persistent=False)

    def forward(
        self, quarter: Float[Tensor, "batch channel quarter_time"], n_frame: int
    ) -> Float[Tensor, "batch frame fine 2"]:
        """Real and imaginary part in `n_frame` frames; of two channels, of their mean."""
        band = self._bands(quarter.mean(1), n_frame)
        before, last = band[:, :-2], band[:, 1:-1]
        # last * (last * conj(before)) / |last * conj(before)|
        turn = _times_conjugate(last, before)
        turn = turn / (turn.square().sum(-1, keepdim=True) + FLOOR**4).sqrt()
        new = band[:, 2:] - _times(last, turn)
        power = new.square().sum(-1, keepdim=True) + FLOOR**2
        return new * power ** ((EXPONENT - 1.0) / 2.0)

    def _bands(
        self, clip: Float[Tensor, "batch quarter_time"], n_frame: int
    ) -> Float[Tensor, "batch longer fine 2"]:
        """Complex spectrum by band, of two silent frames and `n_frame` more."""
        hop = HOP_LENGTH // DECIMATION
        before = WINDOW_LENGTH // 2 - FIRST_CENTER // DECIMATION
        missing = (n_frame - 1) * hop + WINDOW_LENGTH - before - clip.shape[-1]
        framed = functional.pad(clip, (before, missing)).unfold(-1, WINDOW_LENGTH, hop)
        spectrum = torch.view_as_real(torch.fft.rfft(framed * self.window))
        band = torch.einsum("nfkc,kb->nfbc", spectrum, self.weight)
        return functional.pad(band, (0, 0, 0, 0, _PREDICTED_FROM, 0))


def _weight() -> Float[Tensor, "bin band"]:
    """Share of each bin in each band, with the sign that refers phases to the window's middle."""
    bins = torch.arange(WINDOW_LENGTH // 2 + 1, dtype=torch.float64)
    cam = hz_to_erb_number(bins * SAMPLE_RATE / DECIMATION / WINDOW_LENGTH)
    center = FIRST_CAM + BAND_STEP * torch.arange(N_FINE, dtype=torch.float64)
    weight = (1.0 - (cam[:, None] - center).abs() / BAND_STEP).clamp_min(0.0)
    return weight * (1.0 - 2.0 * (bins % 2))[:, None]


def _times(x: Float[Tensor, "*any 2"], y: Float[Tensor, "*any 2"]) -> Float[Tensor, "*any 2"]:
    real = x[..., 0] * y[..., 0] - x[..., 1] * y[..., 1]
    imaginary = x[..., 0] * y[..., 1] + x[..., 1] * y[..., 0]
    return torch.stack([real, imaginary], dim=-1)


def _times_conjugate(
    x: Float[Tensor, "*any 2"], y: Float[Tensor, "*any 2"]
) -> Float[Tensor, "*any 2"]:
    return _times(x, torch.stack([y[..., 0], -y[..., 1]], dim=-1))
