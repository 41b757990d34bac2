"""Numbers that describe a whole curve: slopes, peaks, errors left after one offset.

All take values by curve and x. A missing value raises KeyError: a curve with a hole has no shape.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
from scipy import stats

from benchmarks.psychophysics.experiment import Key
from benchmarks.psychophysics.human import HumanPoint

Values = Mapping[Key, float]
Humans = Mapping[Key, HumanPoint]
Transform = Callable[[float], float]


def curve(values: Values, name: str) -> tuple[np.ndarray, np.ndarray]:
    """x in rising order, and the values there."""
    xs = sorted(x for curve_name, x in values if curve_name == name)
    if not xs:
        raise KeyError(name)
    return np.array(xs), np.array([values[name, x] for x in xs])


def residuals(values: Values, human: Humans, transform: Transform = float) -> np.ndarray:
    """Metric minus listeners, at every point of theirs."""
    return np.array([transform(values[key]) - transform(human[key].value) for key in human])


def rms_error(values: Values, human: Humans, transform: Transform = float) -> float:
    """Root of the mean squared difference."""
    return float(np.sqrt(np.mean(residuals(values, human, transform) ** 2)))


def rms_error_after_offset(values: Values, human: Humans) -> float:
    """The same after the mean difference is taken out."""
    return float(np.std(residuals(values, human)))


def correlation(values: Values, human: Humans) -> float:
    """Pearson's coefficient with the listeners' points."""
    return _pearson(np.array([(values[key], human[key].value) for key in human]))


def slope(values: Values, name: str, *, low: float, high: float, transform: Transform) -> float:
    """Least-squares slope of transformed values of a curve between two x, per unit of x."""
    xs, ys = curve(values, name)
    inside = (xs >= low) & (xs <= high)
    return float(np.polyfit(xs[inside], [transform(y) for y in ys[inside]], 1)[0])


def peak(values: Values, name: str, *, sign: float = 1.0) -> float:
    """x of the largest value (of the smallest with a sign of -1)."""
    xs, ys = curve(values, name)
    return float(xs[np.argmax(sign * ys)])


def peak_between(values: Values, name: str, low: float, high: float, *, sign: float) -> float:
    """x of the largest value between two x."""
    inside = {key: value for key, value in values.items() if low <= key[1] <= high}
    return peak(inside, name, sign=sign)


def rank_correlation(values: Values, human: Humans, names: list[str], *, sign: float) -> float:
    """Spearman's coefficient within each curve, then the mean over curves."""
    found = []
    for name in names:
        keys = [key for key in human if key[0] == name]
        pairs = np.array([(sign * values[key], human[key].value) for key in keys])
        found.append(_pearson(stats.rankdata(pairs, axis=0)))
    return float(np.mean(found))


def _pearson(pairs: np.ndarray) -> float:
    """NaN where one side does not vary, which holds no rule."""
    if np.ptp(pairs, axis=0).min() == 0.0:
        return math.nan
    return float(np.corrcoef(pairs.T)[0, 1])


def cutoff(values: Values, name: str, *, rise: float, plateau: float) -> float:
    """x, on a logarithmic axis, where a curve first lies `rise` over its plateau."""
    xs, ys = curve(values, name)
    above = np.flatnonzero(ys >= plateau + rise)
    if not len(above) or above[0] == 0:
        return math.inf if not len(above) else float(xs[0])
    last = above[0]
    share = (plateau + rise - ys[last - 1]) / (ys[last] - ys[last - 1])
    return float(xs[last - 1] * (xs[last] / xs[last - 1]) ** share)
