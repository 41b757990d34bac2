"""From two encoded clips to one distance, and to the evidence behind it.

Aligned evidence compares the clips frame by frame; pooled evidence compares them as wholes. Which
of the two a listener goes by depends on whether both are the same content: a noisy copy is judged
by what was added and lost, another song by what it is. A gate decides, from how much of the sound
has another level in one clip than in the other, so that every kind of evidence has two weights:

    e_i      = root(mean square of evidence i)       one number for each kind, aligned or pooled
    s_i      = squash(e_i / typical_i)               about the square root of it
    u        = sum N (1 - exp(-(L_a - L_b)^2 / 16)) / sum N
    h        = u^p / (u^p + u0^p)                    0 for copies, towards 1 for unrelated clips;
                                                     N the louder of both, L levels in dB
    distance = scale (sum_i ((1 - h) w_i + h v_i) s_i + h offset)^2

What betrays a noisy copy is not what tells two instruments apart: evidence has weights w where the
contents agree and v where they differ. Square roots are summed, then squared, because listeners
call two tones alike that agree in most respects: a sum would let one large difference speak for
all. Every w, v and offset is positive, so the distance is never negative; every difference enters
squared, so it is symmetric, exactly 0 for a = b, and has a finite slope there.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from pamt_metric.head import Embedding
from pamt_metric.psychoacoustics import EarTokens
from pamt_metric.psychoacoustics.loudness import threshold_excitation, total_loudness
from pamt_metric.psychoacoustics.modulation import BANDS_PER_REGION
from pamt_metric.psychoacoustics.scales import N_BANDS, center_frequencies
from pamt_metric.psychoacoustics.statistics import LAYOUT, N_STATISTICS

ALIGNED = ("loudness", "masked", "level", "patch", "modulation", "interaural", "sequence")
"""Kinds of aligned evidence."""
POOLED = ("own", *(f"clip_{name}" for name in LAYOUT))
"""Kinds of pooled evidence: the head's own part of the embedding, each group of statistics."""
EVIDENCE = (*ALIGNED, *POOLED)
"""All kinds, in the order of the learned weights."""
SIGNED = ("loudness", "masked", "level")
"""Kinds that know more sound from less."""

# Size of each kind for two instrument tones of one study (median over the train split), which
# makes an untrained weight of 1 mean 'as much as the others'. Set by hand: 'interaural' (those
# tones are mono), what the head adds, and the statistics, which are standardised already.
_TYPICAL = {
    "loudness": 0.34,
    "masked": 1.7,
    "level": 1.2,
    "patch": 0.59,
    "modulation": 0.26,
    "interaural": 0.3,
    "sequence": 1.0,
    "own": 1.0,
    **dict.fromkeys(POOLED[1:], 1.0),
}

SQUASH_FLOOR = 2.0**-8
"""Share of the typical evidence under which `squash` is straight."""
ROOT_FLOOR = 2.0**-10
"""Where `root` turns from linear to a square root's slope."""
FRAME_FLOOR_SONE = 0.1
"""Weight that a silent frame keeps in the mean over time."""
LOUDNESS_FLOOR = 0.01
"""Sone per Cam at which the compressive loudness difference turns linear."""
MATCH_DB = 4.0
"""Levels that differ by less count mostly as the same, by more mostly as different."""
HIDDEN = 0.01
"""Excitation this far under the masked threshold, as a power ratio, has no level of its own."""
LEVEL_FLOOR = 1e-9
PATTERN_FLOOR = 1e-3
"""Keeps the loudness patterns of two silences from being 0 / 0."""
NEIGHBOURHOOD_BANDS = 9
"""Bands that a level is heard among: 2 Cam to either side."""
NEIGHBOURHOOD_SHARE = 0.3
"""Power under the mean of the neighbourhood, as a ratio, at which levels cease to matter."""
PATCH_FRAMES = 15
"""Length of a patch: 0.2 s."""
PATCH_BANDS = 5


@dataclass(frozen=True)
class Encoded:
    """A batch of clips as the ear and the head see them."""

    tokens: EarTokens
    embedding: Embedding


@dataclass(frozen=True)
class PairEvidence:
    """A distance per item of a batch and what it is made of, all in just-noticeable differences.

    Attributes:
        distance: the gated mix of the two parts.
        fidelity: aligned part; audible differences in time and frequency.
        content: pooled part; how different the clips are as wholes.
        added: the half of `fidelity` that only sound new in the test explains.
        missing: the half that only sound lost from the reference explains.
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
    """Learned mix of the evidence; under thirty numbers, all positive by construction."""

    scale: Tensor
    typical: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.log_same_weight = nn.Parameter(torch.zeros(len(EVIDENCE)))
        self.log_other_weight = nn.Parameter(torch.zeros(len(EVIDENCE)))
        self.log_gate_center = nn.Parameter(torch.tensor(0.7).log())
        self.log_gate_power = nn.Parameter(torch.tensor(4.0).log())
        self.log_offset = nn.Parameter(torch.tensor(0.0))
        self.register_buffer("scale", torch.tensor(1.0))
        typical = torch.tensor([_TYPICAL[name] for name in EVIDENCE])
        self.register_buffer("typical", typical, persistent=False)

    def forward(self, a: Encoded, b: Encoded) -> Float[Tensor, "batch"]:
        """Distance of each pair; `a` and `b` hold the same number of clips and frames."""
        weight = frame_weight(a.tokens, b.tokens)
        means = {name: mean_over_map(x, weight) for name, x in evidence_maps(a, b).items()}
        means |= pooled_differences(a.embedding.pooled, b.embedding.pooled)
        return self.combine(means, level_mismatch(a.tokens, b.tokens))

    def combine(
        self, means: Mapping[str, Float[Tensor, "batch"]], mismatch: Float[Tensor, "batch"]
    ) -> Float[Tensor, "batch"]:
        """Distance from the mean squares of every kind of `EVIDENCE`, and the gate's cue."""
        squashed = self._squashed(means)
        gate = self._gate(mismatch)
        total = (self._mixed_weights(gate) * squashed).sum(-1) + gate * self.log_offset.exp()
        return self.scale * total.square()

    def explain(self, a: Encoded, b: Encoded) -> PairEvidence:
        """The same distance with its parts, `a` being the reference and `b` the test."""
        weight = frame_weight(a.tokens, b.tokens)
        maps = evidence_maps(a, b)
        aligned = {name: mean_over_map(square, weight) for name, square in maps.items()}
        pooled = pooled_differences(a.embedding.pooled, b.embedding.pooled)
        means = aligned | pooled
        mismatch = level_mismatch(a.tokens, b.tokens)
        distance = self.combine(means, mismatch)
        gate = self._gate(mismatch)
        return PairEvidence(
            distance=distance,
            fidelity=self._part(self.log_same_weight, aligned),
            content=self._part(self.log_other_weight, pooled),
            added=self._directional(a.tokens, b.tokens, weight),
            missing=self._directional(b.tokens, a.tokens, weight),
            same_content=1.0 - gate,
            band_map=self._allocate(distance, maps, weight, means, gate),
        )

    def _squashed(
        self, means: Mapping[str, Float[Tensor, "batch"]]
    ) -> Float[Tensor, "batch evidence"]:
        size = torch.stack([root(means[name]) for name in EVIDENCE], dim=-1)
        return squash(size / self.typical)

    def _gate(self, mismatch: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        power = 1.0 + self.log_gate_power.exp()
        ratio = (mismatch / self.log_gate_center.exp()) ** power
        return ratio / (ratio + 1.0)

    def _mixed_weights(self, gate: Float[Tensor, "batch"]) -> Float[Tensor, "batch evidence"]:
        """Weights (1 - h) w + h v."""
        gate = gate[..., None]
        return (1.0 - gate) * self.log_same_weight.exp() + gate * self.log_other_weight.exp()

    def _part(
        self, log_weight: Tensor, means: Mapping[str, Float[Tensor, "batch"]]
    ) -> Float[Tensor, "batch"]:
        """What some kinds of evidence alone would come to."""
        nothing = torch.zeros_like(next(iter(means.values())))
        squashed = self._squashed({name: means.get(name, nothing) for name in EVIDENCE})
        return self.scale * (log_weight.exp() * squashed).sum(-1).square()

    def _directional(
        self, less: EarTokens, more: EarTokens, weight: Float[Tensor, "batch frame"]
    ) -> Float[Tensor, "batch"]:
        """Fidelity from what `more` holds beyond `less` alone."""
        signed = signed_differences(less, more)
        means = {
            name: mean_over_map(x.clamp_min(0.0).square(), weight) for name, x in signed.items()
        }
        return self._part(self.log_same_weight, means)

    def _allocate(
        self,
        distance: Float[Tensor, "batch"],
        maps: Mapping[str, Float[Tensor, "batch frame band"]],
        weight: Float[Tensor, "batch frame"],
        means: Mapping[str, Float[Tensor, "batch"]],
        gate: Float[Tensor, "batch"],
    ) -> Float[Tensor, "batch frame band"]:
        """Spread the distance over time and band in proportion to the aligned evidence."""
        size = self._mixed_weights(gate) * self._squashed(means)
        share = torch.zeros_like(maps["loudness"])
        for name, square in maps.items():
            mean = means[name].clamp_min(torch.finfo(square.dtype).tiny)
            density = square * weight[..., None] / square.shape[-1]
            share = share + density * (size[:, EVIDENCE.index(name)] / mean)[:, None, None]
        total = share.sum((1, 2), keepdim=True)
        return distance[:, None, None] * share / total.clamp_min(torch.finfo(share.dtype).tiny)


def root(mean_square: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """sqrt(x + floor^2) - floor without cancellation: 0 at 0, with a finite slope."""
    return mean_square / ((mean_square + ROOT_FLOOR**2).sqrt() + ROOT_FLOOR)


def squash(size: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """About the square root, with a finite slope and the value 0 at 0."""
    return size / (size + SQUASH_FLOOR).sqrt()


def frame_weight(a: EarTokens, b: EarTokens) -> Float[Tensor, "batch frame"]:
    """Weight of each frame in means over time: the loudness of both, over either's duration."""
    loudness = total_loudness(a.loudness) + total_loudness(b.loudness) + FRAME_FLOOR_SONE
    loudness = loudness * (a.mask | b.mask)
    return loudness / loudness.sum(1, keepdim=True)


def evidence_maps(a: Encoded, b: Encoded) -> dict[str, Float[Tensor, "batch frame band"]]:
    """Squared differences of each kind, by frame and band."""
    signed = signed_differences(a.tokens, b.tokens)
    modulation = (a.tokens.modulation - b.tokens.modulation).square().mean(-1)
    interaural = (a.tokens.interaural - b.tokens.interaural).square().mean(-1)
    either = (a.tokens.mask | b.tokens.mask)[..., None]
    sequence = (a.embedding.sequence - b.embedding.sequence).square().sum(-1, keepdim=True)
    return {
        "loudness": signed["loudness"].square(),
        "masked": signed["masked"].square(),
        "level": signed["level"].square(),
        "patch": patch_difference(a.tokens.loudness, b.tokens.loudness, either),
        "modulation": modulation.repeat_interleave(BANDS_PER_REGION, dim=-1),
        "interaural": interaural.repeat_interleave(BANDS_PER_REGION, dim=-1)
        * _shared_audibility(a.tokens, b.tokens),
        "sequence": sequence.expand(-1, -1, N_BANDS),
    }


def signed_differences(a: EarTokens, b: EarTokens) -> dict[str, Float[Tensor, "batch frame band"]]:
    """Differences that are positive where `b` holds more sound than `a`.

    'loudness' is compressed once more, so that quiet bands count. 'masked' and 'level' are
    logarithms of the ratio of excitations over a common floor: over the masked threshold, that is
    the audible part of a level difference, which vanishes under the threshold; over the mean of the
    neighbourhood, it is how the peaks of the spectrum have moved.
    """
    threshold = 0.5 * (a.threshold + b.threshold)
    quiet = _quiet_excitation().to(threshold)
    neighbourhood = quiet + NEIGHBOURHOOD_SHARE * _neighbourhood(a.excitation + b.excitation)
    return {
        "loudness": _compressed(b.loudness) - _compressed(a.loudness),
        "masked": _log_ratio(b.excitation, a.excitation, threshold),
        "level": _log_ratio(b.excitation, a.excitation, neighbourhood),
    }


@functools.cache
def _quiet_excitation() -> Float[Tensor, "band"]:
    """Excitation of a tone at the threshold of hearing, by band."""
    return threshold_excitation(center_frequencies())


def _log_ratio(more: Tensor, less: Tensor, floor: Tensor) -> Tensor:
    return (more + floor).log() - (less + floor).log()


def _neighbourhood(both: Float[Tensor, "batch frame band"]) -> Float[Tensor, "batch frame band"]:
    """Mean of two excitations over the bands around each band, from their sum."""
    reach = NEIGHBOURHOOD_BANDS // 2
    mean = functional.avg_pool1d(
        both, NEIGHBOURHOOD_BANDS, stride=1, padding=reach, count_include_pad=False
    )
    return 0.5 * mean


def mean_over_map(
    square: Float[Tensor, "batch frame band"], weight: Float[Tensor, "batch frame"]
) -> Float[Tensor, "batch"]:
    """Mean square of one kind of evidence: even over bands, weighted over time."""
    return (square.mean(-1) * weight).sum(1)


def patch_difference(
    a: Float[Tensor, "batch frame band"],
    b: Float[Tensor, "batch frame band"],
    either: Bool[Tensor, "batch frame 1"],
) -> Float[Tensor, "batch frame band"]:
    """Loudness difference relative to loudness within patches of 0.2 s by five bands, 0 to 1."""
    difference = _patch_sum((a - b).square())
    energy = _patch_sum(a.square() + b.square())
    return difference / (energy + PATTERN_FLOOR) * either


def level_mismatch(a: EarTokens, b: EarTokens) -> Float[Tensor, "batch"]:
    """Share of the loudness that the other clip does not hold at about the same level, 0 to 1.

    A degraded copy keeps the level of its strong partials; two instruments on one note do not.
    """
    floor = HIDDEN * 0.5 * (a.threshold + b.threshold) + LEVEL_FLOOR
    level = 10.0 * ((a.excitation + floor).log10() - (b.excitation + floor).log10())
    missed = -torch.expm1(-(level / MATCH_DB).square())
    loudness = torch.maximum(a.loudness, b.loudness)
    return (loudness * missed).sum((1, 2)) / (loudness.sum((1, 2)) + PATTERN_FLOOR)


def pooled_differences(
    a: Float[Tensor, "batch pooled"], b: Float[Tensor, "batch pooled"]
) -> dict[str, Float[Tensor, "batch"]]:
    """Squared distance between two pooled embeddings by kind of `POOLED`."""
    sizes = [a.shape[-1] - N_STATISTICS, *LAYOUT.values()]
    groups = (a - b).square().split(sizes, dim=-1)
    return {name: group.sum(-1) for name, group in zip(POOLED, groups, strict=True)}


def _shared_audibility(a: EarTokens, b: EarTokens) -> Float[Tensor, "batch frame band"]:
    """How far a band is heard in both clips, 0 to 1: a place that is silent has no direction."""
    least = torch.minimum(a.loudness, b.loudness)
    return least / (least + LOUDNESS_FLOOR)


def _patch_sum(x: Float[Tensor, "batch frame band"]) -> Float[Tensor, "batch frame band"]:
    kernel = (PATCH_FRAMES, PATCH_BANDS)
    padding = (PATCH_FRAMES // 2, PATCH_BANDS // 2)
    mean = functional.avg_pool2d(x[:, None], kernel, stride=1, padding=padding)
    return mean[:, 0] * (PATCH_FRAMES * PATCH_BANDS)


def _compressed(loudness: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    return loudness / ((loudness + LOUDNESS_FLOOR).sqrt() + LOUDNESS_FLOOR**0.5)
