"""Fluctuation strength: how strongly the envelope swells and fades between 0.25 and 20 Hz.

As `roughness`, slower: the envelope of each region, square root of intensity, once a frame,

    F_i = w_i (n_i / n_0)^0.6 (u_i |y| / mean a)^2,      F = (sum F_i^2.5)^0.4     vacil

y is the deviation from the mean through a complex band pass whose squared response is the
listeners' fluctuation strength over rate: most at 4 Hz. n_i is the compressed intensity, n_0 that
of 70 dB, u_i the share of a region's power that its neighbours did not spread into it. Regions add
with a power of 2.5: broadband noise fluctuates little more than a tone.

Source: Fastl and Zwicker (2007), figures 10.1 to 10.5 (medians of listeners as digitised by
Osses); levels and carriers from the same. Departs from their formula, which needs the temporal
masking pattern: the numbers of listeners shape the filter directly.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor, nn

from pamt_metric.psychoacoustics.envelope_filter import band_pass, centred_filter
from pamt_metric.psychoacoustics.filterbank import SUB_FRAMES
from pamt_metric.psychoacoustics.frames import FRAME_RATE
from pamt_metric.psychoacoustics.masking import compressed
from pamt_metric.psychoacoustics.roughness import ENVELOPE_FLOOR, unmasked

REFERENCE_VACIL = 1.3
"""A fully modulated tone of 1 kHz and 70 dB at 4 Hz."""
REFERENCE_INTENSITY = 1e7
LEVEL_POWER = 0.6
REGION_POWER = 2.5
REACH_S = 3.0
"""To either side: three quarters of a period of the slowest rate."""
POWER_FLOOR = 1e-6
"""Vacil, to the power of 2.5: keeps the slope finite where nothing fluctuates."""

# Hz: share of the strength at 4 Hz, between the medians for tones and noise, AM and FM
_STRENGTH = {
    0.25: 0.012,
    0.5: 0.2,
    1.0: 0.42,
    2.0: 0.75,
    3.0: 0.94,
    4.0: 1.0,
    5.0: 0.97,
    8.0: 0.78,
    16.0: 0.27,
    32.0: 0.05,
}


class FluctuationStrength(nn.Module):
    """Intensity of regions in sub-frames -> fluctuation strength in frames, in vacil."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", _kernel(), persistent=False)

    def forward(
        self,
        region: Float[Tensor, "batch sub_frame region"],
        mask: Bool[Tensor, "batch frame"],
    ) -> Float[Tensor, "batch frame"]:
        """Fluctuation strength; zeros outside `mask`."""
        inside = mask[..., None].to(region.dtype)
        intensity = region.unflatten(1, (-1, SUB_FRAMES)).mean(2)
        envelope = ((intensity + ENVELOPE_FLOOR**2).sqrt() - ENVELOPE_FLOOR) * inside
        mean, real, imag = centred_filter(envelope, inside, self.kernel) * inside
        depth_squared = (real.square() + imag.square()) / (mean + ENVELOPE_FLOOR).square()
        power = mean.square()
        level = compressed(power) / REFERENCE_INTENSITY**0.2
        by_region = unmasked(power).square() * depth_squared * (level + 1e-3) ** LEVEL_POWER
        total = (by_region.pow(REGION_POWER).sum(-1) + POWER_FLOOR) ** (1.0 / REGION_POWER)
        return REFERENCE_VACIL * (total - POWER_FLOOR ** (1.0 / REGION_POWER)) * mask


@lru_cache
def _kernel() -> Float[Tensor, "3 1 tap"]:
    response = np.sqrt(list(_STRENGTH.values()))
    reach = round(REACH_S * FRAME_RATE)
    return band_pass(tuple(_STRENGTH), response, sample_rate=FRAME_RATE, reach=reach).float()
