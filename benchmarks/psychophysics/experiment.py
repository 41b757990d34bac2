"""What an experiment is: conditions to be measured, and what its results are held to.

A condition has a curve (what the original's legend names) and a place x on it. Its result is a
point: a threshold or a judgement in the unit of y, or the reason why there is none.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from benchmarks.psychophysics.human import HumanPoint
from benchmarks.psychophysics.subject import Subject

Key = tuple[str, float]
"""Curve and x."""


@dataclass(frozen=True)
class Point:
    """One result.

    Attributes:
        value: In the unit of y; NaN where there is none.
        reason: Why there is none.
        can: False where the metric cannot do this by design, which is no failure.
    """

    value: float
    reason: str = ""
    can: bool = True


Points = Mapping[Key, Point]


@dataclass(frozen=True)
class Scale:
    """How far two values of y are apart: in which transform, and in units of which spread.

    Attributes:
        transform: Values are compared through it.
        spread: A standard deviation of listeners in the transform's unit, from the `sd` given.
    """

    transform: Callable[[float], float]
    spread: Callable[[float], float]

    def z(self, value: float, human: HumanPoint) -> float:
        """(metric - human) / SD of listeners."""
        difference = self.transform(value) - self.transform(human.value)
        return difference / self.spread(human.sd)


LINEAR = Scale(float, float)
LOGARITHMIC = Scale(math.log, math.log)
"""The sd is a factor."""
WEBER = Scale(lambda level_db: math.log(10.0 ** (level_db / 10.0) - 1.0), math.log)
"""Of level differences: their dI/I is compared, and the sd is a factor of it."""


@dataclass(frozen=True)
class Shape:
    """A number computed from the points, and where it has to lie.

    Attributes:
        name: What is computed, for a reader.
        compute: From this metric's points and the listeners'.
        low: Least value that holds.
        high: Largest value that holds.
    """

    name: str
    compute: Callable[[Mapping[Key, float], Mapping[Key, HumanPoint]], float]
    low: float = -math.inf
    high: float = math.inf

    @property
    def rule(self) -> str:
        if math.isinf(self.high):
            return f"at least {self.low:g}"
        if math.isinf(self.low):
            return f"at most {self.high:g}"
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Ordering:
    """A change that listeners hear less well, and one that they hear better."""

    name: str
    nearer: Callable[[Subject], float]
    farther: Callable[[Subject], float]


class Task(Protocol):
    """How the points of an experiment are got from a metric."""

    def keys(self) -> Sequence[Key]:
        """The conditions."""
        ...

    def measure(self, subject: Subject) -> Iterator[tuple[Key, Point]]:
        """Each condition's point."""
        ...

    def orderings(self, human: Mapping[Key, HumanPoint], scale: Scale) -> Iterator[Ordering]:
        """What the listeners' values say about distances, whatever the internal noise."""
        ...


@dataclass(frozen=True)
class Experiment:
    """A published experiment.

    Attributes:
        id: Its letter in the table of results; the file of human values has the same name.
        title: For a reader.
        source: Who published it.
        priority: 1 or 2.
        x: Name and unit of the abscissa.
        y: Name and unit of what is measured.
        task: How it is measured.
        scale: How values of y are compared.
        shapes: What the results as a whole are held to.
        orderings: Orderings beside those that follow from the listeners' values.
        log_x: Plots have a logarithmic abscissa.
        log_y: Plots have a logarithmic ordinate.
        has_targets: Each point is held to the listeners', not only the curve's shape.
        as_human: For plots: from a curve's values to the listeners' quantity.
    """

    id: str
    title: str
    source: str
    priority: int
    x: str
    y: str
    task: Task
    scale: Scale = LINEAR
    shapes: Sequence[Shape] = ()
    orderings: Sequence[Ordering] = field(default=())
    log_x: bool = False
    log_y: bool = False
    has_targets: bool = True
    as_human: Callable[[np.ndarray], np.ndarray] | None = None
