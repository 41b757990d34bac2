"""b: equally loud tones. c: growth of loudness. d: a wider band is louder."""

import functools
import math
from collections.abc import Callable

import numpy as np

from benchmarks.psychophysics import shapes, stimuli
from benchmarks.psychophysics.experiment import Experiment, Key, Shape
from benchmarks.psychophysics.judgement import Match, Rating

PHONS = (20, 40, 60, 80)
FREQUENCIES = (63, 125, 250, 500, 2000, 4000, 8000, 12500)
MATCH_LEVELS = tuple(float(db) for db in range(0, 125, 5))
GROWTH_LEVELS = tuple(range(10, 101, 10))
BAND_LEVELS = (30, 60, 80)
BANDWIDTHS = (20, 100, 160, 400, 1000, 1900)
DURATION_S = 1.0
RAMP_S = 0.05


def long_tone(frequency: float, level: float) -> np.ndarray:
    """A tone of 1 s."""
    return stimuli.tone(frequency, level, DURATION_S, ramp_s=RAMP_S)


def band(level: float, width_hz: float, seed: int) -> np.ndarray:
    """Noise around 1 kHz at one overall level, 1 s."""
    low, high = 1000.0 - 0.5 * width_hz, 1000.0 + 0.5 * width_hz
    return stimuli.noise(low, high, level, DURATION_S, seed=seed, ramp_s=0.02)


EQUAL = Experiment(
    id="b",
    title="Equal-loudness contours",
    source="ISO 226:2023",
    priority=1,
    x="frequency, Hz",
    y="level, dB SPL",
    log_x=True,
    task=Match(
        references={
            f"{phon} phon": functools.partial(long_tone, 1000.0, float(phon)) for phon in PHONS
        },
        comparison=long_tone,
        conditions=[(f"{phon} phon", float(hz)) for phon in PHONS for hz in FREQUENCIES],
        levels=MATCH_LEVELS,
    ),
    shapes=(Shape("RMS error, dB", shapes.rms_error, high=4.0),),
)

GROWTH = Experiment(
    id="c",
    title="Growth of loudness",
    source="ISO 532-2:2017 table 5",
    priority=2,
    x="level at 1 kHz, dB SPL",
    y="loudness, sone",
    log_y=True,
    task=Rating(
        "loudness",
        {
            ("1 kHz", float(db)): lambda _seed, db=db: long_tone(1000.0, float(db))
            for db in GROWTH_LEVELS
        },
        pairs=[(("1 kHz", 20.0), ("1 kHz", 40.0)), (("1 kHz", 60.0), ("1 kHz", 70.0))],
    ),
    shapes=(
        Shape(
            "exponent re intensity, 40 to 90 dB",
            lambda points, _: (
                10.0 * shapes.slope(points, "1 kHz", low=40.0, high=90.0, transform=math.log10)
            ),
            low=0.27,
            high=0.33,
        ),
    ),
)


def _band_sounds() -> dict[Key, Callable[[int], np.ndarray]]:
    return {
        (f"{db} dB SPL", float(width)): lambda seed, db=db, width=width: band(
            float(db), float(width), seed
        )
        for db in BAND_LEVELS
        for width in BANDWIDTHS
    }


def _summation(points: shapes.Values, db: int, low_hz: float, high_hz: float) -> float:
    return points[f"{db} dB SPL", high_hz] - points[f"{db} dB SPL", low_hz]


SUMMATION = Experiment(
    id="d",
    title="Spectral summation of loudness",
    source="Zwicker, Flottorp & Stevens 1957",
    priority=2,
    x="bandwidth, Hz",
    y="loudness level, phon",
    log_x=True,
    task=Rating(
        "loudness_level",
        _band_sounds(),
        pairs=[
            (("60 dB SPL", 100.0), ("60 dB SPL", 1000.0)),
            (("60 dB SPL", 160.0), ("60 dB SPL", 400.0)),
            (("80 dB SPL", 100.0), ("80 dB SPL", 1900.0)),
        ],
        noisy=True,
    ),
    shapes=(
        Shape(
            "60 dB: from 20 to 100 Hz wide, phon",
            lambda points, _: _summation(points, 60, 20.0, 100.0),
            low=-1.5,
            high=1.5,
        ),
        Shape(
            "60 dB: from 100 to 1000 Hz wide, phon",
            lambda points, _: _summation(points, 60, 100.0, 1000.0),
            low=7.0,
            high=12.0,
        ),
        Shape(
            "80 dB minus 60 dB: from 100 to 1900 Hz wide, phon",
            lambda points, _: (
                _summation(points, 80, 100.0, 1900.0) - _summation(points, 60, 100.0, 1900.0)
            ),
            high=0.0,
        ),
        Shape(
            "30 dB minus 60 dB: from 100 to 1900 Hz wide, phon",
            lambda points, _: (
                _summation(points, 30, 100.0, 1900.0) - _summation(points, 60, 100.0, 1900.0)
            ),
            high=0.0,
        ),
    ),
)

EXPERIMENTS = (EQUAL, GROWTH, SUMMATION)
