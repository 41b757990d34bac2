"""e1, e2: the smallest difference in level that is heard, of tones and of noise."""

import math

import numpy as np

from benchmarks.psychophysics import shapes, stimuli
from benchmarks.psychophysics.detection import Axis, Condition, Detection
from benchmarks.psychophysics.experiment import WEBER, Experiment, Shape

# Sensation level 0 in dB SPL: ISO 226:2023 for the tones; for noise of 100 Hz to 8 kHz a round
# value, since a few dB do not matter where the listeners' curve is flat.
TONES = {"250 Hz": (250.0, 11.4), "1 kHz": (1000.0, 2.4), "4 kHz": (4000.0, -5.4)}
NOISE_THRESHOLD_DB = 8.0
SENSATION_LEVELS = {
    "250 Hz": (20, 40, 60, 80),
    "1 kHz": (10, 20, 30, 40, 50, 60, 70, 80),
    "4 kHz": (20, 40, 60, 80),
}
NOISE_LEVELS = (10, 30, 60, 80)
DIFFERENCES = Axis(easy=16.0, hard=0.03, steps=9, log=True)
"""dB."""
DURATION_S = 0.5
REFERENCE = ("1 kHz", 60.0)
"""The condition on which the internal noise is fitted."""
REFERENCE_JND_DB = 0.69


def tone_increment(name: str, sensation_level: float) -> Condition:
    """A tone, and the same tone stronger."""
    frequency, threshold = TONES[name]
    level = threshold + sensation_level
    return Condition(
        key=(name, float(sensation_level)),
        axis=DIFFERENCES,
        standard=lambda _more, _seed: stimuli.tone(frequency, level, DURATION_S, ramp_s=0.01),
        signal=lambda more, _seed: stimuli.tone(frequency, level + more, DURATION_S, ramp_s=0.01),
    )


def noise_increment(sensation_level: float) -> Condition:
    """Broadband noise, and other noise that is stronger."""
    level = NOISE_THRESHOLD_DB + sensation_level

    def noise(more: float, seed: int) -> np.ndarray:
        return stimuli.noise(100.0, 8000.0, level + more, DURATION_S, seed=seed, ramp_s=0.01)

    return Condition(
        key=("noise", float(sensation_level)),
        axis=DIFFERENCES,
        standard=lambda _more, seed: noise(0.0, seed),
        signal=noise,
        fresh=True,
    )


def log_weber(level_difference_db: float) -> float:
    """log10 of dI / I."""
    return math.log10(10.0 ** (level_difference_db / 10.0) - 1.0)


TONE_JND = Experiment(
    id="e1",
    title="Intensity discrimination of tones",
    source="Jesteadt, Wier & Green 1977",
    priority=1,
    x="level, dB SL",
    y="just noticeable difference, dB",
    log_y=True,
    scale=WEBER,
    task=Detection(
        conditions=[
            tone_increment(name, level)
            for name, levels in SENSATION_LEVELS.items()
            for level in levels
        ],
        anchors=[
            ("250 Hz", 20.0),
            ("250 Hz", 80.0),
            ("1 kHz", 10.0),
            ("1 kHz", 40.0),
            ("1 kHz", 80.0),
            ("4 kHz", 20.0),
            ("4 kHz", 80.0),
        ],
    ),
    shapes=(
        Shape(
            "RMS error of log10 dI/I",
            lambda points, human: shapes.rms_error(points, human, log_weber),
            high=0.18,
        ),
        Shape(
            "log10 dI/I at 1 kHz, per 10 dB",
            lambda points, _: (
                10.0 * shapes.slope(points, "1 kHz", low=10.0, high=80.0, transform=log_weber)
            ),
            low=-0.11,
            high=-0.03,
        ),
    ),
)

NOISE_JND = Experiment(
    id="e2",
    title="Intensity discrimination of noise",
    source="Miller 1947",
    priority=1,
    x="level, dB SL",
    y="just noticeable difference, dB",
    log_y=True,
    task=Detection(conditions=[noise_increment(level) for level in NOISE_LEVELS]),
    shapes=(
        Shape(
            "mean from 30 to 80 dB SL, dB",
            lambda points, _: sum(points["noise", x] for x in (30.0, 60.0, 80.0)) / 3.0,
            low=0.4,
            high=0.8,
        ),
        Shape(
            "largest minus smallest from 30 to 80 dB SL, dB",
            lambda points, _: (
                max(points["noise", x] for x in (30.0, 60.0, 80.0))
                - min(points["noise", x] for x in (30.0, 60.0, 80.0))
            ),
            high=0.3,
        ),
    ),
)

EXPERIMENTS = (TONE_JND, NOISE_JND)
