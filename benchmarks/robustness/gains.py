"""What the outcomes add up to: robust accuracy, and by how much one system's exceeds the other's.

Accuracy is the share of clips still answered rightly. The gain of a task under an attack is a
difference between two systems on the same clips; its mean is over attacks, then over tasks.
Intervals come from drawing clips again with all their attacks, within each task.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.datasets.table import where
from benchmarks.robustness.systems import ENCODER, PAMT, SYSTEMS

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Gain:
    """A difference of accuracies in points, with its interval."""

    points: float
    low: float
    high: float


def accuracy(found: pd.DataFrame) -> pd.DataFrame:
    """Accuracy in percent and number of clips, by task, attack and system."""
    by = found.groupby(["task", "attack", "system"], sort=False)["correct"]
    table = by.agg(["mean", "size"]).reset_index()
    return table.assign(accuracy=100.0 * table["mean"]).rename(columns={"size": "n"})


def present(found: pd.DataFrame) -> list[str]:
    """Systems of these rows, in their usual order."""
    return [system for system in SYSTEMS if system in set(found["system"])]


def n_clips(found: pd.DataFrame) -> int:
    """Clips that were asked about, each seed's by themselves."""
    return found.groupby(["seed", "item"]).ngroups


def perturbed(found: pd.DataFrame) -> pd.DataFrame:
    """The rows in which anything was done to the clip: one answered wrongly needs no attack."""
    return where(found, found["snr_db"].notna())


def median(values: Any) -> float:
    """Of the finite values; NaN where there are none."""
    numbers = np.asarray(values, dtype=float)
    finite = numbers[np.isfinite(numbers)]
    return float(np.median(finite)) if len(finite) else math.nan


def mean_by(rows: pd.DataFrame, key: str, value: str) -> dict[Any, float]:
    """Mean of a column by another's values, in their order."""
    found = rows.groupby(key, sort=True)[value].agg("mean")
    return dict(zip(found.index.tolist(), found.to_numpy(dtype=float).tolist(), strict=True))


def differences(found: pd.DataFrame, attacks: Sequence[str]) -> dict[str, np.ndarray]:
    """For each task `(clip, attack)`: 1 where only PAMT is right, -1 where only the encoder is."""
    result = {}
    for task, part in found.groupby("task", sort=False):
        wide = part[part["attack"].isin(attacks)].pivot_table(
            index=["seed", "item"], columns=["attack", "system"], values="correct"
        )
        names = [name for name in attacks if (name, PAMT) in wide and (name, ENCODER) in wide]
        by_system = [
            np.stack([wide[name, system].to_numpy() for name in names], axis=1)
            for system in (PAMT, ENCODER)
        ]
        difference = by_system[0] - by_system[1]
        result[str(task)] = difference[~np.isnan(difference).any(axis=1)]
    return result


def mean_gain(found: pd.DataFrame, attacks: Sequence[str]) -> Gain:
    """Mean over attacks, then over tasks."""
    by_task = list(differences(found, attacks).values())
    rng = np.random.default_rng(0)
    draws = [
        np.mean([part[rng.integers(len(part), size=len(part))].mean() for part in by_task])
        for _ in range(DRAWS)
    ]
    outside = 50.0 * (1.0 - LEVEL)
    low, high = np.percentile(draws, [outside, 100.0 - outside])
    points = float(np.mean([part.mean() for part in by_task]))
    return Gain(100.0 * points, 100.0 * float(low), 100.0 * float(high))
