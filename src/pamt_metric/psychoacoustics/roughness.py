"""Roughness: how strongly the envelope trembles between about 20 and 150 Hz, by region.

    a(s) = sqrt(I(s))                                envelope of a region in each sub-frame, 300 /s
    y(t) = (a - mean a) through a complex band pass, once a frame
    R_i  = w_i (n_i / n_0)^0.55 (c_i u_i |y| / mean a)^2     asper

|y| / mean a is the depth of modulation as the windows and the band pass let it through, and grows
with about the power 0.8 of the depth m of the sound, so that R grows with m^1.6. The response of
the band pass is the listeners' roughness over rate, freed of what the windows do. The rate of most
roughness falls from 70 Hz at 1 kHz to 30 Hz at 125 Hz, so there are four band passes. w_i weighs
the carrier, n_i is the mean compressed intensity, n_0 that of 60 dB.

Noise trembles by itself, but otherwise in each region, and is hardly rough. c_i is the coherence of
a region's y with those of its two neighbours over 0.2 s (as in Daniel and Weber); a neighbour that
is much softer does not count. u_i is the share of a region's power that its neighbours did not
spread into it.

Source: Fastl and Zwicker (2007), figure 11.2 (rates and carriers, as digitised for MoSQITo), p. 258
(depth); Daniel and Weber (1997, Acustica 83) for level and coherence. Departs from both: the
numbers of listeners shape the filters directly.
"""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from pamt_metric.psychoacoustics.envelope_filter import band_pass, centred_filter
from pamt_metric.psychoacoustics.filterbank import SUB_FRAMES
from pamt_metric.psychoacoustics.frames import FRAME_RATE
from pamt_metric.psychoacoustics.masking import compressed
from pamt_metric.psychoacoustics.moving_sum import moving_sum
from pamt_metric.psychoacoustics.scales import (
    BANDS_PER_REGION,
    CAM_MIN,
    CAM_STEP,
    N_REGIONS,
    erb_number_to_hz,
)

LEVEL_POWER = 0.55
REFERENCE_INTENSITY = 1e6
"""60 dB."""
ENVELOPE_FLOOR = 3.0
"""Square root of intensity (10 dB) under which the envelope is not followed."""
EPSILON = 1e-4
"""Keeps the slope finite where there is no roughness."""
COHERENCE_FRAMES = 15
SPREAD = 0.1
"""Power that a region spreads into each neighbour; what is softer is hardly heard there."""
SOFT_NEIGHBOUR = 0.5
"""Ratio of powers at which a neighbour counts half."""

_RATES_HZ = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0, 120.0, 140.0)
# carrier Hz: asper of a fully modulated tone of 60 dB at those rates
_ASPER = {
    125: (0.088, 0.232, 0.334, 0.327, 0.253, 0.193, 0.151, 0.115, 0.093, 0.078, 0.058, 0.041),
    250: (0.090, 0.246, 0.400, 0.481, 0.471, 0.394, 0.314, 0.248, 0.199, 0.169, 0.126, 0.096),
    500: (0.102, 0.243, 0.408, 0.584, 0.672, 0.670, 0.609, 0.510, 0.420, 0.356, 0.264, 0.205),
    1000: (0.101, 0.240, 0.431, 0.650, 0.846, 0.958, 0.991, 0.955, 0.868, 0.754, 0.564, 0.429),
}
# carrier Hz: largest asper over rate, relative to 1 kHz
_CARRIER = {1000: 1.0, 2000: 0.84, 4000: 0.652, 8000: 0.436, 16000: 0.25}
_GROUPS = ((0, 2, 125), (2, 3, 250), (3, 5, 500), (5, N_REGIONS, 1000))
"""Regions from, to, and the carrier whose rates they follow."""
_REACH = 30
"""Sub-frames that a band pass reaches to either side: 0.1 s."""
_WINDOW_SPREAD_S = 1.5e-3
"""Standard deviation of the squared window of a sub-frame: its low pass is nearly Gaussian."""


class Roughness(nn.Module):
    """Intensity of regions in sub-frames -> roughness of regions in frames, in asper."""

    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        for index, (_, _, carrier) in enumerate(_GROUPS):
            self.register_buffer(f"kernel_{index}", _kernel(carrier), persistent=False)
        cam = CAM_MIN + CAM_STEP * (BANDS_PER_REGION * np.arange(N_REGIONS) + 2.0)
        hz = erb_number_to_hz(torch.as_tensor(cam)).log().numpy()
        weight = np.interp(hz, np.log(list(_CARRIER)), list(_CARRIER.values()))
        self.register_buffer("weight", torch.as_tensor(weight).float(), persistent=False)

    def forward(
        self,
        region: Float[Tensor, "batch sub_frame region"],
        mask: Bool[Tensor, "batch frame"],
    ) -> Float[Tensor, "batch frame region"]:
        """Roughness by region; zeros outside `mask`."""
        inside = mask.repeat_interleave(SUB_FRAMES, dim=1)[..., None].to(region.dtype)
        envelope = ((region + ENVELOPE_FLOOR**2).sqrt() - ENVELOPE_FLOOR) * inside
        parts = [
            # A frame's centre is the second of its own sub-frames.
            centred_filter(
                envelope[..., first:last],
                inside,
                getattr(self, f"kernel_{index}"),
                stride=SUB_FRAMES,
                lead=1,
            )
            for index, (first, last, _) in enumerate(_GROUPS)
        ]
        mean, cosine, sine = torch.cat(parts, dim=-1) * mask[..., None]
        depth = (cosine.square() + sine.square() + EPSILON**2).sqrt() - EPSILON
        depth = _coherence(cosine, sine) * depth / (mean + ENVELOPE_FLOOR)
        power = mean.square()
        level = compressed(power) / (REFERENCE_INTENSITY**0.2)
        # the power's slope is finite at 0 with the small constant
        grown = (level + 1e-3) ** LEVEL_POWER
        return self.weight * (unmasked(power) * depth).square() * grown * mask[..., None]


def unmasked(
    power: Float[Tensor, "batch frame region"],
) -> Float[Tensor, "batch frame region"]:
    """How far a region stands out of what its neighbours spread into it, 0 to 1."""
    padded = functional.pad(power, (1, 1))
    spread = SPREAD * (padded[..., :-2] + padded[..., 2:])
    return power / (power + spread + ENVELOPE_FLOOR**2)


def _coherence(
    cosine: Float[Tensor, "batch frame region"], sine: Float[Tensor, "batch frame region"]
) -> Float[Tensor, "batch frame region"]:
    """How far a region trembles with its neighbours, 0 to 1."""
    power = _average(cosine.square() + sine.square())
    left, right = (slice(None, -1), slice(1, None))
    real = _average(cosine[..., left] * cosine[..., right] + sine[..., left] * sine[..., right])
    imag = _average(sine[..., left] * cosine[..., right] - cosine[..., left] * sine[..., right])
    floor = ENVELOPE_FLOOR**2
    product = power[..., left] * power[..., right] + floor**2
    common = ((real.square() + imag.square() + floor**2) / product).clamp_max(1.0)
    ratio = power[..., right] / (power[..., left] + floor)
    upper = _counted(common, ratio)
    ratio = power[..., left] / (power[..., right] + floor)
    lower = _counted(common, ratio)
    return functional.pad(upper, (0, 1), value=1.0) * functional.pad(lower, (1, 0), value=1.0)


def _counted(
    common: Float[Tensor, "batch frame pair"], ratio: Float[Tensor, "batch frame pair"]
) -> Float[Tensor, "batch frame pair"]:
    """Coherence with a neighbour, 1 where that is far softer."""
    return 1.0 - ratio / (ratio + SOFT_NEIGHBOUR) * (1.0 - common)


def _average(value: Float[Tensor, "batch frame feature"]) -> Float[Tensor, "batch frame feature"]:
    return moving_sum(value, COHERENCE_FRAMES, dim=1) / COHERENCE_FRAMES


def _full_depth(rate: float) -> float:
    """Depth of a fully modulated tone's envelope, as the sub-frames' windows let it through."""
    phase = 2.0 * np.pi * np.arange(64) / 64
    fade = np.exp(-2.0 * (np.pi * _WINDOW_SPREAD_S * rate * np.arange(1, 3)) ** 2)
    envelope = np.sqrt(1.5 + 2.0 * fade[0] * np.cos(phase) + 0.5 * fade[1] * np.cos(2.0 * phase))
    return float(2.0 * (envelope * np.cos(phase)).mean() / envelope.mean())


@lru_cache
def _kernel(carrier: int) -> Float[Tensor, "3 1 tap"]:
    depth = np.sqrt(_ASPER[carrier]) / [_full_depth(hz) for hz in _RATES_HZ]
    sample_rate = FRAME_RATE * SUB_FRAMES
    return band_pass(_RATES_HZ, depth, sample_rate=sample_rate, reach=_REACH).float()
