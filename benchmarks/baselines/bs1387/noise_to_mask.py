"""Total noise-to-mask ratio, Total NMR_B of [BS] 4.5.1."""

import numpy as np

from benchmarks.baselines.bs1387.bands import BAND_WIDTH, N_BANDS, group
from benchmarks.baselines.bs1387.ear import BIN_WIDTH


def masking_offset() -> np.ndarray:
    """By how many dB each band's mask lies under its excitation: m of [BS] 2.1.9."""
    return np.maximum(3.0, 0.25 * BAND_WIDTH * np.arange(N_BANDS))


def noise_to_mask(
    reference: np.ndarray, test: np.ndarray, reference_excitation: np.ndarray
) -> np.ndarray:
    """Power of the error over the reference's mask, (frame, band).

    The error is the difference of the magnitudes (frame, bin).

    Source: [BS] 3.4 and 4.5.
    """
    noise = group((reference - test) ** 2, BIN_WIDTH)
    mask = reference_excitation / 10.0 ** (masking_offset() / 10.0)
    return noise / mask


def total_nmr(ratios: np.ndarray) -> float:
    """The mean of `noise_to_mask` over bands and frames, in dB."""
    return float(10.0 * np.log10(ratios.mean()))
