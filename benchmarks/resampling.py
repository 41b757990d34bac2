"""What a bootstrap draws again: a study's rated sounds, or its listeners.

In a study that rates all pairs of a few sounds, pairs with a sound in common are not independent,
so the sounds are drawn with replacement, and a pair counts as often as both of its sounds came up
together; a sound and its own copy are no rated pair and drop out. Where every test is rated against
one reference, the pairs themselves are drawn.

Source:
    T. Snijders & S. Borgatti, Non-parametric standard errors and tests for network statistics,
    Connections 22(2), 1999 (resampling the vertices of a network); departs from it in that a pair
    of a vertex with its own copy is left out, not filled in.
"""

import zlib
from collections.abc import Sequence

import numpy as np

N_RESAMPLES = 1000
# Two-sided 95 % interval.
INTERVAL = (2.5, 97.5)


def rates_all_pairs(references: Sequence[str], tests: Sequence[str]) -> bool:
    """Whether some sound is the reference of one pair and the test of another."""
    return not set(references).isdisjoint(tests)


def item_weights(
    references: Sequence[str], tests: Sequence[str], *, n_resamples: int, seed_text: str
) -> np.ndarray:
    """How often each pair of a study occurs in each resample, `(resample, pair)`.

    The draws depend on the study's sounds and the seed alone, not on the order of the pairs, so
    that two metrics can be compared resample by resample.
    """
    if rates_all_pairs(references, tests):
        sounds, places = np.unique([*references, *tests], return_inverse=True)
        counts = _draw(len(sounds), n_resamples, seed_text)
        return counts[:, places[: len(tests)]] * counts[:, places[len(tests) :]]
    pairs = [f"{reference}\n{test}" for reference, test in zip(references, tests, strict=True)]
    order = np.argsort(np.argsort(pairs, kind="stable"), kind="stable")
    return _draw(len(pairs), n_resamples, seed_text)[:, order]


def listener_weights(n_listeners: int, *, n_resamples: int, seed_text: str) -> np.ndarray:
    """How often each listener occurs in each resample, `(resample, listener)`."""
    return _draw(n_listeners, n_resamples, seed_text)


def interval(resampled: np.ndarray) -> tuple[float, float]:
    """Percentile interval of a statistic's resamples; NaN among them drop out."""
    defined = resampled[np.isfinite(resampled)]
    if not defined.size:
        return np.nan, np.nan
    low, high = np.percentile(defined, INTERVAL)
    return float(low), float(high)


def mean_over_studies(resampled: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of each resample over studies `(resample,)`.

    A draw of a small study may be constant, so has no correlation: it drops out of that mean.
    """
    return np.ma.masked_invalid(np.stack(resampled)).mean(axis=0).filled(np.nan)


def generator_for(seed_text: str) -> np.random.Generator:
    """A generator that depends on nothing but a text, such as a study's name."""
    return np.random.default_rng(zlib.crc32(seed_text.encode()))


def _draw(n_units: int, n_resamples: int, seed_text: str) -> np.ndarray:
    probabilities = np.full(n_units, 1.0 / n_units)
    return generator_for(seed_text).multinomial(n_units, probabilities, size=n_resamples)
