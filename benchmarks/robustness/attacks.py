"""Attacks on one clip: what is looked for is a perturbation that makes the answer wrong.

An objective gives the margin of a waveform: by how much the best wrong answer leads, so that an
attack has won where it is positive. White-box attacks see its gradient through everything from
the waveform to the decision. Where a clip is won an attack stops; the answer cannot become more
wrong.

Sources:
    FGSM: Goodfellow et al. 2015. PGD: Madry et al. 2018, with the momentum and shrinking steps of
    APGD (Croce and Hein 2020). C&W: Carlini and Wagner 2017. Square: Andriushchenko et al. 2020,
    with spans of time for squares. Universal: Moosavi-Dezfooli et al. 2017, by signed steps.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.robustness.bounds import Bounds, Energy

Objective = Callable[[Float[Tensor, "time"]], Float[Tensor, ""]]

MOMENTUM = 0.75
FIRST_STEP = 0.5
LAST_STEP = 0.02
"""Steps of PGD as a share of the set's size; they shrink geometrically from one to the other."""
CW_CONFIDENCE = 0.0
CW_STEP = 0.1
"""Of Adam, as a share of the root mean square that the loudest perturbation allowed has."""
CW_FIRST_WEIGHT = 1.0
SQUARE_FIRST_SHARE = 0.3
SQUARE_LAST_SHARE = 0.005


@dataclass(frozen=True)
class Found:
    """What an attack ends with: the strongest perturbation, its margin, what it took."""

    delta: Float[Tensor, "time"]
    margin: float
    n_queries: int

    @property
    def won(self) -> bool:
        """Whether the answer is wrong."""
        return self.margin > 0.0


def pgd(
    objective: Objective,
    clean: Float[Tensor, "time"],
    bounds: Bounds,
    *,
    steps: int,
    restarts: int,
    generator: torch.Generator,
    start: Float[Tensor, "time"] | None = None,
    stop: bool = True,
    on_margin: Callable[[float], object] = lambda _: None,
) -> Found:
    """Projected gradient ascent with momentum; the first of the restarts begins at `start`.

    Args:
        objective: margin of a waveform.
        clean: the clip.
        bounds: where the perturbation has to stay.
        steps: gradient steps of each restart.
        restarts: after the first, each begins at a random place inside.
        generator: draws those places.
        start: a perturbation to begin at; zero if not given.
        stop: end as soon as the answer is wrong.
        on_margin: told the best margin after every step.
    """
    best = Found(torch.zeros_like(clean), -math.inf, 0)
    shrink = (LAST_STEP / FIRST_STEP) ** (1.0 / max(1, steps - 1))
    for restart in range(restarts):
        first = torch.zeros_like(clean) if start is None else start
        delta = bounds.project(first if restart == 0 else bounds.random(generator))
        before = delta
        for step in range(steps + 1):
            margin, gradient = _gradient(objective, clean + delta)
            best = _better(best, delta, margin)
            on_margin(best.margin)
            if (stop and best.won) or step == steps:
                break
            size = FIRST_STEP * shrink**step
            share = 1.0 if step == 0 else MOMENTUM
            moved = delta + share * size * bounds.steepest(gradient)
            moved = moved + (1.0 - share) * (delta - before)
            before, delta = delta, bounds.project(moved)
        if stop and best.won:
            break
    return best


def fgsm(objective: Objective, clean: Float[Tensor, "time"], bounds: Bounds) -> Found:
    """One step of full size along the gradient."""
    margin, gradient = _gradient(objective, clean)
    best = _better(Found(torch.zeros_like(clean), -math.inf, 0), torch.zeros_like(clean), margin)
    delta = bounds.project(bounds.steepest(gradient))
    return _better(best, delta, _margin(objective, clean + delta))


def carlini_wagner(
    objective: Objective,
    clean: Float[Tensor, "time"],
    limit: Energy,
    *,
    steps: int,
    rounds: int,
    restarts: int,
    generator: torch.Generator,
) -> Found:
    """The smallest energy that makes the answer wrong; counts as found inside `limit` alone.

    `rounds` times the weight of the margin beside the energy is halved after a success or raised
    tenfold after a failure, each time with so many steps of Adam. All of that starts at nothing,
    then, as long as nothing inside the limit was found, at random places inside it.
    """
    found = Found(torch.zeros_like(clean), _margin(objective, clean), 1)
    for restart in range(restarts):
        first = limit.random(generator) if restart else torch.zeros_like(clean)
        found = _smallest(objective, clean, limit, first, found, steps=steps, rounds=rounds)
        if found.won:
            break
    return found


def _smallest(
    objective: Objective,
    clean: Float[Tensor, "time"],
    limit: Energy,
    first: Float[Tensor, "time"],
    best: Found,
    *,
    steps: int,
    rounds: int,
) -> Found:
    """One start of C&W; `best` is what is known before."""
    best_energy, weight, low = math.inf, CW_FIRST_WEIGHT, 0.0
    queries = best.n_queries
    for _ in range(rounds):
        delta = first.clone().requires_grad_()
        rate = CW_STEP * limit.radius / clean.shape[0] ** 0.5
        optimiser = torch.optim.Adam([delta], lr=rate)
        won = False
        for _ in range(steps):
            margin = objective(clean + delta)
            queries += 1
            energy = delta.square().sum() / limit.radius**2
            if margin > 0.0 and energy < best_energy:
                best_energy, won = energy.item(), True
                best = Found(delta.detach().clone(), margin.item(), queries)
            loss = energy + weight * (CW_CONFIDENCE - margin).clamp_min(0.0)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if won:
            weight = 0.5 * (low + weight)
        else:
            low, weight = weight, 10.0 * weight
    if best.won and best_energy > 1.0:
        inside = limit.project(best.delta)
        return Found(inside, _margin(objective, clean + inside), queries + 1)
    return Found(best.delta, best.margin, queries)


def square(
    objective: Objective,
    clean: Float[Tensor, "time"],
    *,
    size: float,
    queries: int,
    generator: torch.Generator,
) -> Found:
    """Black box: spans of time set to +-`size` at random, kept where the margin grows."""
    n_sample = clean.shape[0]
    signs = torch.randint(0, 2, (n_sample,), generator=generator) * 2 - 1
    best = Found(size * signs.float(), _margin(objective, clean + size * signs), 1)
    for query in range(1, queries):
        if best.won:
            break
        share = SQUARE_FIRST_SHARE * (SQUARE_LAST_SHARE / SQUARE_FIRST_SHARE) ** (query / queries)
        length = max(1, int(share * n_sample))
        first = int(torch.randint(0, n_sample - length + 1, (1,), generator=generator))
        # A tone of a random period: a constant would lie under what anything hears.
        period = int(2 ** (1 + 8 * torch.rand(1, generator=generator)))
        phase = int(torch.randint(0, period, (1,), generator=generator))
        wave = ((torch.arange(length) + phase) % period < period / 2).float() * 2.0 - 1.0
        delta = best.delta.clone()
        delta[first : first + length] = size * wave
        best = _better(best, delta, _margin(objective, clean + delta))
    return best


def universal(
    objectives: Sequence[Objective],
    cleans: Float[Tensor, "item time"],
    *,
    snr_db: float,
    steps: int,
    restarts: int,
    generator: torch.Generator,
) -> Float[Tensor, "time"]:
    """One perturbation for all clips, of peak 1, to be scaled to each clip's loudness.

    Signed steps along the summed gradients of those clips that still are answered rightly, from
    nothing and then from random places; the one that wins most of these clips is kept.
    """
    sizes = cleans.square().mean(1).sqrt() * 10.0 ** (-snr_db / 20.0)
    shrink = (LAST_STEP / FIRST_STEP) ** (1.0 / max(1, steps - 1))
    made = []
    for restart in range(restarts):
        delta = torch.zeros(cleans.shape[1])
        if restart:
            delta = 2.0 * torch.rand(cleans.shape[1], generator=generator) - 1.0
        for step in range(steps):
            total = torch.zeros_like(delta)
            for objective, clean, size in zip(objectives, cleans, sizes, strict=True):
                margin, gradient = _gradient(objective, clean + size * delta)
                if margin <= 0.0:
                    total += gradient / gradient.norm().clamp_min(1e-20)
            if not total.any():
                break
            delta = (delta + FIRST_STEP * shrink**step * total.sign()).clamp(-1.0, 1.0)
        made.append(delta)

    def strength(delta: Float[Tensor, "time"]) -> tuple[int, float]:
        pairs = zip(objectives, cleans, sizes, strict=True)
        margins = [_margin(objective, clean + size * delta) for objective, clean, size in pairs]
        return sum(margin > 0.0 for margin in margins), sum(margins)

    return max(made, key=strength)


def strongest(
    objective: Objective, clean: Float[Tensor, "time"], candidates: Sequence[Float[Tensor, "time"]]
) -> Found:
    """The best of given waveforms, for attacks that have no gradient."""
    best = Found(torch.zeros_like(clean), _margin(objective, clean), 1)
    for candidate in candidates:
        if best.won:
            break
        best = _better(best, candidate - clean, _margin(objective, candidate))
    return best


@torch.no_grad()
def _margin(objective: Objective, waveform: Float[Tensor, "time"]) -> float:
    return float(objective(waveform))


def _gradient(
    objective: Objective, waveform: Float[Tensor, "time"]
) -> tuple[float, Float[Tensor, "time"]]:
    leaf = waveform.detach().requires_grad_()
    margin = objective(leaf)
    (gradient,) = torch.autograd.grad(margin, leaf)
    return margin.item(), gradient


def _better(best: Found, delta: Float[Tensor, "time"], margin: float) -> Found:
    queries = best.n_queries + 1
    if margin > best.margin:
        return Found(delta.detach().clone(), margin, queries)
    return Found(best.delta, best.margin, queries)
