"""Sharpness: where on the cochlea loudness lies, with extra weight for the treble.

    S = sum_j w_j N'_j^0.9 / (sum_j N'_j)^0.9     acum

One acum is a noise of one critical band at 1 kHz and 60 dB.

Source: DIN 45692:2009, which weighs the specific loudness of ISO 532-1 over Barks with z g(z).
Here it is that of ISO 532-2, whose patterns are narrower: they heap the loudness of one critical
band on fewer places, beside that of a broad band. The power of 0.9 makes up for that (with 1 no
weight at all meets the standard's values for both kinds of noise), and the weight w was fitted to
those thirteen values, noises of 4 sone, as Swift and Gee (2017) do for the same loudness.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from pamt_metric.psychoacoustics.scales import CAM_MIN, CAM_STEP, N_BANDS

LOUDNESS_FLOOR = 1e-3
"""Sone per half Cam that keeps the ratio finite in silence."""
SPREAD_POWER = 0.9
"""Under 1, loudness on many places counts more than the same on few."""
SPREAD_FLOOR = 1e-6
"""Sone per Cam that keeps the slope of the power finite."""
# Acum by Cam, exponential in between.
_WEIGHT = {2: 0.16, 8: 0.33, 14: 0.67, 20: 1.05, 24: 1.4, 28: 2.26, 32: 4.11, 36: 6.46, 39: 9.97}


def sharpness_weight() -> Float[Tensor, "band"]:
    """Sharpness of loudness at each band, in acum."""
    cam = CAM_MIN + CAM_STEP * np.arange(N_BANDS)
    log_weight = np.interp(cam, list(_WEIGHT), np.log(list(_WEIGHT.values())))
    return torch.as_tensor(np.exp(log_weight))


class Sharpness(nn.Module):
    """Specific loudness -> sharpness in acum."""

    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", sharpness_weight().float(), persistent=False)

    def forward(
        self, specific_loudness: Float[Tensor, "*batch frame band"]
    ) -> Float[Tensor, "*batch frame"]:
        """Sharpness in acum; 0 in silence."""
        # N'^0.9, with a finite slope in silence
        spread = specific_loudness * (specific_loudness + SPREAD_FLOOR) ** (SPREAD_POWER - 1.0)
        total = specific_loudness.sum(-1) + LOUDNESS_FLOOR
        return spread @ self.weight / total**SPREAD_POWER


def sharpness_of(
    specific_loudness: Float[Tensor, "*batch frame band"],
) -> Float[Tensor, "*batch frame"]:
    """The same, as a function."""
    return Sharpness().to(specific_loudness)(specific_loudness)
