"""Fluctuation strength: how strongly the envelope swells and fades between 0.25 and 20 Hz.

As `roughness`, slower: the envelope of each region, square root of intensity, once a frame,

    F_i = (n_i / n_0)^0.6 u_i^2 m^2 m^2 / (m^2 + 1.5 s^2),     F = (sum F_i^2.5)^0.4     vacil
    m^2 = min(|y|^2 / (mean a)^2, 1.6)

y is the deviation from the mean through a complex band pass with most of its response at 4 Hz, m
the depth: pulses are no deeper than a full modulation. s is the depth of what goes slower than
about once a second, whose flanks hold faster rates that nobody hears as such: a slow sweep passes
a region in pulses, and is heard as a slow sweep. Noise, which fluctuates by itself, loses less by
it than a tone. n_i is the compressed intensity, n_0 that of 70 dB, u_i the share of a region's
power that its neighbours did not spread into it. Regions add with a power of 2.5: broadband noise
fluctuates little more than a tone.

Source: Fastl and Zwicker (2007), figures 10.1 to 10.5 (medians of listeners as digitised by
Osses); levels and carriers from the same. Departs from their formula, which needs the temporal
masking pattern: both responses were shaped so that tones and noise, in amplitude and frequency,
fall within the listeners' quartiles.
"""

import math

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

LARGEST_DEPTH_SQUARED = 1.6
SLOW_WEIGHT = 1.5
"""How much the square of what is slow takes from a region's fluctuation."""
DEPTH_FLOOR = 1e-9
"""Square of a depth that counts as none."""

# Hz: squared response, re 4 Hz
_STRENGTH = {
    0.25: 0.03,
    0.5: 0.6,
    1.0: 0.8,
    2.0: 0.8,
    3.0: 0.94,
    4.0: 1.0,
    5.0: 0.97,
    8.0: 0.78,
    16.0: 0.27,
    32.0: 0.05,
}
# Hz: response to what is slow
_SLOW = {0.25: 1.0, 0.5: 0.6, 1.0: 0.6, 2.0: 0.05, 4.0: 0.0}


class FluctuationStrength(nn.Module):
    """Intensity of regions in sub-frames -> fluctuation strength in frames, in vacil."""

    kernel: Tensor
    slow_kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        response = {rate: math.sqrt(squared) for rate, squared in _STRENGTH.items()}
        self.register_buffer("kernel", _kernel(response), persistent=False)
        self.register_buffer("slow_kernel", _kernel(_SLOW), persistent=False)

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
        _, *slow = centred_filter(envelope, inside, self.slow_kernel) * inside
        reference = (mean + ENVELOPE_FLOOR).square()
        depth_squared = (real.square() + imag.square()) / reference
        depth_squared = depth_squared.clamp_max(LARGEST_DEPTH_SQUARED)
        slow_squared = SLOW_WEIGHT * (slow[0].square() + slow[1].square()) / reference
        share = depth_squared / (depth_squared + slow_squared + DEPTH_FLOOR)
        power = mean.square()
        level = compressed(power) / REFERENCE_INTENSITY**0.2
        by_region = unmasked(power).square() * depth_squared * share * (level + 1e-3) ** LEVEL_POWER
        total = (by_region.pow(REGION_POWER).sum(-1) + POWER_FLOOR) ** (1.0 / REGION_POWER)
        return REFERENCE_VACIL * (total - POWER_FLOOR ** (1.0 / REGION_POWER)) * mask


def _kernel(response: dict[float, float]) -> Float[Tensor, "3 1 tap"]:
    reach = round(REACH_S * FRAME_RATE)
    values = np.array(list(response.values()))
    return band_pass(tuple(response), values, sample_rate=FRAME_RATE, reach=reach).float()
