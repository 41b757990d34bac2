"""How the distances of a report are spread: bars, and the ticks under them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_BARS = 24


@dataclass(frozen=True)
class Bar:
    """How many distances lie in one stretch."""

    start: float
    end: float
    count: int


@dataclass(frozen=True)
class Histogram:
    """Bars from 0 on, and values to name on the axis."""

    bars: list[Bar]
    ticks: list[float]

    @property
    def end(self) -> float:
        """Where the axis ends."""
        return self.bars[-1].end

    @property
    def most(self) -> int:
        """Height of the highest bar."""
        return max(bar.count for bar in self.bars)


def histogram(distances: Sequence[float]) -> Histogram:
    """Bars of a round width that reach from 0 to the largest distance, at least to 2."""
    largest = max(2.0, *distances)
    step = round_step(largest / MAX_BARS)
    n_bars = math.floor(largest / step) + 1
    counts, edges = np.histogram(distances, n_bars, (0.0, n_bars * step))
    sides = zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    tick = round_step(largest / 6)
    ticks = [round(index * tick, 10) for index in range(math.floor(n_bars * step / tick) + 1)]
    return Histogram([Bar(*bar) for bar in sides], ticks)


def round_step(least: float) -> float:
    """The smallest of ..., 0.1, 0.2, 0.5, 1, 2, 5, ... that is not smaller."""
    decade = 10.0 ** math.floor(math.log10(least))
    return next(decade * factor for factor in (1.0, 2.0, 5.0, 10.0) if decade * factor >= least)
