"""The masked threshold: how strong another sound may be at each place and moment, unheard.

Three things hide a sound.

Simultaneous masking. The power within one ERB spreads over the cochlea, by 27 dB per Bark
towards lower frequencies and by a slope that flattens with level towards higher ones,

    24 + 230 / fc - 0.2 L   dB per Bark, fc in Hz, L the masker's level in dB,

and what lies a number of dB under the spread masker S is not heard: 3 dB under a noise (0.25 dB
per Bark from 12 Bark on), but 14.5 dB plus one per Bark (24 dB at most) under a tone, whose
steadiness leaves nothing to hide in. The masker's tonality mixes the two offsets.

Forward masking. In the compressed domain, c(E) = (E + A)^0.2 - A^0.2, what has stopped fades with
a time constant of 44 ms,

    trace(t) = max over lags u of c(S(t - u)) exp(-u / tau)

A sound that is softer than the trace is missed, so the threshold is at least c^-1(trace) - S: the
power that, with what is still there, would reach the trace. While a masker lasts this is nothing.

Absolute threshold. The excitation of a tone that is just heard in quiet.

Source: ITU-R BS.1387-1, annex 2, 2.1.7 (slopes) and 2.1.9 (offset of noise); Johnston (1988,
IEEE JSAC 6) for that of tones, bounded as intensity discrimination bounds it (Hall, 1997); time
constant from temporal masking curves (Lecluyse et al., 2013). Departs from BS.1387: powers add;
fc is the band's, not the line's; L is kept in 20-108 dB.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from pamt_metric.psychoacoustics.calibration import level_db
from pamt_metric.psychoacoustics.filterbank import component_frequencies
from pamt_metric.psychoacoustics.frames import FRAME_RATE
from pamt_metric.psychoacoustics.level_spread import (
    LevelSpread,
    exponential_nodes,
    node_levels_db,
)
from pamt_metric.psychoacoustics.loudness import threshold_excitation
from pamt_metric.psychoacoustics.scales import center_frequencies, hz_to_erb_number
from pamt_metric.psychoacoustics.tonality import Tonality

LOWER_SLOPE_DB = 27.0
"""dB per Bark towards lower frequencies."""
UPPER_SLOPE_DB = 24.0
"""dB per Bark towards higher frequencies, at 0 dB and far up."""
UPPER_SLOPE_HZ = 230.0
"""Steepens the upper slope by this over fc, dB Hz per Bark."""
UPPER_SLOPE_PER_DB = 0.2
"""Flattens the upper slope per dB of the masker's level."""
NOISE_OFFSET_DB = 3.0
NOISE_OFFSET_PER_BARK_DB = 0.25
TONE_OFFSET_DB = 14.5
"""Offset of a tone at 0 Bark; it grows by 1 dB per Bark."""
LARGEST_OFFSET_DB = 24.0
FORWARD_TIME_CONSTANT_S = 0.044
"""Of the trace that a masker leaves, in the compressed domain."""
FORWARD_FRAMES = 16
"""Frames for which a masker is remembered (213 ms)."""
NEPER_PER_DB = math.log(10.0) / 10.0
"""Natural logarithm of a power ratio of 1 dB."""
COMPRESSION = 0.2
COMPRESSION_OFFSET = 4.131
"""A of ISO 532-2 at 500 Hz and above."""


def hz_to_bark(frequency: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Bark number as BS.1387 approximates it: 7 asinh(f / 650)."""
    return 7.0 * torch.asinh(frequency / 650.0)


class MaskedThreshold(nn.Module):
    """Power of components -> the excitation that an added sound needs to be heard."""

    gather: Tensor
    noise_offset_db: Tensor
    tone_offset_db: Tensor
    quiet: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.tonality = Tonality()
        self.spread = LevelSpread(_spread_weight())
        center = center_frequencies()
        bark = hz_to_bark(center)
        constants = {
            "gather": _erb_sum(),
            "noise_offset_db": (NOISE_OFFSET_PER_BARK_DB * bark).clamp_min(NOISE_OFFSET_DB),
            "tone_offset_db": (TONE_OFFSET_DB + bark).clamp_max(LARGEST_OFFSET_DB),
            "quiet": threshold_excitation(center),
        }
        for name, value in constants.items():
            self.register_buffer(name, value.float(), persistent=False)

    def forward(
        self,
        power: Float[Tensor, "batch frame component"],
        mask: Bool[Tensor, "batch frame"],
    ) -> Float[Tensor, "batch frame band"]:
        """Threshold per band, never under the threshold of hearing.

        Frames outside `mask` mask nothing and hold the threshold of hearing.
        """
        erb_power = (power * mask[..., None]) @ self.gather
        level = level_db(erb_power)
        tonality = self.tonality(power, mask)
        offset_db = torch.lerp(self.noise_offset_db, self.tone_offset_db, tonality)
        hiding = erb_power * torch.exp(-NEPER_PER_DB * offset_db)
        masker, simultaneous = self.spread.each(torch.stack([erb_power, hiding]), level)
        stopped = (expanded(forward_trace(compressed(masker))) - masker).clamp_min(0.0)
        return torch.maximum(simultaneous, stopped) * mask[..., None] + self.quiet


def compressed(excitation: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """c(E), with a finite slope at 0."""
    return (excitation + COMPRESSION_OFFSET) ** COMPRESSION - COMPRESSION_OFFSET**COMPRESSION


def expanded(value: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """The excitation whose compressed value is given."""
    return (value + COMPRESSION_OFFSET**COMPRESSION) ** (1.0 / COMPRESSION) - COMPRESSION_OFFSET


def forward_trace(value: Float[Tensor, "*batch frame band"]) -> Float[Tensor, "*batch frame band"]:
    """What is left of earlier frames: the largest of those up to `FORWARD_FRAMES` ago, faded.

    With `covered` lags done, one more shift covers up to twice as many.
    """
    fade = -1.0 / (FORWARD_TIME_CONSTANT_S * FRAME_RATE)
    covered, wanted = 1, FORWARD_FRAMES + 1
    while covered < wanted:
        shift = min(covered, wanted - covered)
        earlier = functional.pad(value, (0, 0, shift, 0))[..., : value.shape[-2], :]
        value = torch.maximum(value, earlier * math.exp(fade * shift))
        covered += shift
    return value


def _erb_sum() -> Float[Tensor, "component band"]:
    """Sums one ERB: flat within 0.3 Cam, half at half a Cam."""
    component = hz_to_erb_number(component_frequencies())[:, None]
    center = hz_to_erb_number(center_frequencies())[None, :]
    return ((0.7 - (component - center).abs()) / 0.4).clamp(0.0, 1.0)


@lru_cache
def _spread_weight() -> Float[Tensor, "node band band"]:
    """Spline coefficients of the spreading from band (row) to band.

    One-ERB sums of half-Cam bands overlap, so a flat masker would count several times over: each
    target is divided by what a flat masker of that level gives it.
    """
    center = center_frequencies()
    bark = hz_to_bark(center)
    distance = bark[None, :] - bark[:, None]
    level = node_levels_db()[:, None, None]
    slope_db = UPPER_SLOPE_DB + UPPER_SLOPE_HZ / center[:, None] - UPPER_SLOPE_PER_DB * level
    slope = (NEPER_PER_DB * slope_db).expand(-1, len(center), len(center))
    upward = exponential_nodes(slope, distance.clamp_min(0.0))
    downward = torch.exp(NEPER_PER_DB * LOWER_SLOPE_DB * distance.clamp_max(0.0))
    flat = torch.exp(-slope * distance.clamp_min(0.0))
    weight = torch.where(distance > 0.0, upward, downward)
    return weight / torch.where(distance > 0.0, flat, downward).sum(1, keepdim=True)
