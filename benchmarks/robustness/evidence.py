"""Evidence that robust accuracy is not gradients that hide.

After Athalye et al. 2018 and Carlini et al. 2019: more steps find no weaker perturbations, an
attack that may do anything wins everywhere, what sees the gradient beats what does not, random
noise of the same size does less, and perturbations made for one system are weaker on the other
than its own.
"""

import math
from collections.abc import Iterator, Sequence

import pandas as pd
import torch

from benchmarks.robustness import attacks
from benchmarks.robustness.bounds import peak_at
from benchmarks.robustness.catalogue import Trial
from benchmarks.robustness.suite import Bench, Unit
from benchmarks.robustness.systems import ENCODER, PAMT

FILE_NAME = "robustness-evidence.csv"
STEP_COUNTS = (1, 5, 10, 20, 40, 80)
STEPS_SNR_DB = 40
BUDGET_SNRS_DB = (60, 50, 40, 30, 20, 10, 0)
TRANSFER_SNR_DB = 30


def by_steps(trial: Trial) -> Iterator[dict[str, object]]:
    """Largest margin reached after so many steps of one run that does not stop."""
    reached: list[float] = []
    counts = [count for count in STEP_COUNTS if count <= 2 * trial.effort.steps]
    attacks.pgd(
        trial.objective,
        trial.clean,
        peak_at(trial.clean, STEPS_SNR_DB),
        steps=max(counts),
        restarts=1,
        generator=trial.generator(),
        stop=False,
        on_margin=reached.append,
    )
    for count in counts:
        yield {"kind": "steps", "x": count, "margin": reached[count]}


def by_budget(trial: Trial) -> Iterator[dict[str, object]]:
    """Margin by the size of the perturbation, each beginning where the smaller one ended."""
    start = None
    for snr_db in BUDGET_SNRS_DB:
        bounds = peak_at(trial.clean, snr_db)
        if start is None or not start.won:
            start = attacks.pgd(
                trial.objective,
                trial.clean,
                bounds,
                steps=trial.effort.steps,
                restarts=1,
                generator=trial.generator(),
                start=None if start is None else start.delta,
            )
        yield {"kind": "budget", "x": snr_db, "margin": start.margin}


def transfer(trials: dict[str, Trial]) -> Iterator[dict[str, object]]:
    """Margin of each system under the perturbation that was made for each."""
    for source, trial in trials.items():
        found = attacks.pgd(
            trial.objective,
            trial.clean,
            peak_at(trial.clean, TRANSFER_SNR_DB),
            steps=trial.effort.steps,
            restarts=1,
            generator=trial.generator(),
            stop=False,
        )
        for target, other in trials.items():
            with torch.no_grad():
                margin = float(other.objective(trial.clean + found.delta))
            yield {
                "kind": f"transfer from {source}",
                "x": math.nan,
                "margin": margin,
                "system": target,
            }


def collect(bench: Bench, probe: str, seed: int, indices: Sequence[int]) -> pd.DataFrame:
    """All evidence on these clips, a row each; `correct` is 0 where the margin is positive."""
    rows: list[dict[str, object]] = []
    for index in indices:
        trials = {
            system: bench.trial(Unit(bench.run, probe, system, seed, int(index)))
            for system in (ENCODER, PAMT)
        }
        item = {"task": bench.task.name, "probe": probe, "item": bench.task.items[index].name}
        for system, trial in trials.items():
            named = item | {"system": system}
            rows += [named | row for row in (*by_steps(trial), *by_budget(trial))]
        rows += [item | row for row in transfer(trials)]
    table = pd.DataFrame(rows)
    table["correct"] = (table["margin"] <= 0.0).astype(int)
    table["model"] = bench.metric.info.version
    return table
