"""From two encoded clips to one distance, and to the evidence behind it.

Aligned evidence compares the clips frame by frame; pooled evidence compares them as wholes. Which
of the two a listener goes by depends on whether both are the same performance: a noisy copy is
judged by what was added and lost, another song by what it is. A gate decides, from how much of
either clip's sound the other does not hold, less where their fine structures are in phase:

    e_i      = root(mean square of evidence i) / typical_i     one number for each kind
    fidelity = scale sum_i w_i e_i                             aligned kinds alone
    content  = scale (sum_i v_i squash(e_i) + offset)          all kinds; squash: a square root
    m        = unshared(a, b)                                  0 for copies, towards 1 for others
    h        = m^2 / (m^2 + m0^2)
    distance = (1 - h) fidelity + h content

Where the performances agree, flaws add up, and sound that was added counts apart from sound that
was lost. Where they differ, listeners call two tones alike that agree in most respects: square
roots keep one large difference from speaking for all. Every w, v and offset is positive, so the
distance is never negative; every difference enters squared, so it is symmetric, exactly 0 for
a = b, and has a finite slope there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pamt_metric.evidence import (
    ADDED,
    ALIGNED,
    EVIDENCE,
    MISSING,
    POOLED,
    SIGNED,
    UNSIGNED,
    Encoded,
    aligned_means,
    evidence_maps,
    frame_weight,
    map_mean_name,
    pooled_differences,
    unshared,
)
from pamt_metric.psychoacoustics.scales import N_BANDS

# Size of each kind for two instrument tones of one study (median over the train split), which
# makes an untrained weight of 1 mean 'as much as the others'. Set by hand: 'interaural' (those
# tones are mono), what the head adds, and the statistics, which are standardised already. 'place'
# and 'standout' are as large as listeners' discrimination of frequency and their forward masking
# ask, beside their discrimination of intensity (training/LOG.md).
_TYPICAL = {
    "loudness": 0.34,
    "masked": 1.7,
    "level": 1.2,
    "patch": 0.59,
    "modulation": 0.26,
    "onset": 0.16,
    "flux": 0.08,
    "presence": 0.23,
    "novelty": 1.25,
    "interaural": 0.3,
    "place": 10.0,
    "standout": 0.57,
    "sequence": 1.0,
    "own": 1.0,
    **dict.fromkeys(POOLED[1:], 1.0),
}
# The same of one half of a signed kind.
_TYPICAL_HALF = {"loudness": 0.22, "masked": 1.1, "level": 0.77}

SQUASH_FLOOR = 2.0**-8
"""Share of the typical evidence under which `squash` is straight."""
ROOT_FLOOR = 2.0**-10
"""Where `root` turns from linear to a square root's slope."""
GATE_CENTER = 0.03
"""Cue at which an untrained gate is half open: in the train split nineteen of twenty separated
voices, codecs and rooms are under 0.02, nineteen of twenty pairs of tones over 0.05."""
GATE_POWER = 2.0
"""Steepness of the gate. Steeper ones tell copies from other content no better, and make the
distance of tones that lie near its centre jump."""


@dataclass(frozen=True)
class PairEvidence:
    """A distance per item of a batch and what it is made of, all in just-noticeable differences.

    Attributes:
        distance: (1 - h) fidelity + h content.
        fidelity: audible flaws of one performance, in time and frequency.
        content: how different the clips are as pieces of music.
        added: the part of `fidelity` that sound new in the test makes.
        missing: the part of it that sound lost from the reference makes.
        same_content: 1 - h, how far the pair was judged as one performance.
        band_map: share of the distance by frame and band; sums to `distance`.
    """

    distance: Float[Tensor, "batch"]
    fidelity: Float[Tensor, "batch"]
    content: Float[Tensor, "batch"]
    added: Float[Tensor, "batch"]
    missing: Float[Tensor, "batch"]
    same_content: Float[Tensor, "batch"]
    band_map: Float[Tensor, "batch frame band"]


class PairDistance(nn.Module):
    """Learned mix of the evidence; some forty numbers, all positive by construction."""

    scale: Tensor
    typical: Tensor
    typical_half: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.log_same_weight = nn.Parameter(torch.zeros(len(ALIGNED)))
        self.log_other_weight = nn.Parameter(torch.zeros(len(EVIDENCE)))
        self.log_gate_center = nn.Parameter(torch.tensor(GATE_CENTER).log())
        self.log_offset = nn.Parameter(torch.tensor(0.0))
        self.register_buffer("scale", torch.tensor(1.0))
        typical = torch.tensor([_TYPICAL[name] for name in EVIDENCE])
        self.register_buffer("typical", typical, persistent=False)
        halves = torch.tensor([_TYPICAL_HALF[name] for name in SIGNED])
        self.register_buffer("typical_half", halves, persistent=False)

    def forward(
        self, a: Encoded, b: Encoded, duration: Float[Tensor, "batch frame"] | None = None
    ) -> Float[Tensor, "batch"]:
        """Distance of each pair; `a` and `b` hold the same number of clips and frames.

        `duration` is how much time each frame stands for; all the same by default.
        """
        means = aligned_means(a, b, frame_weight(a.tokens, b.tokens, duration))
        means |= pooled_differences(a.embedding.pooled, b.embedding.pooled)
        return self.combine(means, unshared(a.tokens, b.tokens))

    def combine(
        self, means: Mapping[str, Float[Tensor, "batch"]], cue: Float[Tensor, "batch"]
    ) -> Float[Tensor, "batch"]:
        """Distance from the mean squares of `ALIGNED_MEANS` and `POOLED`, and the gate's cue."""
        gate = self.gate(cue)
        return (1.0 - gate) * self.fidelity(means) + gate * self.content(means)

    def explain(
        self, a: Encoded, b: Encoded, duration: Float[Tensor, "batch frame"] | None = None
    ) -> PairEvidence:
        """The same distance with its parts, `a` being the reference and `b` the test."""
        weight = frame_weight(a.tokens, b.tokens, duration)
        means = aligned_means(a, b, weight)
        means |= pooled_differences(a.embedding.pooled, b.embedding.pooled)
        maps = evidence_maps(a, b)
        cue = unshared(a.tokens, b.tokens)
        return self.from_means(means, cue, partial(weighed_sum, maps, weight))

    def from_means(
        self,
        means: Mapping[str, Float[Tensor, "batch"]],
        cue: Float[Tensor, "batch"],
        weigh: Callable[[Float[Tensor, "batch aligned"]], Float[Tensor, "batch frame band"]],
    ) -> PairEvidence:
        """Evidence from mean squares, the gate's cue, and what sums the weighed maps of `ALIGNED`.

        The map spreads the distance over time and band in proportion to the aligned evidence.
        """
        gate = self.gate(cue)
        distance = self.combine(means, cue)
        share = weigh(self._map_weights(means, gate))
        total = share.sum((1, 2), keepdim=True)
        floor = torch.finfo(share.dtype).tiny
        return PairEvidence(
            distance=distance,
            fidelity=self.fidelity(means),
            content=self.content(means),
            added=self.added(means),
            missing=self.missing(means),
            same_content=1.0 - gate,
            band_map=distance[:, None, None] * share / total.clamp_min(floor),
        )

    def fidelity(self, means: Mapping[str, Float[Tensor, "batch"]]) -> Float[Tensor, "batch"]:
        """What the flaws of a copy add up to, from the mean squares of `ALIGNED_MEANS`."""
        return self.scale * self._flaws(means).sum(-1)

    def added(self, means: Mapping[str, Float[Tensor, "batch"]]) -> Float[Tensor, "batch"]:
        """The part of `fidelity` that comes from sound new in the test."""
        return self.scale * (self._half_weight() * self._halves(means, ADDED)).sum(-1)

    def missing(self, means: Mapping[str, Float[Tensor, "batch"]]) -> Float[Tensor, "batch"]:
        """The part of `fidelity` that comes from sound lost from the reference."""
        return self.scale * (self._half_weight() * self._halves(means, MISSING)).sum(-1)

    def content(self, means: Mapping[str, Float[Tensor, "batch"]]) -> Float[Tensor, "batch"]:
        """How different two pieces are, from the mean squares of all evidence."""
        weighed = self.log_other_weight.exp() * self._squashed(means)
        return self.scale * (weighed.sum(-1) + self.log_offset.exp())

    def gate(self, cue: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        """h, from 0 for one performance towards 1 for two; `cue` is what `unshared` gives."""
        ratio = (cue / self.log_gate_center.exp()) ** GATE_POWER
        return ratio / (ratio + 1.0)

    def _halves(
        self, means: Mapping[str, Float[Tensor, "batch"]], names: Sequence[str]
    ) -> Float[Tensor, "batch signed"]:
        return torch.stack([root(means[name]) for name in names], dim=-1) / self.typical_half

    def _half_weight(self) -> Float[Tensor, "signed"]:
        return self.log_same_weight[: len(SIGNED)].exp()

    def _flaws(self, means: Mapping[str, Float[Tensor, "batch"]]) -> Float[Tensor, "batch aligned"]:
        """Weighed size of each kind of `ALIGNED`; of the signed ones the sum of both halves."""
        signed = self._halves(means, ADDED) + self._halves(means, MISSING)
        size = torch.stack([root(means[name]) for name in UNSIGNED], dim=-1)
        size = size / self.typical[len(SIGNED) : len(ALIGNED)]
        return self.log_same_weight.exp() * torch.cat([signed, size], dim=-1)

    def _squashed(
        self, means: Mapping[str, Float[Tensor, "batch"]]
    ) -> Float[Tensor, "batch evidence"]:
        whole = _joined(means)
        size = torch.stack([root(whole[name]) for name in EVIDENCE], dim=-1)
        return squash(size / self.typical)

    def _map_weights(
        self, means: Mapping[str, Float[Tensor, "batch"]], gate: Float[Tensor, "batch"]
    ) -> Float[Tensor, "batch aligned"]:
        """What each aligned kind makes of the distance, over its mean square."""
        flaws = (1.0 - gate)[:, None] * self._flaws(means)
        other = self.log_other_weight.exp() * self._squashed(means)
        size = flaws + gate[:, None] * other[:, : len(ALIGNED)]
        whole = _joined(means)
        mean = torch.stack([whole[map_mean_name(name)] for name in ALIGNED], dim=-1)
        return size / mean.clamp_min(torch.finfo(mean.dtype).tiny)


def weighed_sum(
    maps: Mapping[str, Float[Tensor, "batch frame band"]],
    weight: Float[Tensor, "batch frame"],
    map_weights: Float[Tensor, "batch aligned"],
) -> Float[Tensor, "batch frame band"]:
    """Sum of the maps of `ALIGNED`, by their weights and that of each frame."""
    share = torch.zeros_like(maps["loudness"])
    for index, name in enumerate(ALIGNED):
        density = maps[name] * weight[..., None] / N_BANDS
        share = share + density * map_weights[:, index, None, None]
    return share


def _joined(
    means: Mapping[str, Float[Tensor, "batch"]],
) -> dict[str, Float[Tensor, "batch"]]:
    """Mean squares with the halves of each signed kind added up to the whole."""
    halves = zip(SIGNED, ADDED, MISSING, strict=True)
    return {**means, **{name: means[added] + means[missing] for name, added, missing in halves}}


def root(mean_square: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """sqrt(x + floor^2) - floor without cancellation: 0 at 0, with a finite slope."""
    return mean_square / ((mean_square + ROOT_FLOOR**2).sqrt() + ROOT_FLOOR)


def squash(size: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """About the square root, with a finite slope and the value 0 at 0."""
    return size / (size + SQUASH_FLOOR).sqrt()
