"""A clip as a whole, in some hundred numbers: colour, attack, decay, flutter, width, tones, motion.

Listeners who compare instrument tones do not line them up in time; they compare how bright, how
sudden, how long and how rough they are (McAdams et al., 1995; Peeters et al., 2011). Every number
is smooth in the waveform, finite in silence, and blind to what lies beyond the clip's end.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from pamt_metric.psychoacoustics.frames import FRAME_RATE
from pamt_metric.psychoacoustics.loudness import quiet_excitation, total_loudness
from pamt_metric.psychoacoustics.modulation import MODULATION_RATES_HZ
from pamt_metric.psychoacoustics.scales import CAM_STEP, N_BANDS

LOUDNESS_FLOOR = 0.01
"""Sone: keeps ratios finite in silence."""
TIME_FLOOR_S = 0.01
"""Shortest time that is told from none: about one frame."""
SPECTRUM_BANDS = 3
"""Bands averaged into one number of the mean spectrum."""
N_CEPSTRAL = 12
"""Cepstral coefficients of the spectral envelope without the zeroth: peaks of 6 Cam and more."""
CEPSTRAL_RANGE = 1e-3
"""Excitation this far under the strongest band's, as a power ratio, fills the gaps between."""
HALF_SONE = 8.0
"""Loudness at which a frame has half the weight of the loudest in the mean rise."""
ONSET_FLOOR = 0.01
"""Sone at which the root of an onset turns linear."""
_SQUARES_FLOOR = 1e-3
_N_REGION_GROUPS = 5
_N_RATES = len(MODULATION_RATES_HZ)

LAYOUT = {
    "spectrum": N_BANDS // SPECTRUM_BANDS,
    "brightness": 3,
    "time": 6,
    "flux": 1,
    "modulation": _N_REGION_GROUPS * _N_RATES,
    "width": 2,
    "tonality": _N_REGION_GROUPS,
    "motion": N_CEPSTRAL,
    "onset": _N_REGION_GROUPS,
    "rise": 1,
    "presence": N_BANDS // SPECTRUM_BANDS,
}
"""Name and size of each group, in the order in which they stand in the vector."""
N_STATISTICS = sum(LAYOUT.values())


@dataclass(frozen=True)
class Summary:
    """What the statistics need of a clip, or of a part of one; parts that follow add up.

    Attributes:
        loudness: in sone, by frame.
        centroid: centre of specific loudness by frame, in 10 Cam.
        spread: mean square distance from it.
        cepstrum: of the excitation, by frame.
        specific_loudness: sum over frames, each weighed by its loudness.
        interaural: squares of the cues, summed in the same way.
        prominence: logarithm of excitation over threshold, summed in the same way.
        modulation: sum over frames.
        onset: second and third powers of the root of onsets by group of regions, summed.
        rise: mean rise over bands and 1, summed by how loud the frame is, up to a limit.
        presence: sum over frames, each weighed by its loudness.
    """

    loudness: Float[Tensor, "batch frame"]
    centroid: Float[Tensor, "batch frame"]
    spread: Float[Tensor, "batch frame"]
    cepstrum: Float[Tensor, "batch frame coefficient"]
    specific_loudness: Float[Tensor, "batch band"]
    interaural: Float[Tensor, "batch region 2"]
    prominence: Float[Tensor, "batch band"]
    modulation: Float[Tensor, "batch region rate"]
    onset: Float[Tensor, "batch 2 group"]
    rise: Float[Tensor, "batch 2"]
    presence: Float[Tensor, "batch band"]

    @classmethod
    def join(cls, parts: Sequence["Summary"]) -> "Summary":
        """Parts of one clip, in their order, as the summary of the whole."""
        by_frame = ("loudness", "centroid", "spread", "cepstrum")
        columns = {
            field.name: [getattr(part, field.name) for part in parts] for field in fields(cls)
        }
        return cls(
            **{
                name: torch.cat(column, 1) if name in by_frame else torch.stack(column).sum(0)
                for name, column in columns.items()
            }
        )


def summarize(
    mask: Bool[Tensor, "batch frame"],
    *,
    loudness: Float[Tensor, "batch frame band"],
    modulation: Float[Tensor, "batch frame region rate"],
    interaural: Float[Tensor, "batch frame region 2"],
    onset: Float[Tensor, "batch frame region"],
    flux: Float[Tensor, "batch frame band"],
    presence: Float[Tensor, "batch frame band"],
    excitation: Float[Tensor, "batch frame band"],
    threshold: Float[Tensor, "batch frame band"],
) -> Summary:
    """The summary of some frames.

    Args:
        mask: True for the frames of the clip itself; the others count nothing.
        loudness: specific loudness, sone per Cam.
        modulation: modulation magnitude in sone.
        interaural: level difference and coherence.
        onset: steepest rise of loudness, in sone.
        flux: rise or fall of the root of specific loudness.
        presence: share of a band that is its own sound.
        excitation: intensity re 0 dB SPL at the cochlea.
        threshold: masked threshold in the unit of excitation, positive.
    """
    specific_loudness = loudness * mask[..., None]
    loudness = total_loudness(specific_loudness)
    centroid, spread = _brightness_by_frame(specific_loudness)
    prominence = (excitation / threshold + 1.0).log()
    root = _root(onset * mask[..., None], ONSET_FLOOR)
    sudden = root.unflatten(-1, (_N_REGION_GROUPS, -1)).mean(-1)
    rise = torch.stack([flux.clamp_min(0.0).mean(-1), torch.ones_like(loudness)], dim=-1)
    return Summary(
        loudness=loudness,
        centroid=centroid,
        spread=spread,
        cepstrum=_cepstrum(excitation),
        specific_loudness=(specific_loudness * loudness[..., None]).sum(1),
        interaural=(interaural.square() * loudness[..., None, None]).sum(1),
        prominence=(prominence * loudness[..., None]).sum(1),
        modulation=(modulation * mask[..., None, None]).sum(1),
        onset=torch.stack([sudden.square(), sudden**3], dim=2).sum(1),
        rise=(rise * (loudness / (loudness + HALF_SONE))[..., None]).sum(1),
        presence=(presence * loudness[..., None]).sum(1),
    )


def from_summary(clip: Summary) -> Float[Tensor, "batch statistic"]:
    """The clip statistics, one row an item, from the summary of whole clips; see `LAYOUT`."""
    total = clip.loudness.sum(1, keepdim=True) + LOUDNESS_FLOOR
    weight = clip.loudness / total
    parts = [
        _spectrum(clip.specific_loudness / total),
        _brightness(clip.centroid, clip.spread, weight),
        _time(clip.loudness),
        _flux(clip.loudness),
        _modulation(clip.modulation, total),
        (clip.interaural / total[..., None]).mean(1),
        _tonality(clip.prominence / total),
        _motion(clip.cepstrum, weight),
        _onset(clip.onset),
        clip.rise[:, :1] / (clip.rise[:, 1:] + LOUDNESS_FLOOR),
        (clip.presence / total).unflatten(-1, (-1, SPECTRUM_BANDS)).mean(-1),
    ]
    return torch.cat(parts, dim=-1)


def _spectrum(mean: Float[Tensor, "batch band"]) -> Float[Tensor, "batch statistic"]:
    """Square root of the share of loudness in each group of bands."""
    group = mean.unflatten(-1, (-1, SPECTRUM_BANDS)).sum(-1) + LOUDNESS_FLOOR / 10.0
    return (group / group.sum(-1, keepdim=True)).sqrt()


def _brightness_by_frame(
    specific_loudness: Float[Tensor, "batch frame band"],
) -> tuple[Float[Tensor, "batch frame"], Float[Tensor, "batch frame"]]:
    """Loudness centroid in 10 Cam, and the mean square distance from it."""
    cam = 0.1 * CAM_STEP * torch.arange(N_BANDS, device=specific_loudness.device)
    cam = cam.to(specific_loudness.dtype)
    total = specific_loudness.sum(-1) + LOUDNESS_FLOOR
    centroid = (specific_loudness * cam).sum(-1) / total
    distance = (cam - centroid[..., None]).square()
    return centroid, (specific_loudness * distance).sum(-1) / total


def _brightness(
    centroid: Float[Tensor, "batch frame"],
    spread: Float[Tensor, "batch frame"],
    weight: Float[Tensor, "batch frame"],
) -> Float[Tensor, "batch 3"]:
    """Loudness centroid, its wandering over time and the spread around it, each in 10 Cam."""
    mean = (weight * centroid).sum(1)
    wander = (weight * (centroid - mean[:, None]).square()).sum(1)
    return torch.stack(
        [mean, _root(wander), _root((weight * spread).sum(1))],
        dim=-1,
    )


def _time(loudness: Float[Tensor, "batch frame"]) -> Float[Tensor, "batch 6"]:
    """Attack, body, spread, decay, tail and duration: logarithms of seconds.

    Rises of loudness mark where sound starts, falls where it ends. Attack is how far the rises are
    spread, decay how far the falls are, body how far the sound's centre lies behind the rises, tail
    how far the falls lie behind the centre.
    """
    time = torch.arange(loudness.shape[1], device=loudness.device, dtype=loudness.dtype)
    time = time / FRAME_RATE
    change = functional.pad(loudness, (1, 1)).diff(dim=1)
    start, attack = _center_and_spread(change.clamp_min(0.0)[:, :-1], time)
    end, decay = _center_and_spread((-change).clamp_min(0.0)[:, 1:], time)
    center, spread = _center_and_spread(loudness, time)
    duration = loudness.sum(1).square() / (loudness.square().sum(1) + LOUDNESS_FLOOR**2)
    seconds = torch.stack(
        [
            attack,
            _positive(center - start),
            spread,
            decay,
            _positive(end - center),
            duration / FRAME_RATE,
        ],
        dim=-1,
    )
    return (seconds + TIME_FLOOR_S).log()


def _center_and_spread(
    amount: Float[Tensor, "batch frame"], time: Float[Tensor, "frame"]
) -> tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]:
    share = amount / (amount.sum(1, keepdim=True) + LOUDNESS_FLOOR)
    center = (share * time).sum(1)
    return center, _root((share * (time - center[:, None]).square()).sum(1))


def _flux(loudness: Float[Tensor, "batch frame"]) -> Float[Tensor, "batch 1"]:
    """Sum of the rises of loudness over the mean of loudness where there is any, logarithm."""
    rise = loudness.diff(dim=1).clamp_min(0.0).sum(1)
    mean = loudness.square().sum(1) / (loudness.sum(1) + LOUDNESS_FLOOR) + LOUDNESS_FLOOR
    return (rise / mean + 1.0).log()[:, None]


def _modulation(
    modulation: Float[Tensor, "batch region rate"], loudness: Float[Tensor, "batch 1"]
) -> Float[Tensor, "batch statistic"]:
    """Modulation by group of regions and rate, as a share of loudness; square root."""
    group = modulation.unflatten(1, (_N_REGION_GROUPS, -1)).sum(2).flatten(1)
    return _root(group / loudness)


def _onset(powers: Float[Tensor, "batch 2 group"]) -> Float[Tensor, "batch group"]:
    """How sudden sound begins where it does: mean of root onsets, weighed by their own square."""
    square, cube = powers.unbind(1)
    return cube / (square + _SQUARES_FLOOR)


def _tonality(prominence: Float[Tensor, "batch band"]) -> Float[Tensor, "batch statistic"]:
    """How unevenly neighbouring bands rise over the masked threshold: tones stand out, noise not.

    Standard deviation within each group of regions of ln(1 + excitation / threshold).
    """
    group = prominence.unflatten(-1, (_N_REGION_GROUPS, -1))
    return _root((group - group.mean(-1, keepdim=True)).square().mean(-1))


def _cepstrum(
    excitation: Float[Tensor, "batch frame band"],
) -> Float[Tensor, "batch frame coefficient"]:
    """Cepstral coefficients of the spectral envelope of each frame."""
    strongest = excitation.amax(-1, keepdim=True)
    floor = quiet_excitation().to(excitation) + CEPSTRAL_RANGE * strongest
    return (excitation + floor).log() @ _cosines().to(excitation)


def _motion(
    cepstrum: Float[Tensor, "batch frame coefficient"], weight: Float[Tensor, "batch frame"]
) -> Float[Tensor, "batch statistic"]:
    """How far the spectral envelope moves: spread over time of each of its cepstral coefficients.

    As the standard deviations of mel-frequency cepstral coefficients (Tzanetakis and Cook, 2002),
    from the ear's excitation.
    """
    mean = (cepstrum * weight[..., None]).sum(1, keepdim=True)
    return _root(((cepstrum - mean).square() * weight[..., None]).sum(1))


@functools.cache
def _cosines() -> Float[Tensor, "band coefficient"]:
    """Discrete cosine transform (type II, orthonormal) over bands, without its zeroth column."""
    with torch.inference_mode(mode=False):
        band = torch.arange(N_BANDS, dtype=torch.float64) + 0.5
        order = torch.arange(1, N_CEPSTRAL + 1, dtype=torch.float64)
        return math.sqrt(2.0 / N_BANDS) * (math.pi / N_BANDS * band[:, None] * order).cos()


def _root(value: Float[Tensor, "*any"], epsilon: float = 1e-6) -> Float[Tensor, "*any"]:
    """Square root with a finite slope at 0 and the value 0 there."""
    return value / (value + epsilon).sqrt()


def _positive(value: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """A smooth stand-in for max(value, 0), within 5 ms of it."""
    return 0.5 * (value + (value.square() + TIME_FLOOR_S**2).sqrt())
