"""One value of one metric: what a metric is, and what comes of asking it.

Imports nothing heavy: the process that guards a metric (`benchmarks.worker`) starts with this.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class UndefinedError(Exception):
    """The metric has no answer for this pair; the message is the reason."""


class LostError(UndefinedError):
    """No answer this time: the process that looked for one crashed or took too long."""


class Named(Protocol):
    """What results say of where their values come from."""

    name: str
    version: str


class Metric(Named, Protocol):
    """What the benchmark needs of a contestant.

    Attributes:
        name: What tables call it.
        version: Changes whenever its values may change; values are cached under it.

    `implementation`, if it has one, says for a reader what computes the value: `pesq 0.0.4`.
    """

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """How different b sounds from the reference a, both float32 `(channel, time)`."""
        ...


@dataclass(frozen=True)
class Measurement:
    """A value, or NaN and the reason why there is none.

    Attributes:
        lasting: Another run would find the same; false where its process was lost.
    """

    value: float
    reason: str = ""
    lasting: bool = True


def measure(metric: Metric, a: np.ndarray, b: np.ndarray, sample_rate: int) -> Measurement:
    """One value; whatever goes wrong inside the metric costs this pair only, and is named."""
    try:
        value = float(metric(a, b, sample_rate))
    except LostError as error:
        return Measurement(math.nan, str(error), lasting=False)
    except UndefinedError as error:
        return Measurement(math.nan, str(error))
    except Exception as error:  # noqa: BLE001 (a foreign metric may raise anything)
        return Measurement(math.nan, f"{type(error).__name__}: {error}".splitlines()[0])
    return Measurement(value, "" if math.isfinite(value) else f"the metric returned {value}")


def implementation(metric: Named) -> str:
    """What computes the metric's values, for a reader: its own words, else its version."""
    return getattr(metric, "implementation", metric.version)
