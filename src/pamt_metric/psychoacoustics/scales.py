"""The ERB-number scale: frequency as the cochlea lays it out.

    ERB_N(f) = 24.673 (0.004368 f + 1)            Hz
    Cam(f)   = 21.366 log10(0.004368 f + 1)

Source: ISO 532-2:2017, 5.4 (after Glasberg and Moore, 1990).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

ERB_MIN_HZ = 24.673
"""Bandwidth towards 0 Hz, in Hz."""
ERB_SLOPE = 0.004368
"""Growth of the bandwidth, per Hz."""
CAM_SCALE = 21.366
"""Cam per decade of (0.004368 f + 1)."""

N_BANDS = 75
CAM_MIN = 1.8
"""Centre of the lowest band, in Cam (about 49 Hz); ISO 532-2 sums from here to 38.9 Cam."""
CAM_STEP = 0.5
"""Distance between neighbouring band centres, in Cam."""
N_REGIONS = 15
"""Regions of neighbouring bands in which modulation, onsets and the two ears are told."""
BANDS_PER_REGION = N_BANDS // N_REGIONS


def hz_to_erb_number(frequency: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """ERB number (Cam) of a frequency in Hz."""
    return CAM_SCALE * torch.log10(ERB_SLOPE * frequency + 1.0)


def erb_number_to_hz(erb_number: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Frequency in Hz of an ERB number (Cam)."""
    return (torch.exp(erb_number * (math.log(10.0) / CAM_SCALE)) - 1.0) / ERB_SLOPE


def equivalent_rectangular_bandwidth(frequency: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Bandwidth in Hz of the auditory filter centred at a frequency in Hz."""
    return ERB_MIN_HZ * (ERB_SLOPE * frequency + 1.0)


def center_frequencies(n_bands: int = N_BANDS) -> Float[Tensor, "band"]:
    """Centres of the ear's bands in Hz, float64, rising; half-Cam steps."""
    return erb_number_to_hz(CAM_MIN + CAM_STEP * torch.arange(n_bands, dtype=torch.float64))
