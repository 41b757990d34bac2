"""The attacks by name, each on one clip of one problem."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.robustness import attacks, natural
from benchmarks.robustness.attacks import Found, Objective
from benchmarks.robustness.bounds import Heard, Masked, Segment, energy_at, peak_at
from benchmarks.robustness.clips import SAMPLE_RATE
from pamt_metric import Metric

CLEAN = "clean"
PEAK_SNRS_DB = (50, 40, 30, 20)
ENERGY_SNRS_DB = (40, 30)
CW_SNR_DB = 30
SQUARE_SNR_DB = 30
UNIVERSAL_SNR_DB = 30
FGSM_SNR_DB = 30
CONTROL_SNRS_DB = (40, 30, 20)
MOST_JND = 1.0
SEGMENT_S = 0.5
SEGMENT_SNR_DB = -6.0
"""How far the samples of a replaced span may go: twice the clip's root mean square."""


@dataclass(frozen=True)
class Effort:
    """How hard to try; the defaults are those of the full table.

    Attributes:
        steps: gradient steps of an iterative attack.
        restarts: of it.
        cw_rounds: weights that C&W tries.
        queries: of the black box.
        places: spans that the replacement tries, each with two fillers.
        universal_clips: clips that a universal perturbation is learned on.
    """

    steps: int = 40
    restarts: int = 2
    cw_rounds: int = 3
    queries: int = 200
    places: int = 8
    universal_clips: int = 8


@dataclass
class Trial:
    """One clip under attack; attacks that build on others find them in `found`."""

    objective: Objective
    clean: Float[Tensor, "time"]
    other: Float[Tensor, "time"]
    metric: Metric
    effort: Effort
    seed: int
    universal: Callable[[], Float[Tensor, "time"]]
    found: dict[str, Found] = field(default_factory=dict)

    def generator(self) -> torch.Generator:
        """The same for every attack on this clip."""
        return torch.Generator().manual_seed(self.seed)


Attack = Callable[[Trial], Found]


def _peak(snr_db: float, before: str | None) -> Attack:
    def run(trial: Trial) -> Found:
        # A smaller perturbation that won is inside the larger set too.
        start = trial.found.get(before) if before else None
        if start is not None and start.won:
            return start
        return attacks.pgd(
            trial.objective,
            trial.clean,
            peak_at(trial.clean, snr_db),
            steps=trial.effort.steps,
            restarts=trial.effort.restarts,
            generator=trial.generator(),
            start=None if start is None else start.delta,
        )

    return run


def _energy(snr_db: float, before: tuple[str, ...]) -> Attack:
    def run(trial: Trial) -> Found:
        bounds = energy_at(trial.clean, snr_db)
        starts = [trial.found[name] for name in before if name in trial.found]
        for start in starts:
            if start.won and float(start.delta.norm()) <= bounds.radius * (1.0 + 1e-6):
                return start
        return attacks.pgd(
            trial.objective,
            trial.clean,
            bounds,
            steps=trial.effort.steps,
            restarts=trial.effort.restarts,
            generator=trial.generator(),
            start=starts[-1].delta if starts else None,
        )

    return run


def _fgsm(trial: Trial) -> Found:
    return attacks.fgsm(trial.objective, trial.clean, peak_at(trial.clean, FGSM_SNR_DB))


def _cw(trial: Trial) -> Found:
    return attacks.carlini_wagner(
        trial.objective,
        trial.clean,
        energy_at(trial.clean, CW_SNR_DB),
        steps=trial.effort.steps,
        rounds=trial.effort.cw_rounds,
        restarts=trial.effort.restarts,
        generator=trial.generator(),
    )


def masked_bounds(trial: Trial, *, level_db: float = 0.0) -> Masked:
    """What the clip's masked threshold hides, in the clip's own scale."""
    length = torch.tensor([trial.clean.shape[0]])
    levelled, gain_db, _ = trial.metric.to_listening_level(trial.clean[None, None], length, "match")
    bounds = Masked(levelled[0, 0], trial.metric.ear, level_db=level_db)
    bounds.limit = bounds.limit * 10.0 ** (-float(gain_db) / 20.0)
    return bounds


def _masked(trial: Trial) -> Found:
    return attacks.pgd(
        trial.objective,
        trial.clean,
        masked_bounds(trial),
        steps=trial.effort.steps,
        restarts=trial.effort.restarts,
        generator=trial.generator(),
    )


def _heard(trial: Trial) -> Found:
    bounds = Heard(masked_bounds(trial), distance_from(trial.metric, trial.clean), most=MOST_JND)
    start = trial.found.get("masked")
    return attacks.pgd(
        trial.objective,
        trial.clean,
        bounds,
        steps=trial.effort.steps,
        restarts=trial.effort.restarts,
        generator=trial.generator(),
        start=None if start is None else start.delta,
    )


def distance_from(
    metric: Metric, clean: Float[Tensor, "time"]
) -> Callable[[Float[Tensor, "time"]], float]:
    """The metric's distance of a perturbed copy, by the perturbation."""
    length = torch.tensor([clean.shape[0]])

    @torch.no_grad()
    def encode(waveform: Tensor):  # noqa: ANN202
        levelled, _, _ = metric.to_listening_level(waveform[None, None], length, "match")
        return metric.encode(levelled, length)

    reference = encode(clean)
    return lambda delta: float(metric.pair(reference, encode(clean + delta)).detach())


def _square(trial: Trial) -> Found:
    return attacks.square(
        trial.objective,
        trial.clean,
        size=peak_at(trial.clean, SQUARE_SNR_DB).size,
        queries=trial.effort.queries,
        generator=trial.generator(),
    )


def _universal(trial: Trial) -> Found:
    size = peak_at(trial.clean, UNIVERSAL_SNR_DB).size
    return attacks.strongest(trial.objective, trial.clean, [trial.clean + size * trial.universal()])


def _replacement(trial: Trial) -> Found:
    """The worst of given fillers, then what lies in its span is the attacker's to choose."""
    length = round(SEGMENT_S * SAMPLE_RATE)
    made = natural.replacements(
        trial.clean.numpy(), trial.other.numpy(), length=length, count=trial.effort.places
    )
    copies = [torch.from_numpy(copy) for _, copy in made]
    best = attacks.strongest(trial.objective, trial.clean, copies)
    if best.won:
        return best
    changed = best.delta.nonzero()
    start = int(changed[0]) if len(changed) else made[0][0]
    bounds = Segment(peak_at(trial.clean, SEGMENT_SNR_DB), start, start + length)
    return attacks.pgd(
        trial.objective,
        trial.clean,
        bounds,
        steps=trial.effort.steps,
        restarts=trial.effort.restarts,
        generator=trial.generator(),
        start=best.delta,
    )


def _natural(change: natural.Change) -> Attack:
    def run(trial: Trial) -> Found:
        changed = change(trial.clean.numpy(), np.random.default_rng(trial.seed))
        delta = torch.from_numpy(changed) - trial.clean
        with torch.no_grad():
            return Found(delta, float(trial.objective(trial.clean + delta)), 1)

    return run


def _noise(snr_db: float) -> Attack:
    return _natural(lambda clip, rng: natural.white_noise(clip, rng, snr_db=snr_db))


def _ladder() -> dict[str, Attack]:
    names = [f"pgd-peak-{snr}" for snr in PEAK_SNRS_DB]
    befores = [None, *names[:-1]]
    return {
        name: _peak(snr, before)
        for name, snr, before in zip(names, PEAK_SNRS_DB, befores, strict=True)
    }


ATTACKS: dict[str, Attack] = {
    f"fgsm-{FGSM_SNR_DB}": _fgsm,
    **_ladder(),
    "pgd-energy-40": _energy(40, ("pgd-peak-40",)),
    "pgd-energy-30": _energy(30, ("pgd-energy-40", "pgd-peak-30")),
    f"cw-{CW_SNR_DB}": _cw,
    "masked": _masked,
    "jnd-1": _heard,
    f"universal-{UNIVERSAL_SNR_DB}": _universal,
    f"square-{SQUARE_SNR_DB}": _square,
    "replacement": _replacement,
    **{name: _natural(change) for name, change in natural.CHANGES.items()},
}
"""What the mean gain is taken over."""

CONTROLS: dict[str, Attack] = {f"noise-{snr}": _noise(snr) for snr in CONTROL_SNRS_DB}
"""Random noise, as evidence that the attacks do more than disturb."""
