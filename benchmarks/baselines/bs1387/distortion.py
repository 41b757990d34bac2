"""Average distorted block, ADB_B of [BS] 4.7: how far past detection the detectable frames are."""

import numpy as np

# Coefficients of the level difference that is detected half the time, powers 0 to 4 of the level.
STEP_POLYNOMIAL = (-0.198719, 0.0550197, -0.00102438, 5.05622e-6, 9.01033e-11)
# Steepness of the psychometric function where the test is softer, and where it is louder.
STEEPNESS_SOFTER = 4.0
STEEPNESS_LOUDER = 6.0
DETECTED = 0.5
# What [BS] 4.7.2 gives where frames are detected, yet none by a whole dB in any band.
NO_WHOLE_STEP = -0.5


def detection_step(level: np.ndarray) -> np.ndarray:
    """The difference in dB that is detected half the time: s of a level L in dB.

    Source: [BS] 4.7.
    """
    audible = level > 0.0
    positive = np.where(audible, level, 1.0)
    step = 5.95072 * (6.39468 / positive) ** 1.71332
    step += np.polynomial.polynomial.polyval(positive, STEP_POLYNOMIAL)
    return np.where(audible, step, 1e30)


def detection(reference: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per frame, the probability that a difference is heard and the steps it is past threshold.

    Args:
        reference: Excitation patterns E (frame, band).
        test: The same of the other sound.

    Source: [BS] 4.7, P_bin and Q_bin with one channel.
    """
    reference, test = (10.0 * np.log10(x) for x in (reference, test))
    step = detection_step(0.3 * np.maximum(reference, test) + 0.7 * test)
    difference = reference - test
    steepness = np.where(difference > 0.0, STEEPNESS_SOFTER, STEEPNESS_LOUDER)
    missed = 0.5 ** (np.abs(difference / step) ** steepness)
    probability = 1.0 - np.prod(missed, axis=-1)
    return probability, np.sum(np.abs(np.trunc(difference)) / step, axis=-1)


def average_distorted_block(probability: np.ndarray, steps: np.ndarray) -> float:
    """ADB_B of the values of `detection`: 0 where no frame is detected."""
    detected = probability > DETECTED
    if not detected.any():
        return 0.0
    average = float(steps[detected].mean())
    return float(np.log10(average)) if average > 0.0 else NO_WHOLE_STEP
