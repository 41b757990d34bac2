"""Zero mean and unit variance over a whole clip, applied to one window of it at a time.

Source: `zero_mean_unit_var_norm` of transformers' Wav2Vec2FeatureExtractor, which MERT uses.
"""

from collections.abc import Iterable
from functools import reduce
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
    parts: Iterable[Float[Tensor, "_"]], *, dtype: torch.dtype, normalize: bool = True
) -> Preparation:
    """Measure a clip by its parts for an encoder of this dtype; in single where that is half."""
    if not normalize:
        return Preparation(dtype)
    single = torch.promote_types(dtype, torch.float32)
    # One after another: small results between large temporary ones would keep memory from reuse.
    whole = reduce(_joined, (_moments(part.to(single)) for part in parts))
    return Preparation(dtype, whole.mean, torch.sqrt(whole.variance + NORMALIZE_EPSILON))


class _Moments(NamedTuple):
    n_samples: int
    mean: Float[Tensor, ""]
    variance: Float[Tensor, ""]


def _moments(part: Float[Tensor, "time"]) -> _Moments:
    return _Moments(part.shape[0], part.mean(), part.var(correction=0))


def _joined(one: _Moments, two: _Moments) -> _Moments:
    """Moments of two parts as one (Chan, Golub and LeVeque, 1983)."""
    count = one.n_samples + two.n_samples
    share = two.n_samples / count
    apart = two.mean - one.mean
    variance = one.variance + share * (two.variance - one.variance)
    return _Moments(
        count, one.mean + share * apart, variance + share * (1.0 - share) * apart.square()
    )
