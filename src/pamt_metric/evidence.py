"""What differs between two encoded clips: frame by frame, as wholes, and how little they share.

Everything here is fixed; `pamt_metric.distance` weighs it. Differences enter squared and are
averaged over bands and over time, where loud frames count more than soft ones, up to a limit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from pamt_metric.head import Embedding
from pamt_metric.psychoacoustics import EarTokens
from pamt_metric.psychoacoustics.frames import frames_at
from pamt_metric.psychoacoustics.loudness import quiet_excitation, total_loudness
from pamt_metric.psychoacoustics.moving_sum import moving_sum
from pamt_metric.psychoacoustics.place import place, squared_move
from pamt_metric.psychoacoustics.scales import BANDS_PER_REGION, N_BANDS
from pamt_metric.psychoacoustics.statistics import LAYOUT, N_STATISTICS

SIGNED = ("loudness", "masked", "level")
"""Kinds of aligned evidence that know more sound from less."""
ADDED = tuple(f"added_{name}" for name in SIGNED)
"""What only the test holds, by kind of `SIGNED`."""
MISSING = tuple(f"missing_{name}" for name in SIGNED)
"""What only the reference holds, by kind of `SIGNED`."""
UNSIGNED = (
    "patch",
    "modulation",
    "onset",
    "flux",
    "presence",
    "novelty",
    "interaural",
    "place",
    "standout",
    "sequence",
)
"""The other kinds of aligned evidence."""
ALIGNED = (*SIGNED, *UNSIGNED)
"""Kinds of aligned evidence."""
POOLED = ("own", *(f"clip_{name}" for name in LAYOUT))
"""Kinds of pooled evidence: the head's own part of the embedding, each group of statistics."""
EVIDENCE = (*ALIGNED, *POOLED)
"""All kinds, in the order of the learned weights."""
ALIGNED_MEANS = (*ADDED, *MISSING, *UNSIGNED)
"""Aligned evidence as it is measured: mean squares, the signed kinds in two halves."""

FRAME_FLOOR_SONE = 0.1
"""Loudness of both clips together that counts as that of a silent frame."""
FRAME_HALF_SONE = 16.0
"""Loudness of both clips together at which a frame has half the weight of the loudest."""
LOUDNESS_FLOOR = 0.01
"""Sone per Cam at which the compressive loudness difference turns linear."""
MATCH_DB = 4.0
"""Levels that differ by less count mostly as the same, by more mostly as different."""
HIDDEN = 0.01
"""Excitation this far under the masked threshold, as a power ratio, has no level of its own."""
LEVEL_FLOOR = 1e-9
COHERENT = 0.15
"""Correlation of two fine structures that halves the cue. Separated voices and their originals lie
between 0.27 and 0.61, tones of one study between 0.01 and 0.19, sung tones between 0.01 and 0.04 (5
to 95 % of the train split)."""
PATTERN_FLOOR = 1e-3
"""Keeps the loudness patterns of two silences from being 0 / 0."""
NEIGHBOURHOOD_BANDS = 9
"""Bands that a level is heard among: 2 Cam to either side."""
NEIGHBOURHOOD_SHARE = 0.3
"""Power under the mean of the neighbourhood, as a ratio, at which levels cease to matter."""
PATCH_FRAMES = 15
"""Length of a patch: 0.2 s."""
PATCH_BANDS = 5
STANDOUT_RATIO = 3.0
"""Times its mean over the clip that an audible change must reach at its worst, to stand out."""
STANDOUT_ONSET = 0.05
"""Mean square beyond that ratio under which a moment only begins to stand out."""
NOVELTY_RANGES = 2
"""Ranges of frequency, below and above 800 Hz, in which it is told how much is new."""
NOVELTY_FLOOR = 1e-3
_STANDOUT_SUMS = ("frames", "change", "change_2", "change_3")
_CHANGE_FLOOR = 1e-6
"""Mean square of 'masked' in one frame that counts as none."""
_LEAST_FRAMES = 1e-6
"""Keeps means over the frames that are heard from being 0 / 0 in silence."""


@dataclass(frozen=True)
class Encoded:
    """A batch of clips as the ear and the head see them."""

    tokens: EarTokens
    embedding: Embedding

    @classmethod
    def join(cls, parts: Sequence["Encoded"]) -> "Encoded":
        """Several batches of the same number of frames as one."""
        return cls(
            tokens=_cat([part.tokens for part in parts]),
            embedding=_cat([part.embedding for part in parts]),
        )

    def at(
        self, index: Int64[Tensor, "batch step"], inside: Bool[Tensor, "batch step"]
    ) -> "Encoded":
        """A frame of each clip for each step; frames beyond the clip where not `inside`."""
        sequence = frames_at(self.embedding.sequence, index) * inside[..., None]
        embedding = replace(self.embedding, sequence=sequence)
        return Encoded(self.tokens.at(index, inside), embedding)

    def take(self, items: slice | Tensor) -> "Encoded":
        """Some clips of the batch."""
        return Encoded(tokens=_take(self.tokens, items), embedding=_take(self.embedding, items))


def _cat(parts: Sequence[Any]) -> Any:
    """Dataclasses of tensors, joined along the batch."""
    names = [field.name for field in fields(parts[0])]
    return type(parts[0])(**{n: torch.cat([getattr(part, n) for part in parts]) for n in names})


def _take(parts: Any, items: slice | Tensor) -> Any:
    names = [field.name for field in fields(parts)]
    return type(parts)(**{name: getattr(parts, name)[items] for name in names})


def frame_weight(
    a: EarTokens, b: EarTokens, duration: Float[Tensor, "batch frame"] | None = None
) -> Float[Tensor, "batch frame"]:
    """Weight of each frame in means over time, over either's duration; sums to 1.

    It grows with the loudness of both, L / (L + 16 sone): what is heard in the pauses of a voice
    tells as much of a copy as what it covers.

    `duration` is how much time each stands for, where they do not all stand for the same.
    """
    weight = frame_salience(a, b)
    if duration is not None:
        weight = weight * duration
    return weight / weight.sum(1, keepdim=True)


def frame_salience(a: EarTokens, b: EarTokens) -> Float[Tensor, "batch frame"]:
    """The same weight, 0 to 1, before it is made to sum to 1."""
    loudness = total_loudness(a.loudness) + total_loudness(b.loudness) + FRAME_FLOOR_SONE
    return loudness / (loudness + FRAME_HALF_SONE) * (a.mask | b.mask)


def aligned_means(
    a: Encoded, b: Encoded, weight: Float[Tensor, "batch frame"]
) -> dict[str, Float[Tensor, "batch"]]:
    """Mean squares of `ALIGNED_MEANS`; sound in `b` alone is added, sound in `a` alone missing.

    'standout_map' beside them is the mean of the map of 'standout'. The weights sum to 1.
    """
    return means_of(aligned_sums(a, b, weight))


def aligned_sums(
    a: Encoded, b: Encoded, weight: Float[Tensor, "batch frame"]
) -> dict[str, Float[Tensor, "batch"]]:
    """What `means_of` makes the means of; sums of several runs of frames add up.

    Frames of weight 0 do not count.
    """
    found = {}
    signed = signed_differences(a.tokens, b.tokens)
    for name, more in signed.items():
        found[f"added_{name}"] = mean_over_map(more.clamp_min(0.0).square(), weight)
        found[f"missing_{name}"] = mean_over_map((-more).clamp_min(0.0).square(), weight)
    maps = _unsigned_maps(a, b, signed["masked"])
    found |= {map_mean_name(n): mean_over_map(square, weight) for n, square in maps.items()}
    # A short change is as audible beside loud sound as beside soft: all frames count alike, but
    # for those in which neither clip is heard.
    loudness = total_loudness(a.tokens.loudness) + total_loudness(b.tokens.loudness)
    heard = loudness / (loudness + FRAME_FLOOR_SONE) * (weight > 0.0)
    change = signed["masked"].square().mean(-1)
    powers = [heard, heard * change, heard * change.square(), heard * change**3]
    return found | {n: x.sum(1) for n, x in zip(_STANDOUT_SUMS, powers, strict=True)}


def means_of(sums: Mapping[str, Float[Tensor, "batch"]]) -> dict[str, Float[Tensor, "batch"]]:
    """Mean squares from the sums of all frames, over the sum of their weights.

    Of 'standout': how far the mean of the audible change where it is largest (weighted by its own
    square) is over `STANDOUT_RATIO` times that of all frames. A steady difference has none of it,
    and it begins with a finite slope, though the distance takes its square root.
    """
    found = {name: x for name, x in sums.items() if name not in _STANDOUT_SUMS}
    n_frame, change, square, cube = (sums[name] for name in _STANDOUT_SUMS)
    n_frame = n_frame.clamp_min(_LEAST_FRAMES)
    worst = cube / (square + _CHANGE_FLOOR**2 * n_frame)
    excess = (worst - STANDOUT_RATIO * change / n_frame).clamp_min(0.0)
    return found | {"standout": excess.square() / (excess + STANDOUT_ONSET)}


def evidence_maps(a: Encoded, b: Encoded) -> dict[str, Float[Tensor, "batch frame band"]]:
    """Squared differences of each kind of `ALIGNED`, by frame and band."""
    signed = signed_differences(a.tokens, b.tokens)
    squares = {name: more.square() for name, more in signed.items()}
    return squares | _unsigned_maps(a, b, signed["masked"])


def map_mean_name(kind: str) -> str:
    """What the mean over the map of a kind of `ALIGNED` is called among the means."""
    return "standout_map" if kind == "standout" else kind


def _unsigned_maps(
    a: Encoded, b: Encoded, masked: Float[Tensor, "batch frame band"]
) -> dict[str, Float[Tensor, "batch frame band"]]:
    square = masked.square()
    modulation = (a.tokens.modulation - b.tokens.modulation).square().mean(-1)
    onset = (_compressed(a.tokens.onset) - _compressed(b.tokens.onset)).square()
    presence = (a.tokens.presence - b.tokens.presence).square()
    novelty = (_novelty(a.tokens) - _novelty(b.tokens)).square().mean(-1, keepdim=True)
    interaural = (a.tokens.interaural - b.tokens.interaural).square().mean(-1)
    shared = _shared_audibility(a.tokens, b.tokens)
    either = (a.tokens.mask | b.tokens.mask)[..., None]
    sequence = (a.embedding.sequence - b.embedding.sequence).square().sum(-1, keepdim=True)
    return {
        "patch": patch_difference(a.tokens.loudness, b.tokens.loudness, either),
        "modulation": modulation.repeat_interleave(BANDS_PER_REGION, dim=-1),
        "onset": onset.repeat_interleave(BANDS_PER_REGION, dim=-1),
        "flux": (a.tokens.flux - b.tokens.flux).square(),
        "presence": presence * shared,
        "novelty": novelty.expand(-1, -1, N_BANDS),
        "interaural": interaural.repeat_interleave(BANDS_PER_REGION, dim=-1) * shared,
        "place": _place_move(a.tokens, b.tokens),
        "standout": square * square.mean(-1, keepdim=True).square(),
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
    quiet = quiet_excitation().to(threshold)
    neighbourhood = quiet + NEIGHBOURHOOD_SHARE * _neighbourhood(a.excitation + b.excitation)
    return {
        "loudness": _compressed(b.loudness) - _compressed(a.loudness),
        "masked": _log_ratio(b.excitation, a.excitation, threshold),
        "level": _log_ratio(b.excitation, a.excitation, neighbourhood),
    }


def _place_move(a: EarTokens, b: EarTokens) -> Float[Tensor, "batch frame band"]:
    """How far the peaks that both hold have moved, by their share of the loudness.

    The mean over bands of what is returned is the sum over bands of share times squared move.
    """
    move = squared_move(place(a.excitation, a.loudness), place(b.excitation, b.loudness))
    total = (a.loudness + b.loudness).sum(-1, keepdim=True) + FRAME_FLOOR_SONE
    share = 2.0 * torch.minimum(a.loudness, b.loudness) / total
    audible = torch.minimum(*[t.excitation / (t.excitation + t.threshold) for t in (a, b)])
    return N_BANDS * share * audible * move


def _novelty(tokens: EarTokens) -> Float[Tensor, "batch frame range"]:
    """How much of a frame is new, steady tones being nothing: the size of its fine structure."""
    power = tokens.fine.square().sum(-1).unflatten(-1, (NOVELTY_RANGES, -1)).sum(-1)
    return (power + NOVELTY_FLOOR).sqrt()


def _log_ratio(more: Tensor, less: Tensor, floor: Tensor) -> Tensor:
    return (more + floor).log() - (less + floor).log()


def _neighbourhood(both: Float[Tensor, "batch frame band"]) -> Float[Tensor, "batch frame band"]:
    """Mean of two excitations over the bands around each band, from their sum."""
    count = moving_sum(both.new_ones(N_BANDS), NEIGHBOURHOOD_BANDS, dim=0)
    return moving_sum(both, NEIGHBOURHOOD_BANDS, dim=-1) * (0.5 / count)


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


def unshared(a: EarTokens, b: EarTokens) -> Float[Tensor, "batch"]:
    """How little the clips have in common, 0 to 1: the product of two shares, less for a copy.

    The share of a's loudness that b does not hold at about its level, times b's share that a does
    not. Noise only adds and a filter only takes away, so one of the two stays small for a degraded
    copy; another performance does both. Where much was added and much was lost, as where one voice
    was cut out of a mixture, the fine structure tells: a copy has it in phase with its original.
    """
    return unshared_of(unshared_sums(a, b))


def unshared_sums(a: EarTokens, b: EarTokens) -> dict[str, Float[Tensor, "batch _"]]:
    """What `unshared_of` makes the cue of; sums of several runs of frames add up.

    'missed' and 'loudness' are, of `a` and of `b`, the loudness that the other does not hold and
    all of it; 'fine' the powers of both fine structures, 'common' real and imaginary part of their
    product.
    """
    floor = HIDDEN * 0.5 * (a.threshold + b.threshold) + LEVEL_FLOOR
    level = 10.0 * ((a.excitation + floor).log10() - (b.excitation + floor).log10())
    missed = [_missed(a.loudness, level), _missed(b.loudness, -level)]
    real = (a.fine * b.fine).sum((1, 2, 3))
    imaginary = (a.fine[..., 1] * b.fine[..., 0] - a.fine[..., 0] * b.fine[..., 1]).sum((1, 2))
    return {
        "missed": torch.stack(missed, 1),
        "loudness": torch.stack([clip.loudness.sum((1, 2)) for clip in (a, b)], 1),
        "fine": torch.stack([clip.fine.square().sum((1, 2, 3)) for clip in (a, b)], 1),
        "common": torch.stack([real, imaginary], 1),
    }


def unshared_of(sums: Mapping[str, Float[Tensor, "batch _"]]) -> Float[Tensor, "batch"]:
    """The cue from what `unshared_sums` gives."""
    share = (sums["missed"] / (sums["loudness"] + PATTERN_FLOOR)).prod(1)
    coherence = sums["common"].square().sum(1) / (sums["fine"].prod(1) + PATTERN_FLOOR)
    return share / (1.0 + (coherence / COHERENT**2).square())


def _missed(
    loudness: Float[Tensor, "batch frame band"], level: Float[Tensor, "batch frame band"]
) -> Float[Tensor, "batch"]:
    """Loudness where `level`, in dB over the other clip's, is well over 0."""
    return (loudness * -torch.expm1(-(level.clamp_min(0.0) / MATCH_DB).square())).sum((1, 2))


def pooled_differences(
    a: Float[Tensor, "batch pooled"], b: Float[Tensor, "batch pooled"]
) -> dict[str, Float[Tensor, "batch"]]:
    """Squared distance between two pooled embeddings by kind of `POOLED`."""
    sizes = [a.shape[-1] - N_STATISTICS, *LAYOUT.values()]
    groups = (a - b).square().split(sizes, dim=-1)
    return {name: group.sum(-1) for name, group in zip(POOLED, groups, strict=True)}


def _shared_audibility(a: EarTokens, b: EarTokens) -> Float[Tensor, "batch frame band"]:
    """How far a band is heard in both clips, 0 to 1: silence is neither wide nor full of holes."""
    least = torch.minimum(a.loudness, b.loudness)
    return least / (least + LOUDNESS_FLOOR)


def _patch_sum(x: Float[Tensor, "batch frame band"]) -> Float[Tensor, "batch frame band"]:
    return moving_sum(moving_sum(x, PATCH_BANDS, dim=-1), PATCH_FRAMES, dim=1)


def _compressed(loudness: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    return loudness / ((loudness + LOUDNESS_FLOOR).sqrt() + LOUDNESS_FLOOR**0.5)
