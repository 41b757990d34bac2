"""From samples to magnitude spectra behind the outer and middle ear, and which frames count."""

import numpy as np

from benchmarks.metrics import UndefinedError
from benchmarks.waveforms import baseline_conditions, resample

SAMPLE_RATE = 48_000
FRAME_LENGTH = 2048
HOP_LENGTH = FRAME_LENGTH // 2
FRAME_RATE = SAMPLE_RATE / HOP_LENGTH
BIN_WIDTH = SAMPLE_RATE / FRAME_LENGTH
# dB SPL of a full-scale sine of this frequency in Hz, in its highest bin. Source: [BS] 2.1.3.
PLAYBACK_LEVEL = 92.0
CALIBRATION_FREQUENCY = 1019.5
# Sound begins and ends where the absolute values of 5 samples sum to more than 200 at 16 bits.
# Source: [BS] 5.2.4.4.
BOUNDARY_SAMPLES = 5
BOUNDARY_SUM = 200.0 / 32_768.0


def at_48_khz(a: np.ndarray, b: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Both sounds (time,) under the baselines' conditions, in float64 at 48 kHz.

    Raises:
        UndefinedError: One of them has no samples.
    """
    if not min(a.shape[-1], b.shape[-1]):
        raise UndefinedError("a sound has no samples")
    a, b = (resample(x[None], sample_rate, SAMPLE_RATE)[0] for x in baseline_conditions(a, b))
    return a.astype(np.float64), b.astype(np.float64)


def active_frames(reference: np.ndarray) -> slice:
    """The frames that count: those of the reference's sound, the last one at least half in it.

    Source: [BS] 5.2.4.4; the rule for the last frame is [Kabal]'s program's.

    Raises:
        UndefinedError: There are none.
    """
    sums = np.convolve(np.abs(reference), np.ones(BOUNDARY_SAMPLES))[BOUNDARY_SAMPLES - 1 :]
    loud = np.flatnonzero(sums > BOUNDARY_SUM)
    if not loud.size:
        raise UndefinedError("the reference is silent")
    end = min(int(loud[-1]) + BOUNDARY_SAMPLES, len(reference))
    frames = slice(int(loud[0]) // HOP_LENGTH, end // HOP_LENGTH)
    if frames.stop <= frames.start:
        raise UndefinedError(
            f"the reference sounds from sample {loud[0]} to {end} at 48 kHz: less than one frame"
        )
    return frames


def magnitudes(waveform: np.ndarray) -> np.ndarray:
    """Magnitude spectra (frame, bin) of a sound (time,): F_e, 1 = 0 dB SPL.

    The last frame is the last with half of its samples in the sound; zeros make up the rest.

    Source: [BS] 2.1.2 to 2.1.4.
    """
    padded = np.pad(waveform, (0, HOP_LENGTH))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME_LENGTH)[::HOP_LENGTH]
    # [BS] scales the window by sqrt(8 / 3), which the calibration takes out again.
    window = 0.5 * (1.0 - np.cos(2.0 * np.pi * np.arange(FRAME_LENGTH) / (FRAME_LENGTH - 1)))
    return np.abs(np.fft.rfft(frames * window)) * (_level_factor() * ear_weighting())


def _level_factor() -> float:
    """Brings the highest bin of a full-scale sine of 1019.5 Hz to the playback level.

    The window's transform peaks at (N - 1) / 4 for a sine of amplitude 1 and has fallen by gamma at
    d bins off its centre. Source: [Kabal] 2.4, which gives [BS]'s measured Norm in closed form.
    """
    offset = CALIBRATION_FREQUENCY / BIN_WIDTH % 1.0
    d = min(offset, 1.0 - offset) * (FRAME_LENGTH - 1) / FRAME_LENGTH
    gamma = np.sinc(d) / (1.0 - d**2)
    return 10.0 ** (PLAYBACK_LEVEL / 20.0) / (gamma * (FRAME_LENGTH - 1) / 4.0)


def ear_weighting() -> np.ndarray:
    """The outer and middle ear's factor on the magnitude of each bin; 0 at 0 Hz.

    Source: [BS] 2.1.4, W.
    """
    khz = BIN_WIDTH * np.arange(1, FRAME_LENGTH // 2 + 1) / 1000.0
    level = -0.6 * 3.64 * khz**-0.8 + 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) - 1e-3 * khz**3.6  # dB
    return np.concatenate([[0.0], 10.0 ** (level / 20.0)])
