"""Psychoacoustic conditioning: what is heard modulates how the transformer reads the encoder.

The ear's tokens of each frame become a scale and a shift for every normalisation in the head
(FiLM, Perez et al., 2018; adaLN, Peebles and Xie, 2023). The last layer starts at zero, so an
untrained conditioning changes nothing, and `groups=()` is the ablation without it.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pamt_metric.errors import ConfigError
from pamt_metric.psychoacoustics import TOKEN_GROUPS, EarTokens

AUDIBILITY_FLOOR = 0.01
"""Sone; what is quieter than this takes no part in attention or pooling."""


class EarConditioning(nn.Module):
    """Ear tokens -> (scale, shift) for each of `n_modulations` normalisations of one width."""

    def __init__(
        self, *, groups: Sequence[str], width: int, n_modulations: int, hidden: int = 64
    ) -> None:
        super().__init__()
        unknown = set(groups) - set(TOKEN_GROUPS)
        if unknown:
            known = ", ".join(TOKEN_GROUPS)
            raise ConfigError(f"token groups must be among {known}; got {', '.join(unknown)}")
        self.groups = tuple(groups)
        self.width = width
        self.n_modulations = n_modulations
        if self.groups:
            n_feature = sum(TOKEN_GROUPS[name] for name in self.groups)
            last = nn.Linear(hidden, 2 * n_modulations * width)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.network = nn.Sequential(nn.Linear(n_feature, hidden), nn.GELU(), last)

    def forward(
        self, tokens: EarTokens
    ) -> list[tuple[Float[Tensor, "batch frame width"], Float[Tensor, "batch frame width"]]] | None:
        """A (scale, shift) pair for each normalisation, or None without any token group."""
        if not self.groups:
            return None
        features = torch.cat([tokens.group(name) for name in self.groups], dim=-1)
        modulation = self.network(features)
        parts = modulation.unflatten(-1, (self.n_modulations, 2, self.width))
        return [(parts[..., i, 0, :], parts[..., i, 1, :]) for i in range(self.n_modulations)]


class ModulatedNorm(nn.Module):
    """Layer norm without parameters of its own, scaled and shifted by the conditioning."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)

    def forward(
        self,
        x: Float[Tensor, "batch frame width"],
        modulation: tuple[Tensor, Tensor] | None,
    ) -> Float[Tensor, "batch frame width"]:
        """Normalised, then times (1 + scale) plus shift."""
        normed = self.norm(x)
        if modulation is None:
            return normed
        scale, shift = modulation
        return normed * (1.0 + scale) + shift


def audibility(tokens: EarTokens) -> Float[Tensor, "batch frame"]:
    """How far a frame is heard at all, 0 in silence to 1."""
    loudness = tokens.audible_loudness()
    return loudness / (loudness + AUDIBILITY_FLOOR)


def log_audibility(tokens: EarTokens) -> Float[Tensor, "batch frame"]:
    """Logarithm of audible loudness over its floor, at least 0: the weight of a frame."""
    return (tokens.audible_loudness() / AUDIBILITY_FLOOR + 1.0).log()
