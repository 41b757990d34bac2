r"""Place: where on the cochlea the peaks of excitation lie, to a fraction of a band.

Up to a few kHz listeners tell tones apart that move the pattern of excitation by a hundredth of a
Cam: nerves fire in step with the wave. Here the precision comes from the centre of gravity of the
excitation around each band,

    c = sum_j j E_j^2 / sum_j E_j^2      Cam re the band's centre, over 1.5 Cam to either side,

squared so that the peak decides more than the skirts, which flatten with level (6 dB still move a
tone of 1 kHz as much as half a percent of frequency does). Its mean over 0.12 s and its wandering
within that time, v, are weighted by loudness: silence lies nowhere. The move between two sounds
counts by how far it exceeds what either does by itself, and by the precision of the place, which is
lost as hair cells cease to follow the wave,

    z^2 = max(0, (c_a - c_b)^2 - v_a - v_b) / (s^2 + v_a + v_b),    s = s0 (1 + (f / f0)^2),

so that noise, whose peaks wander, moves by about nothing. Beyond z of some `LARGEST` it saturates:
a semitone is another note, a third is no more than that.

Source: s0 from frequency discrimination at 40 dB SL, 0.6 to 2 kHz (Wier, Jesteadt and Green, 1977,
JASA 61); its loss follows the second-order low pass of the hair cell (Palmer and Russell, 1986,
Hear. Res. 24). Centre of gravity and noise term are our own.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pamt_metric.psychoacoustics.moving_sum import moving_sum
from pamt_metric.psychoacoustics.scales import CAM_STEP, N_BANDS, center_frequencies

REACH_BANDS = 3
"""Bands to either side that the centre of gravity is taken over: 1.5 Cam."""
MEMORY_FRAMES = 9
"""Frames over which a place is averaged: 0.12 s, centred."""
PRECISION_CAM = 0.013
"""s0: the least shift that is heard, in Cam; 0.2 % at 1 kHz."""
PHASE_LOCKING_HZ = 3000.0
"""f0: where the precision has fallen by half."""
LARGEST = 30.0
"""z towards which large moves saturate: a little over a semitone at 1 kHz."""
INTENSITY_FLOOR = 1e-3
"""Excitation (-30 dB SPL) that lies at each band's own place."""
LOUDNESS_FLOOR = 1e-6
"""Sone per Cam."""


class Place(NamedTuple):
    """Where the peak around each band lies, in Cam re its centre, and how much it wanders."""

    mean: Float[Tensor, "batch frame band"]
    variance: Float[Tensor, "batch frame band"]


def place(
    excitation: Float[Tensor, "batch frame band"], loudness: Float[Tensor, "batch frame band"]
) -> Place:
    """Place of the peaks of a clip.

    Args:
        excitation: intensity re 0 dB SPL at the cochlea.
        loudness: specific loudness in sone per Cam; what is silent does not count.
    """
    square = (excitation + INTENSITY_FLOOR).square()
    # bfloat16 keeps two digits, too few for a hundredth of a Cam.
    with torch.autocast(square.device.type, enabled=False):
        total, moment = (square @ _around().to(square)).split(N_BANDS, dim=-1)
    center = moment / total
    moments = torch.cat([loudness, loudness * center, loudness * center.square()], dim=-1)
    weight, first, second = moving_sum(moments, MEMORY_FRAMES, dim=1).split(N_BANDS, dim=-1)
    weight = weight + LOUDNESS_FLOOR
    mean = first / weight
    return Place(mean, (second / weight - mean.square()).clamp_min(0.0))


def squared_move(a: Place, b: Place) -> Float[Tensor, "batch frame band"]:
    """z^2 of each band, saturating; 0 where nothing moved by more than it wanders."""
    wandering = a.variance + b.variance
    excess = ((a.mean - b.mean).square() - wandering).clamp_min(0.0)
    square = excess / (_precision().to(wandering).square() + wandering)
    return square / (1.0 + square / LARGEST**2)


@lru_cache
def _around() -> Float[Tensor, "band moment"]:
    """Sums over the neighbours of each band, and over neighbours times their distance in Cam."""
    # Cached tensors outlive the caller: made in inference mode they could never meet autograd.
    with torch.inference_mode(mode=False):
        band = torch.arange(N_BANDS)
        distance = band[:, None] - band[None, :]
        near = (distance.abs() <= REACH_BANDS).double()
        return torch.cat([near, near * distance * CAM_STEP], dim=1)


@lru_cache
def _precision() -> Float[Tensor, "band"]:
    """The least shift that is heard, s, by band, in Cam."""
    with torch.inference_mode(mode=False):
        return PRECISION_CAM * (1.0 + (center_frequencies() / PHASE_LOCKING_HZ).square())
