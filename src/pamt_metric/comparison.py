"""What `compare` tells about a pair of clips."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pamt_metric.distance import PairEvidence
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE

_MEANINGS = (
    (0.0, "identical"),
    (1.0, "below the just-noticeable difference"),
    (2.0, "audible, slight"),
    (5.0, "clearly different"),
)
PSYCHOMETRIC_SLOPE = 2.0
"""Shape of the Weibull function between distance and detection: what a listener to added noise goes
by grows with its power, the square of its amplitude (Green and Swets, 1966, chapter 8)."""
CHUNK_FRAMES = 75
"""Length of a chunk of `ci`: 1 s."""
MIN_CHUNKS = 4
"""Fewer say nothing of how a distance is spread over a clip."""
LOW_COVERAGE = 0.9
"""Coverage under which a comparison warns."""
_N_RESAMPLES = 1000
_INTERVAL = (0.025, 0.975)
_BEYOND = "as different as another piece, or severely degraded"
"""Words for ranges of distance. 1 is the calibration: noise at the masked threshold. Medians of 15
recordings (pamt-mini 0.5.0): MP3 at 128, 64 and 32 kbit/s 0.3, 1.1 and 2.5; low-pass at 3.5 kHz
2.6; noise at 0 dB SNR 5.4; another recording 6.5."""


@dataclass(frozen=True)
class ModelInfo:
    """Which model gave a number.

    Attributes:
        name: name of the model, as `load` takes it.
        version: release of the weights.
        sha256: hash of the weights' file; empty for a model that was never saved.
    """

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Comparison:
    """One pair of clips, compared. Distances are in just-noticeable differences.

    Attributes:
        distance: how different the two sound; 0 for a = b, 1 for a just-noticeable degradation.
        fidelity: what the flaws of a copy of the same performance add up to.
        content: how different the two are as pieces of music, whatever their quality.
        added: what sound new in the test makes of `fidelity`.
        missing: what sound lost from the reference makes of it.
        same_content: 0 to 1, how far the pair was judged as the same performance, s for short:
            `distance` is s * `fidelity` + (1 - s) * `content`.
        lag_ms: by how much the test starts later than the reference; taken out before comparing.
        gain_db: gain on the test, relative to the reference, that matched their loudness.
        p_audible: chance that an attentive listener hears a difference: a half at a distance of 1,
            from there by a psychometric function (`p_audible`). Not fitted to listeners.
        ci: 95 % interval of the distance when chunks of 1 s are drawn again, None under 4 s: how
            much it owes to single places. It says nothing of listeners or of the model's error.
        coverage: share of both clips that had a counterpart; the rest counts as different.
        time_map: share of the distance by frame of 1/75 s; sums to `distance`.
        band_map: share of the distance by frame and band (75 half-Cam bands); sums to `distance`.
        warp: where both were brought together by `align="dtw"`, the time in the test, in s, that
            each frame of the reference was compared with; else None. Maps are by frame of the
            reference then.
        model: which model gave the numbers.
        warnings: what to know before trusting the numbers.
    """

    distance: float
    fidelity: float
    content: float
    added: float
    missing: float
    same_content: float
    lag_ms: float
    gain_db: float
    p_audible: float
    ci: tuple[float, float] | None
    coverage: float
    time_map: Float[Tensor, "frame"]
    band_map: Float[Tensor, "frame band"]
    warp: Float[Tensor, "frame"] | None
    model: ModelInfo
    warnings: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Everything but the maps, as plain values that JSON can hold."""
        values = {
            name: value
            for name, value in vars(self).items()
            if name not in ("time_map", "band_map", "warp")
        }
        return values | {"model": asdict(self.model), "warnings": list(self.warnings)}


@dataclass(frozen=True)
class Fit:
    """What was done to bring one pair together.

    Attributes:
        lag: samples at 48 kHz by which the test came later.
        gain_db: on the test, relative to the reference.
        coverage: share of both clips that has a counterpart.
        warp: time in the test, in s, for each frame of the reference, where one was warped.
    """

    lag: int
    gain_db: float
    coverage: float
    warp: Float[Tensor, "frame"] | None = None


def compare_item(
    evidence: PairEvidence,
    item: int,
    *,
    n_frame: int,
    fit: Fit,
    audible: Sequence[bool],
    model: ModelInfo,
) -> Comparison:
    """One pair of a batch, told.

    Args:
        evidence: of the batch.
        item: which pair of it.
        n_frame: frames of its longer clip.
        fit: what was done to the pair before.
        audible: whether anything is heard of the reference, and of the test.
        model: which model gave the evidence.
    """
    band_map = evidence.band_map[item, :n_frame].cpu()
    time_map = band_map.sum(-1)
    distance = evidence.distance[item].item()
    return Comparison(
        distance=distance,
        fidelity=evidence.fidelity[item].item(),
        content=evidence.content[item].item(),
        added=evidence.added[item].item(),
        missing=evidence.missing[item].item(),
        same_content=evidence.same_content[item].item(),
        lag_ms=1000.0 * fit.lag / SAMPLE_RATE,
        gain_db=fit.gain_db,
        p_audible=p_audible(distance),
        ci=chunk_interval(time_map),
        coverage=fit.coverage,
        time_map=time_map,
        band_map=band_map,
        warp=fit.warp,
        model=model,
        warnings=_warnings(audible, fit.coverage),
    )


def p_audible(distance: float) -> float:
    """Chance that an attentive listener hears any difference, without guesses: 1 - 2^-(d^2)."""
    return -math.expm1(-math.log(2.0) * distance**PSYCHOMETRIC_SLOPE)


def chunk_interval(time_map: Float[Tensor, "frame"]) -> tuple[float, float] | None:
    """95 % bootstrap interval of the sum of a map over time, whole chunks drawn with replacement.

    A draw counts by its length, for the last chunk may be longer than the others. None if there are
    fewer than `MIN_CHUNKS`. The same map gives the same interval.
    """
    n_chunks = len(time_map) // CHUNK_FRAMES
    if n_chunks < MIN_CHUNKS:
        return None
    start = CHUNK_FRAMES * torch.arange(n_chunks)
    end = torch.cat([start[1:], torch.tensor([len(time_map)])])
    total = torch.cat([torch.zeros(1, dtype=torch.float64), time_map.detach().double().cumsum(0)])
    amount = total[end] - total[start]
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(n_chunks, (_N_RESAMPLES, n_chunks), generator=generator)
    length = (end - start)[drawn].sum(1)
    resampled = amount[drawn].sum(1) * (len(time_map) / length)
    low, high = torch.quantile(resampled, torch.tensor(_INTERVAL, dtype=torch.float64)).tolist()
    return max(0.0, low), max(0.0, high)


def describe(distance: float) -> str:
    """What a distance means to a listener, in a few words."""
    return next((words for limit, words in _MEANINGS if distance <= limit), _BEYOND)


def _warnings(audible: Sequence[bool], coverage: float) -> tuple[str, ...]:
    notes = [
        f"the {name} is inaudible: it was compared as silence"
        for name, heard in zip(("reference", "test"), audible, strict=True)
        if not heard
    ]
    if coverage < LOW_COVERAGE:
        share = 100.0 * coverage
        notes.append(f"only {share:.0f} % of both clips had a counterpart; the rest is different")
    return tuple(notes)
