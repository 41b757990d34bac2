"""Tonality: how far the sound at a place of the cochlea is a tone, 0 (noise) to 1.

A tone differs from noise in two ways, of which one tells in the treble and the other in the bass,
where a filter is as narrow as the analysis: its power stands in one line of the spectrum,

    peakiness    K = sum P^2 / (sum P)^2   over the components within one Cam, P averaged in time

(1/9 for a flat spectrum, about 1/3 for a line as the windows draw it), and it keeps still,

    fluctuation  F = <Q^2> / <Q>^2 - 1     of the power Q around it, over 0.12 s

(0 for a steady tone, 1 over bandwidth times time constant for noise). Tonality is the product of
two ramps, so that a sound that fails either test is a noise.

Source: the idea is that of Johnston (1988), who measures spectral flatness, with the fluctuation
of the envelope (Glasberg and Moore, 1985) in place of phase prediction (Brandenburg, 1987).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from pamt_metric.psychoacoustics.filterbank import (
    FIRST_BAND_COMPONENT,
    N_COMPONENTS,
)
from pamt_metric.psychoacoustics.moving_sum import moving_sum
from pamt_metric.psychoacoustics.scales import N_BANDS

MEMORY_FRAMES = 9
"""Frames over which power is averaged: 0.12 s, centred."""
PEAK_RANGE = (0.16, 0.26)
"""Peakiness of noise, and of a tone at the least."""
FLUCTUATION_RANGE = (0.04, 0.30)
"""Fluctuation of a tone at the most, and of noise in the bass."""
POWER_FLOOR = 1.0
"""Intensity (0 dB SPL) under which nothing is a tone."""


class Tonality(nn.Module):
    """Power of components -> tonality of bands."""

    around: Tensor
    near: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("around", _box(4), persistent=False)
        self.register_buffer("near", _box(1), persistent=False)

    def forward(
        self,
        power: Float[Tensor, "batch frame component"],
        mask: Bool[Tensor, "batch frame"],
    ) -> Float[Tensor, "batch frame band"]:
        """Tonality; frames outside `mask` do not count in the averages."""
        power = power * mask[..., None]
        count = moving_sum(mask[..., None].to(power.dtype), MEMORY_FRAMES, dim=1).clamp_min(1.0)
        mean = moving_sum(power, MEMORY_FRAMES, dim=1) / count
        # Floored squares: float32 holds the fourth power of the loudest sound.
        whole = mean @ self.around + POWER_FLOOR
        peak = (mean.square() @ self.around) / whole.square()
        local = power @ self.near
        local_mean = mean @ self.near + POWER_FLOOR
        moment = moving_sum(local.square(), MEMORY_FRAMES, dim=1) / count
        fluctuation = moment / local_mean.square() - 1.0
        return _ramp(peak, *PEAK_RANGE) * (1.0 - _ramp(fluctuation, *FLUCTUATION_RANGE))


def _box(reach: int) -> Float[Tensor, "component band"]:
    """Sums over the components around each band's centre."""
    place = torch.arange(N_COMPONENTS, dtype=torch.float64)[:, None]
    center = FIRST_BAND_COMPONENT + 0.5 + 2.0 * torch.arange(N_BANDS)[None, :]
    return ((place - center).abs() <= reach + 0.5).float()


def _ramp(value: Float[Tensor, "*any"], low: float, high: float) -> Float[Tensor, "*any"]:
    """0 under `low`, 1 over `high`, a smooth step between."""
    x = ((value - low) / (high - low)).clamp(0.0, 1.0)
    return x.square() * (3.0 - 2.0 * x)
