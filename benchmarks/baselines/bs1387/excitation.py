"""Excitation patterns: band powers with internal noise, spread over bands and smeared in time."""

import numpy as np
from scipy.signal import lfilter

from benchmarks.baselines.bs1387.bands import (
    BAND_WIDTH,
    CENTERS,
    INTERNAL_NOISE,
    N_BANDS,
    decay,
    group,
)
from benchmarks.baselines.bs1387.ear import BIN_WIDTH, FRAME_RATE

# dB per Bark below a band: S_l of [BS] 2.1.7.
LOWER_SLOPE = 27.0
# Spread bands add up as powers of this exponent of their power.
ADDITION_EXPONENT = 0.4
# Seconds. Source: [BS] 2.1.8.
SMEARING_AT_100_HZ = 0.030
SMEARING_SHORTEST = 0.008


def unsmeared(magnitudes: np.ndarray) -> np.ndarray:
    """Spectra (frame, bin) to unsmeared excitation patterns (frame, band): E_2, 1 = 0 dB SPL."""
    return spread(group(magnitudes**2, BIN_WIDTH) + INTERNAL_NOISE)


def smeared(unsmeared: np.ndarray) -> np.ndarray:
    """Excitation patterns E: the unsmeared ones or their decaying past, whichever is more.

    Source: [BS] 2.1.8.
    """
    past = smooth(unsmeared, decay(SMEARING_AT_100_HZ, SMEARING_SHORTEST, FRAME_RATE))
    return np.maximum(unsmeared, past)


def smooth(patterns: np.ndarray, decay: np.ndarray) -> np.ndarray:
    """y[n] = decay y[n - 1] + (1 - decay) x[n] along the frames of (frame, band), from rest."""
    columns = zip(patterns.T, decay, strict=True)
    return np.stack([lfilter([1.0 - a], [1.0, -a], x) for x, a in columns], axis=-1)


def spread(power: np.ndarray) -> np.ndarray:
    """Pitch patterns P_p (frame, band) to unsmeared excitation patterns E_2.

    Normalised so that 0 dB SPL in all bands stays 0 dB SPL in all bands (NormSP).

    Source: [BS] 2.1.7.
    """
    return _spread(power) / _spread(np.ones((1, N_BANDS)))


def _spread(power: np.ndarray) -> np.ndarray:
    """The sum over bands j of E_line[j, k]^0.4, to the power of 1 / 0.4.

    Each band decays by one factor a band below it and by another above it, which rises with its
    level; A, the sum of both geometric series, keeps its power.
    """
    band = np.arange(N_BANDS)
    down = 10.0 ** (-LOWER_SLOPE * BAND_WIDTH / 10.0)
    # S_u = 24 + 230 / f_c - 0.2 L dB per Bark.
    up = 10.0 ** ((-2.4 - 23.0 / CENTERS) * BAND_WIDTH) * power ** (0.2 * BAND_WIDTH)
    below = (1.0 - down ** (band + 1)) / (1.0 - down)
    above = (1.0 - up ** (N_BANDS - band)) / (1.0 - up)
    line = (power / (below + above - 1.0)) ** ADDITION_EXPONENT

    downwards = np.asarray(lfilter([1.0], [1.0, -(down**ADDITION_EXPONENT)], line[:, ::-1]))
    total = downwards[:, ::-1].copy()
    up = up**ADDITION_EXPONENT
    for distance in range(1, N_BANDS):
        line = line[:, :-1] * up[:, :-distance]
        total[:, distance:] += line
    return total ** (1.0 / ADDITION_EXPONENT)
