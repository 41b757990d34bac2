"""Average modulation difference, AvgModDiff1_B of [BS] 4.2."""

import numpy as np

from benchmarks.baselines.bs1387.bands import INTERNAL_NOISE, decay
from benchmarks.baselines.bs1387.ear import FRAME_RATE
from benchmarks.baselines.bs1387.excitation import smooth

# What turns excitation into a simple loudness.
LOUDNESS_EXPONENT = 0.3
# Seconds. Source: [BS] 3.2.
SMOOTHING_AT_100_HZ = 0.050
SMOOTHING_SHORTEST = 0.008
# How far above the internal noise a frame weighs fully: levWt of [BS] 4.2.
LEVEL_WEIGHT = 100.0
# Frames of the first half second, in which the filters settle. Source: [BS] 5.2.4.1.
AVERAGING_DELAY = int(np.ceil(0.5 * FRAME_RATE))


def modulation(unsmeared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Modulation patterns Mod and average loudnesses, both (frame, band), of patterns E_2.

    Source: [BS] 3.2.
    """
    loudness = unsmeared**LOUDNESS_EXPONENT
    change = FRAME_RATE * np.abs(np.diff(loudness, axis=0, prepend=0.0))
    constants = decay(SMOOTHING_AT_100_HZ, SMOOTHING_SHORTEST, FRAME_RATE)
    average = smooth(loudness, constants)
    return smooth(change, constants) / (1.0 + average / LOUDNESS_EXPONENT), average


def average_modulation_difference(reference: np.ndarray, test: np.ndarray, frames: slice) -> float:
    """AvgModDiff1_B of two sounds' unsmeared excitation patterns (frame, band), in percent.

    Args:
        reference: From the sound's first frame on.
        test: The same of the other sound.
        frames: Those to average, of which the sounds' first half second is left out.
    """
    (reference, loudness), (test, _) = modulation(reference), modulation(test)
    difference = 100.0 * np.mean(np.abs(test - reference) / (1.0 + reference), axis=-1)
    threshold = LEVEL_WEIGHT * INTERNAL_NOISE**LOUDNESS_EXPONENT
    weight = np.sum(loudness / (loudness + threshold), axis=-1)
    averaged = slice(max(frames.start, AVERAGING_DELAY), frames.stop)
    return float(np.average(difference[averaged], weights=weight[averaged]))
