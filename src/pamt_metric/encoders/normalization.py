"""Zero mean and unit variance over a whole clip, applied to one window of it at a time.

Source: `zero_mean_unit_var_norm` of transformers' Wav2Vec2FeatureExtractor, which MERT uses.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

# Under the square root of the variance, as there: silence stays silence.
NORMALIZE_EPSILON = 1e-7


class Preparation(NamedTuple):
    """What each window of one clip goes through: no second copy of a long clip is made.

    Attributes:
        dtype: Of the encoder's parameters.
        mean: Of the clip; None where it stays as it is.
        deviation: Square root of the clip's variance and NORMALIZE_EPSILON.
    """

    dtype: torch.dtype
    mean: Float[Tensor, ""] | None = None
    deviation: Float[Tensor, ""] | None = None

    def __call__(self, window: Float[Tensor, "time"]) -> Float[Tensor, "time"]:
        """The window as the encoder takes it."""
        if self.mean is None or self.deviation is None:
            return window.to(self.dtype)
        return ((window.to(self.mean.dtype) - self.mean) / self.deviation).to(self.dtype)


def prepare(
    clip: Float[Tensor, "time"], *, dtype: torch.dtype, normalize: bool = True
) -> Preparation:
    """Measure a clip for an encoder of this dtype; in single precision where that is a half."""
    if not normalize:
        return Preparation(dtype)
    clip = clip.to(torch.promote_types(dtype, torch.float32))
    return Preparation(dtype, clip.mean(), torch.sqrt(clip.var(correction=0) + NORMALIZE_EPSILON))
