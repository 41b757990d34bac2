"""The 109 bands of the FFT ear model, a quarter of a Bark wide, and what is constant in each."""

import numpy as np

LOWEST_FREQUENCY = 80.0
HIGHEST_FREQUENCY = 18_000.0
# Bark.
BAND_WIDTH = 0.25


def hz_to_bark(frequency: np.ndarray | float) -> np.ndarray:
    """Schroeder's scale, z = 7 asinh(f / 650 Hz). Source: [BS] 2.1.5."""
    return 7.0 * np.arcsinh(np.asarray(frequency) / 650.0)


def bark_to_hz(bark: np.ndarray) -> np.ndarray:
    """The inverse of `hz_to_bark`."""
    return 650.0 * np.sinh(bark / 7.0)


def _edges() -> np.ndarray:
    lowest, highest = hz_to_bark(LOWEST_FREQUENCY), hz_to_bark(HIGHEST_FREQUENCY)
    n_bands = int(np.ceil((highest - lowest) / BAND_WIDTH))
    return np.minimum(lowest + BAND_WIDTH * np.arange(n_bands + 1), highest)


# The formula. [BS]'s table, as [Kabal]'s program holds it, agrees to 3 mHz but for four misprints
# of up to 27 Hz: the upper edges of bands 28 and 70, the lower edge of 66, the centre of 100.
EDGE_BARK = _edges()
EDGES = bark_to_hz(EDGE_BARK)
CENTERS = bark_to_hz((EDGE_BARK[:-1] + EDGE_BARK[1:]) / 2.0)
N_BANDS = len(CENTERS)

# Power of the ear's own noise, re 0 dB SPL. Source: [BS] 2.1.6, P_Thres.
INTERNAL_NOISE = 10.0 ** (0.4 * 0.364 * (CENTERS / 1000.0) ** -0.8)


def group(power: np.ndarray, bin_width: float) -> np.ndarray:
    """Power spectra (..., bin) to power in each band (..., band), at least 1e-12.

    Each bin is as wide as the distance of two bins and gives every band the share that lies in it.

    Source: [BS] 2.1.5, P_e.
    """
    centers = bin_width * np.arange(power.shape[-1])[:, None]
    upper = np.minimum(centers + bin_width / 2.0, EDGES[1:])
    lower = np.maximum(centers - bin_width / 2.0, EDGES[:-1])
    share = np.maximum(upper - lower, 0.0) / bin_width
    return np.maximum(power @ share, 1e-12)


def decay(at_100_hz: float, shortest: float, frame_rate: float) -> np.ndarray:
    """Per band, what a first-order filter keeps of its output from one frame to the next.

    Args:
        at_100_hz: Time constant at 100 Hz, in seconds (tau_100).
        shortest: What it tends to at high frequencies, in seconds (tau_min).
        frame_rate: In Hz.

    Source: [BS] 2.1.8 and 3.2, the constant a.
    """
    time_constant = shortest + 100.0 / CENTERS * (at_100_hz - shortest)
    return np.exp(-1.0 / (frame_rate * time_constant))
