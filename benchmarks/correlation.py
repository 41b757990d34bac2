"""Rank and product-moment correlation of a metric's values with listeners' judgements."""

from typing import Any

import numpy as np
from scipy import stats

COEFFICIENTS = {
    "spearman": stats.spearmanr,
    "pearson": stats.pearsonr,
    "kendall": stats.kendalltau,
}
# Below this no correlation means anything.
MIN_ITEMS = 3


def coefficients(human: np.ndarray, value: np.ndarray) -> dict[str, float]:
    """Spearman, Pearson and Kendall (tau-b) of two arrays `(item,)`; NaN where undefined."""
    if len(value) < MIN_ITEMS or np.ptp(human) == 0 or np.ptp(value) == 0:
        return dict.fromkeys(COEFFICIENTS, np.nan)
    results: dict[str, Any] = {name: call(human, value) for name, call in COEFFICIENTS.items()}
    return {name: float(result.statistic) for name, result in results.items()}


def weighted_spearman(human: np.ndarray, value: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Spearman's coefficient of each sample r in which item i occurs `weights[r, i]` times.

    The same number as of the repeated items written out, without sorting each resample anew: the
    items are sorted once, and a tie's rank is the mean of the places that it takes.

    Args:
        human: `(item,)`.
        value: `(item,)`.
        weights: `(resample, item)`, counts.

    Returns:
        `(resample,)`, NaN where a resample is constant.
    """
    a, b = (weighted_ranks(x, weights) for x in (human, value))
    return _weighted_pearson(a, b, weights)


def weighted_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean ranks `(resample, item)` of values `(item,)` that occur `weights` times each."""
    _, level = np.unique(values, return_inverse=True)
    order = np.argsort(level, kind="stable")
    starts = np.flatnonzero(np.diff(level[order], prepend=-1))
    n_at_level = np.add.reduceat(weights[:, order].astype(np.float64), starts, axis=1)
    n_below = np.cumsum(n_at_level, axis=1) - n_at_level
    return (n_below + (n_at_level + 1.0) / 2.0)[:, level]


def spearman_rows(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's coefficient of each pair of rows `(row, item)`, NaN for a constant one."""
    ranks = [stats.rankdata(x, axis=-1) for x in (a, b)]
    return _weighted_pearson(ranks[0], ranks[1], np.ones(1))


def _weighted_pearson(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    weights = np.broadcast_to(weights, np.broadcast_shapes(a.shape, b.shape))
    total = weights.sum(axis=-1, keepdims=True)
    a, b = (x - (weights * x).sum(axis=-1, keepdims=True) / np.maximum(total, 1) for x in (a, b))
    covariance = (weights * a * b).sum(axis=-1)
    scale = np.sqrt((weights * a**2).sum(axis=-1) * (weights * b**2).sum(axis=-1))
    defined = scale > 1e-9 * np.maximum(total[..., 0], 1)
    return np.divide(covariance, scale, out=np.full_like(scale, np.nan), where=defined)
