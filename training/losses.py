"""The objectives of stages 2 and 3, each a function of distances or embeddings alone.

Distances enter as logarithms wherever only their order matters, so that no objective gains by
making everything larger.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

TINY = 1e-6
"""Smallest distance whose logarithm is taken: well under any audible change."""
NEAR_FRAMES = 5
"""Frames this near to an anchor are no negatives: they may sound the same."""


def rating_loss(distance: Float[Tensor, "pair"], human: Float[Tensor, "pair"]) -> Float[Tensor, ""]:
    """1 - correlation of the distances with the ranks of the human ratings of one study."""
    below = (human[:, None] > human[None, :]).sum(1)
    ties = (human[:, None] == human[None, :]).sum(1)
    ranks = below + 0.5 * (ties - 1)  # tied ratings share the mean of their ranks
    return 1.0 - _correlation(distance, ranks.to(distance.dtype))


def order_loss(
    milder: Float[Tensor, "pair"], stronger: Float[Tensor, "pair"], *, margin: float
) -> Float[Tensor, ""]:
    """Hinge on neighbouring rungs of a ladder: the stronger must be farther by the margin."""
    gap = (stronger + TINY).log() - (milder + TINY).log()
    return functional.relu(margin - gap).mean()


def content_margin_loss(
    copies: Float[Tensor, "copy"], others: Float[Tensor, "other"], *, margin: float
) -> Float[Tensor, ""]:
    """Hinge on every copy against every other song: the other song must be farther."""
    gap = (others + TINY).log()[None, :] - (copies + TINY).log()[:, None]
    return functional.relu(margin - gap).mean()


def jnd_loss(
    distance: Float[Tensor, "pair"], level_db: Float[Tensor, "pair"], *, margin: float
) -> Float[Tensor, ""]:
    """Hinge at one just-noticeable difference for noise `level_db` over the masked threshold.

    Under the threshold the distance must be below 1, over it above 1, at it exactly 1.
    """
    log_distance = (distance + TINY).log()
    over = functional.relu(margin - log_distance * level_db.sign())
    at = log_distance.abs()
    return torch.where(level_db == 0.0, at, over).mean()


def consistency_loss(distance: Float[Tensor, "copy"], *, margin: float) -> Float[Tensor, ""]:
    """Hinge on changes that nobody hears: they must stay under one just-noticeable difference."""
    return functional.relu((distance + TINY).log() + margin).mean()


def just_heard_loss(log_distances: Sequence[Float[Tensor, "_pair"]]) -> Float[Tensor, ""]:
    """Spread of the log distances of changes at listeners' thresholds, experiments counting alike.

    Mean absolute deviation from the mean; each element of the argument is of one experiment.
    """
    center = torch.stack([each.mean() for each in log_distances]).mean()
    return torch.stack([(each - center).abs().mean() for each in log_distances]).mean()


def same_content_loss(
    same: Float[Tensor, "same"], other: Float[Tensor, "other"]
) -> Float[Tensor, ""]:
    """Cross-entropy of the gate: 0 for two takes of one performance, 1 for two performances.

    `same` and `other` hold the gate's values for pairs of either kind; both kinds count as much.
    """
    return -(1.0 - same).clamp_min(TINY).log().mean() - other.clamp_min(TINY).log().mean()


def contrastive_loss(
    anchor: Float[Tensor, "sample dim"],
    positive: Float[Tensor, "sample dim"],
    clip: Int64[Tensor, "sample"],
    frame: Int64[Tensor, "sample"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Frame-level InfoNCE between clips and their imperceptibly changed copies, both ways.

    Row i of `anchor` and of `positive` is the same instant of the same clip; negatives are other
    instants, of this clip if far enough, and of other clips.

    Source: van den Oord et al., 2018, equation 4.
    """
    logits = anchor @ positive.T / temperature
    logits = logits.masked_fill(_too_near(clip, frame), float("-inf"))
    target = torch.arange(len(anchor), device=anchor.device)
    forth = functional.cross_entropy(logits, target)
    back = functional.cross_entropy(logits.T, target)
    return 0.5 * (forth + back)


def _too_near(
    clip: Int64[Tensor, "sample"], frame: Int64[Tensor, "sample"]
) -> Bool[Tensor, "sample sample"]:
    same_clip = clip[:, None] == clip[None, :]
    near = (frame[:, None] - frame[None, :]).abs() <= NEAR_FRAMES
    itself = torch.eye(len(clip), dtype=torch.bool, device=clip.device)
    return same_clip & near & ~itself


def _correlation(a: Float[Tensor, "pair"], b: Float[Tensor, "pair"]) -> Float[Tensor, ""]:
    a, b = a - a.mean(), b - b.mean()
    return (a * b).sum() / (a.square().sum() * b.square().sum() + TINY**2).sqrt()
