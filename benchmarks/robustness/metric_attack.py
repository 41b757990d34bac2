"""Distances under attack: how far they can be driven by what is not heard, and the reverse.

Two questions to every differentiable distance, on the same clips:

- `raise`: the largest distance of a perturbation that stays under the masked threshold in every
  band, as a multiple of the distance that random noise at the threshold has. A distance that
  hears gives about 1; one that does not can be driven far up by what nobody notices.
- `hide`: the loudest change, by noise-to-mask ratio, that keeps the distance where random noise
  at the threshold put it. A distance that hears gives about 0 dB; the more, the more an audible
  change can hide from it.

Each distance has its own unit; both answers are free of it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import auraloss
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from benchmarks.robustness import attacks, audibility, problems, systems
from benchmarks.robustness.attacks import Found
from benchmarks.robustness.bounds import Masked
from benchmarks.robustness.catalogue import Trial, masked_bounds
from benchmarks.robustness.suite import Bench, Unit
from benchmarks.robustness.systems import PAMT
from pamt_metric import Metric
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE

FILE_NAME = "robustness-metrics.csv"
HIDE_PENALTY = 4.0
HIDE_RATE = 0.1
"""Of Adam, as a share of the root mean square of noise at the masked threshold."""
MEL_BANDS = 64

Distance = Callable[[Float[Tensor, "time"], Float[Tensor, "time"]], Float[Tensor, ""]]


def distances(metric: Metric) -> dict[str, Distance]:
    """The distances that are attacked, each a differentiable function of two mono clips.

    `encoder-deep` is what CDPAM and LPIPS do, on the frozen encoder: mean absolute difference of
    all layers' features, frame by frame.
    """
    spectral = auraloss.freq.MultiResolutionSTFTLoss()
    mel = auraloss.freq.MelSTFTLoss(SAMPLE_RATE, n_mels=MEL_BANDS)

    def pamt(a: Tensor, b: Tensor) -> Tensor:
        return torch.as_tensor(metric.distance(a, b, sample_rate=SAMPLE_RATE, align="none"))

    def cosine(a: Tensor, b: Tensor) -> Tensor:
        both = [systems.encoder_layers(metric, x[None])[0, -1] for x in (a, b)]
        return 1.0 - functional.cosine_similarity(both[0], both[1], dim=0)

    def deep(a: Tensor, b: Tensor) -> Tensor:
        both = [systems.encoder_frames(metric, x[None])[0] for x in (a, b)]
        return (both[0] - both[1]).abs().mean()

    return {
        "pamt": pamt,
        "mr-stft": lambda a, b: spectral(b[None, None], a[None, None]),
        "log-mel": lambda a, b: mel(b[None, None], a[None, None]),
        "encoder-cosine": cosine,
        "encoder-deep": deep,
    }


@dataclass(frozen=True)
class Outcome:
    """Of one question to one distance on one clip.

    Attributes:
        at_threshold: the distance of random noise at the masked threshold.
        reached: the distance that the attack ends with.
        nmr_db: noise-to-mask ratio of its perturbation.
    """

    at_threshold: float
    reached: float
    nmr_db: float


def drive_up(trial: Trial, distance: Distance) -> Outcome:
    """`raise`: as far as what is masked can drive the distance."""
    bounds = masked_bounds(trial)
    random = _at_threshold(bounds, trial)

    def objective(waveform: Tensor) -> Tensor:
        return distance(trial.clean, waveform)

    # Not from zero, where the slope of a distance vanishes.
    found = attacks.pgd(
        objective,
        trial.clean,
        bounds,
        steps=trial.effort.steps,
        restarts=1,
        generator=trial.generator(),
        start=random,
        stop=False,
    )
    return _outcome(trial, distance, random, found.delta)


def hide(trial: Trial, distance: Distance) -> Outcome:
    """`hide`: the loudest change at the distance of noise that is just masked."""
    bounds = masked_bounds(trial)
    random = _at_threshold(bounds, trial)
    with torch.no_grad():
        most = float(distance(trial.clean, trial.clean + random))
    delta = random.clone().requires_grad_()
    optimiser = torch.optim.Adam([delta], lr=HIDE_RATE * float(random.square().mean().sqrt()))
    best = Found(random, -math.inf, 0)
    loudness = _noise_to_mask(trial)
    for _ in range(trial.effort.steps):
        reached = distance(trial.clean, trial.clean + delta)
        loud = loudness(delta)
        if reached <= most and loud > best.margin:
            best = Found(delta.detach().clone(), loud.item(), 0)
        excess = (reached / most - 1.0).clamp_min(0.0)
        optimiser.zero_grad()
        (HIDE_PENALTY * excess - loud).backward()
        optimiser.step()
    return _outcome(trial, distance, random, best.delta)


def collect(bench: Bench, indices: Sequence[int]) -> pd.DataFrame:
    """Both questions to every distance on these clips, a row each."""
    rows = []
    for index in indices:
        probe = problems.PROBES[bench.task.kind][0]
        trial = bench.trial(Unit(bench.run, probe, PAMT, 0, int(index)))
        for name, distance in distances(bench.metric).items():
            for question, ask in (("raise", drive_up), ("hide", hide)):
                rows.append(
                    {
                        "task": bench.task.name,
                        "item": bench.task.items[index].name,
                        "metric": name,
                        "question": question,
                        **asdict(ask(trial, distance)),
                        "model": bench.metric.info.version,
                    }
                )
    return pd.DataFrame(rows)


def _noise_to_mask(trial: Trial) -> Callable[[Float[Tensor, "time"]], Float[Tensor, ""]]:
    """Natural logarithm of the mean ratio of a perturbation's excitation to the threshold."""
    metric, length = trial.metric, torch.tensor([trial.clean.shape[0]])
    with torch.no_grad():
        levelled, gain_db, _ = metric.to_listening_level(trial.clean[None, None], length, "match")
        threshold = metric.ear(levelled, length).threshold
    gain = 10.0 ** (float(gain_db) / 20.0)

    def ratio(delta: Tensor) -> Tensor:
        excitation = metric.ear(delta[None, None] * gain, length).excitation
        return (excitation / threshold).mean().log()

    return ratio


def _at_threshold(bounds: Masked, trial: Trial) -> Float[Tensor, "time"]:
    noise = torch.randn(trial.clean.shape[0], generator=trial.generator())
    return bounds.project(bounds.steepest(noise))


def _outcome(
    trial: Trial, distance: Distance, random: Float[Tensor, "time"], delta: Float[Tensor, "time"]
) -> Outcome:
    with torch.no_grad():
        at_threshold = float(distance(trial.clean, trial.clean + random))
        reached = float(distance(trial.clean, trial.clean + delta))
    heard = audibility.measure(trial.metric, trial.clean, trial.clean + delta)
    return Outcome(at_threshold, reached, heard.nmr_db)
