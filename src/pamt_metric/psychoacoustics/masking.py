"""The masked threshold: how strong another sound may be at each place and moment, unheard.

Three things hide a sound: energy that the same sound puts into neighbouring bands (the masker's
excitation spread by 27 dB per Bark downwards and a shallower slope upwards), energy that has just
stopped (forward masking), and the threshold of hearing itself. A fixed number of dB under the
masker (3 dB up to 12 Bark, 0.25 dB per Bark above) is the least signal that is heard.

Source: ITU-R BS.1387-1, annex 2, 2.1.7 (spreading) and 2.1.9 (masking offset). Departs from it:
the upper slope is that of a masker of 70 dB at 1 kHz whatever the level; powers add; forward
masking is a straight line in dB over time.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pamt_metric.psychoacoustics.frames import FRAME_RATE
from pamt_metric.psychoacoustics.loudness import threshold_excitation
from pamt_metric.psychoacoustics.scales import center_frequencies

LOWER_SLOPE_DB = 27.0
"""dB per Bark towards lower frequencies."""
UPPER_SLOPE_DB = 24.0 + 0.23 - 0.2 * 70.0
"""dB per Bark towards higher frequencies: 24 + 230 / fc - 0.2 L at fc = 1 kHz, L = 70 dB."""
FLAT_OFFSET_DB = 3.0
OFFSET_PER_BARK_DB = 0.25
FORWARD_DECAY_DB_PER_S = 400.0
"""Decay of the threshold after a masker stops: about 20 dB in the first 50 ms."""
FORWARD_FRAMES = 8
"""Frames for which a masker is remembered (107 ms)."""


def hz_to_bark(frequency: Float[Tensor, "band"]) -> Float[Tensor, "band"]:
    """Bark number as BS.1387 approximates it: 7 asinh(f / 650)."""
    return 7.0 * torch.asinh(frequency / 650.0)


class MaskedThreshold(nn.Module):
    """Excitation -> the excitation that an added sound needs to be heard."""

    spread: Tensor
    quiet: Tensor

    def __init__(self) -> None:
        super().__init__()
        center = center_frequencies()
        bark = hz_to_bark(center)
        offset_db = torch.maximum(torch.tensor(FLAT_OFFSET_DB), OFFSET_PER_BARK_DB * bark)
        distance = bark[None, :] - bark[:, None]  # from masker (row) to signal (column)
        loss_db = torch.where(distance > 0, UPPER_SLOPE_DB * distance, -LOWER_SLOPE_DB * distance)
        spread = 10.0 ** (-(loss_db + offset_db[None, :]) / 10.0)
        # Half-Cam filters overlap, so neighbours already hold the masker's own energy; without
        # this a white masker would count it many times over.
        spread = spread / (10.0 ** (-loss_db / 10.0)).sum(0, keepdim=True)
        decay = 10.0 ** (-FORWARD_DECAY_DB_PER_S / FRAME_RATE / 10.0)
        self.register_buffer("spread", spread.float(), persistent=False)
        self.register_buffer("quiet", threshold_excitation(center).float(), persistent=False)
        self.decay = decay

    def forward(
        self, excitation: Float[Tensor, "*batch frame band"]
    ) -> Float[Tensor, "*batch frame band"]:
        """Threshold per band, never under the threshold of hearing."""
        threshold = excitation @ self.spread
        # The largest of the frames `lag` ago, each decayed by `lag` steps, for every lag from 0 to
        # FORWARD_FRAMES. With `covered` lags done, one more shift covers up to twice as many.
        covered, wanted = 1, FORWARD_FRAMES + 1
        while covered < wanted:
            shift = min(covered, wanted - covered)
            earlier = functional.pad(threshold, (0, 0, shift, 0))[..., : excitation.shape[-2], :]
            threshold = torch.maximum(threshold, earlier * self.decay**shift)
            covered += shift
        return threshold + self.quiet
