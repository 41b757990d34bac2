"""Changes that listeners just hear: what stands in a trial at the published threshold.

Only experiments whose sounds are the same in every trial: where each interval has noise of its own,
a change at the threshold is no pair of sounds but a difference between two spreads.
"""

from typing import NamedTuple

import numpy as np

from benchmarks.psychophysics import human as human_values
from benchmarks.psychophysics.detection import Condition, Detection
from benchmarks.psychophysics.experiment import Key
from benchmarks.psychophysics.experiments import EXPERIMENTS
from benchmarks.psychophysics.experiments.forward import ForwardMasking
from benchmarks.psychophysics.subject import Sound
from pamt_metric.errors import InputError


class JustHeard(NamedTuple):
    """Two intervals `(channel, time)` at 48 kHz, the second with what is just heard."""

    key: Key
    standard: np.ndarray
    signal: np.ndarray


def just_heard(experiment: str) -> list[JustHeard]:
    """The pair at the listeners' threshold of each condition that has a confirmed one.

    Raises:
        InputError: The experiment has no thresholds, or fresh noise in every interval.
    """
    human = human_values.read(experiment)
    found = [
        JustHeard(
            condition.key,
            Sound(condition.standard(human[condition.key].value, 0)).waveform,
            Sound(condition.signal(human[condition.key].value, 0)).waveform,
        )
        for condition in _conditions(experiment)
        if condition.key in human and human[condition.key].is_target and not condition.fresh
    ]
    if not found:
        raise InputError(
            f"experiment {experiment!r} has no pair of sounds at a threshold; among those that do "
            "are a, e1, f1 and j1"
        )
    return found


def _conditions(experiment: str) -> list[Condition]:
    if experiment not in EXPERIMENTS:
        raise InputError(f"unknown experiment {experiment!r}; there are {', '.join(EXPERIMENTS)}")
    task = EXPERIMENTS[experiment].task
    if isinstance(task, ForwardMasking):
        return task.for_listeners()
    return list(task.conditions) if isinstance(task, Detection) else []
