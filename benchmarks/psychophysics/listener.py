r"""The listener: hears three intervals, says which is the odd one out, and an adaptive track.

Two intervals hold the standard, one holds the signal. The metric gives the three distances, each
heard through internal noise of one size sigma, and the listener picks the interval whose distances
to the other two sum up to the most. That interval is the signal exactly if the distance between
the standards comes out smallest, so with the standards d apart, and d1 and d2 from the signal,

    P(correct) = P(d + n < d1 + n1, d + n < d2 + n2)
               = \int phi(z) [1 - Phi(z + (d - d1) / sigma)] [1 - Phi(z + (d - d2) / sigma)] dz

(one third where nothing is heard). Two down, one up converges where P(correct)^2 = 1/2.

A deterministic metric needs no new distance for each trial: they are tabulated over the strength
of the signal for several tokens of the noise in the intervals, which gives P(correct) at every
strength, and the tracks run on it. For stimuli without noise that is exact; for others exact as
far as a few tokens stand for all.

Source: H. Levitt, Transformed up-down methods in psychoacoustics, JASA 49, 467 (1971).
"""

import math
from collections.abc import Callable

import numpy as np
from scipy import optimize, special

TARGET = math.sqrt(0.5)
"""Share of correct answers on which two-down one-up converges: 70.7 %."""
CHANCE = 1.0 / 3.0
N_TRACKS = 400
N_REVERSALS = 20
"""Reversals of each track, of which the first `N_DISCARDED` are discarded."""
N_DISCARDED = 8
MAX_TRIALS = 400
# Gauss-Hermite nodes for the integral over the noise on the distance between the standards.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()

Psychometric = Callable[[np.ndarray], np.ndarray]


def share_correct(
    between: np.ndarray, first: np.ndarray, second: np.ndarray, *, sigma: float
) -> np.ndarray:
    """Share of correct answers.

    Args:
        between: Distance between the two standards.
        first: Distance of one of them from the signal, of the same shape.
        second: Distance of the other.
        sigma: Standard deviation of the internal noise on each distance.
    """
    shift_1, shift_2 = ((between - x)[..., None] / sigma for x in (first, second))
    product = special.ndtr(-(_NODES + shift_1)) * special.ndtr(-(_NODES + shift_2))
    return product @ _WEIGHTS


def fit_sigma(distance: float) -> float:
    """The internal noise with which a distance from an exact copy is heard in 70.7 % of trials."""
    found = optimize.root_scalar(
        lambda ratio: _share_of_ratio(ratio) - TARGET, bracket=(0.0, 10.0), method="brentq"
    )
    return distance / found.root


def _share_of_ratio(ratio: float) -> float:
    zero, d = np.zeros(1), np.full(1, ratio)
    return float(share_correct(zero, d, d, sigma=1.0)[0])


def run_tracks(
    psychometric: Psychometric,
    *,
    start: float,
    step: float,
    smallest_step: float,
    seed: int = 0,
) -> float:
    """Mean threshold of many two-down one-up tracks.

    Args:
        psychometric: Share of correct answers by strength, `(track,)` to `(track,)`; rises with it.
        start: Strength of the first trial.
        step: First change of strength; halved after every second reversal.
        smallest_step: Where halving ends.
        seed: Of the trials.
    """
    random = np.random.default_rng(seed)
    strength = np.full(N_TRACKS, float(start))
    size = np.full(N_TRACKS, float(step))
    right = np.zeros(N_TRACKS, dtype=int)
    direction = np.zeros(N_TRACKS, dtype=int)
    reversals = np.zeros(N_TRACKS, dtype=int)
    total = np.zeros(N_TRACKS)
    for _ in range(MAX_TRIALS):
        correct = random.random(N_TRACKS) < psychometric(strength)
        right = np.where(correct, right + 1, 0)
        move = np.where(~correct, 1, np.where(right == 2, -1, 0))
        right[right == 2] = 0
        turned = (move != 0) & (direction != 0) & (move != direction)
        counts = turned & (reversals >= N_DISCARDED) & (reversals < N_REVERSALS)
        total[counts] += strength[counts]
        reversals += turned
        size = np.where(turned & (reversals % 2 == 0), np.maximum(0.5 * size, smallest_step), size)
        direction = np.where(move != 0, move, direction)
        strength = strength + move * size
        if np.all(reversals >= N_REVERSALS):
            break
    used = np.clip(reversals, N_DISCARDED, N_REVERSALS) - N_DISCARDED
    return float(total[used > 0].sum() / used[used > 0].sum())
