"""o1: roughness. o2: fluctuation strength. p: how pleasant two notes are together.

The ear has no channel for pleasantness; less roughness stands for more, which is the part of
consonance that the ear explains (Plomp & Levelt 1965).
"""

import functools

import numpy as np

from benchmarks.psychophysics import shapes, stimuli
from benchmarks.psychophysics.experiment import Experiment, Shape
from benchmarks.psychophysics.judgement import Rating

ROUGH_CARRIERS = (125, 250, 500, 1000, 2000, 4000, 8000)
ROUGH_RATES = (10, 20, 30, 40, 60, 70, 80, 100, 120, 160, 200)
FLUCTUATION_RATES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
FLUCTUATION_S = 4.0
N_HARMONICS = 10
HARMONIC_DB_PER_OCTAVE = 3.0
DYAD_S = 1.3
DYAD_DB = 60.0
"""Level of the fundamentals."""
BASS_HZ = 261.63
"""Middle C, in the middle of the range the listeners heard."""
# Ratio of frequencies that an 'octave' of the spectrum spans.
STRETCH = {"harmonic": 2.0, "stretched 2.1": 2.1, "compressed 1.9": 1.9, "pure": 2.0}
STEPS = tuple(0.25 * step for step in range(61))
INSIDE_SD = 0.6745
"""Half the interquartile range of a normal distribution, in SD."""


def am_tone(carrier: float, rate: float, level: float, duration_s: float, _: int) -> np.ndarray:
    """A fully modulated tone; its level is that of the unmodulated carrier."""
    carrier_wave = stimuli.tone(carrier, level, duration_s, ramp_s=0.02)
    at = stimuli.times(duration_s)
    return carrier_wave * (1.0 - np.cos(2.0 * np.pi * rate * at))


def fm_tone(rate: float, _: int) -> np.ndarray:
    """1.5 kHz +- 700 Hz, 70 dB SPL, 4 s."""
    return stimuli.frequency_modulated(1500.0, 700.0, rate, 70.0, FLUCTUATION_S, ramp_s=0.02)


def am_noise(rate: float, seed: int) -> np.ndarray:
    """Broadband noise of 60 dB SPL, fully modulated, 4 s."""
    carrier = stimuli.noise(20.0, 16_000.0, 60.0, FLUCTUATION_S, seed=seed, ramp_s=0.02)
    at = stimuli.times(FLUCTUATION_S)
    return carrier * (1.0 - np.cos(2.0 * np.pi * rate * at))


def dyad(timbre: str, semitones: float, _: int) -> np.ndarray:
    """Two notes of 1.3 s, each of ten partials falling by 3 dB an octave (pure: of one)."""
    numbers = np.arange(1.0, (1 if timbre == "pure" else N_HARMONICS) + 1)
    ratios = STRETCH[timbre] ** np.log2(numbers)
    levels = DYAD_DB - HARMONIC_DB_PER_OCTAVE * np.log2(numbers)
    notes = BASS_HZ * np.array([1.0, 2.0 ** (semitones / 12.0)])
    frequencies = np.outer(notes, ratios).ravel()
    return stimuli.complex_tone(frequencies, np.tile(levels, 2), DYAD_S, ramp_s=0.02)


def _roughness_peak(points: shapes.Values, carrier: int) -> float:
    return shapes.peak(points, f"{carrier} Hz")


ROUGHNESS = Experiment(
    id="o1",
    title="Roughness of modulated tones",
    source="Fastl & Zwicker 2007",
    priority=2,
    x="modulation rate, Hz",
    y="roughness, asper",
    log_x=True,
    has_targets=False,
    task=Rating(
        "roughness",
        {
            (f"{carrier} Hz", float(rate)): functools.partial(
                am_tone, float(carrier), float(rate), 60.0, 1.0
            )
            for carrier in ROUGH_CARRIERS
            for rate in ROUGH_RATES
        },
        pairs=[
            (("1000 Hz", 20.0), ("1000 Hz", 70.0)),
            (("1000 Hz", 200.0), ("1000 Hz", 70.0)),
            (("250 Hz", 120.0), ("250 Hz", 40.0)),
            (("125 Hz", 70.0), ("1000 Hz", 70.0)),
            (("8000 Hz", 70.0), ("1000 Hz", 70.0)),
        ],
    ),
    shapes=(
        Shape(
            "rate of most roughness at 1 kHz, Hz",
            lambda points, _: _roughness_peak(points, 1000),
            low=50.0,
            high=100.0,
        ),
        Shape(
            "the same at 125 Hz over that at 1 kHz",
            lambda points, _: _roughness_peak(points, 125) / _roughness_peak(points, 1000),
            high=0.8,
        ),
        Shape(
            "Spearman over rates, mean over carriers",
            lambda points, human: shapes.rank_correlation(
                points, human, [f"{carrier} Hz" for carrier in ROUGH_CARRIERS], sign=1.0
            ),
            low=0.9,
        ),
    ),
)

_FLUCTUATING = {
    "AM tone 1 kHz": lambda rate: functools.partial(am_tone, 1000.0, rate, 70.0, FLUCTUATION_S),
    "FM tone 1.5 kHz": lambda rate: functools.partial(fm_tone, rate),
    "AM noise": lambda rate: functools.partial(am_noise, rate),
}


def _share_inside(points: shapes.Values, human: shapes.Humans) -> float:
    """Share of points inside the listeners' interquartile range."""
    inside = [abs(points[key] - each.value) <= INSIDE_SD * each.sd for key, each in human.items()]
    return float(np.mean(inside))


FLUCTUATION = Experiment(
    id="o2",
    title="Fluctuation strength",
    source="Fastl & Zwicker 2007",
    priority=2,
    x="modulation rate, Hz",
    y="fluctuation strength, % of the largest",
    log_x=True,
    has_targets=False,
    task=Rating(
        "fluctuation_strength",
        {
            (name, rate): make(rate)
            for name, make in _FLUCTUATING.items()
            for rate in FLUCTUATION_RATES
        },
        pairs=[((name, other), (name, 4.0)) for name in _FLUCTUATING for other in (0.5, 32.0)],
        relative=True,
    ),
    shapes=(
        *(
            Shape(
                f"rate of most fluctuation, {name}, Hz",
                lambda points, _, name=name: shapes.peak(points, name),
                low=2.0,
                high=8.0,
            )
            for name in _FLUCTUATING
        ),
        Shape("share of points inside the interquartile range", _share_inside, low=0.75),
    ),
)

CONSONANCE = Experiment(
    id="p",
    title="Pleasantness of dyads against roughness",
    source="Marjieh et al. 2024",
    priority=2,
    x="interval, semitones",
    y="pleasantness, z (metric: minus roughness, z)",
    has_targets=False,
    as_human=lambda roughness: -(roughness - roughness.mean()) / roughness.std(),
    task=Rating(
        "roughness",
        {
            (timbre, step): functools.partial(dyad, timbre, step)
            for timbre in STRETCH
            for step in STEPS
        },
        pairs=[
            (("harmonic", 12.0), ("harmonic", 1.0)),
            (("harmonic", 7.0), ("harmonic", 1.0)),
            (("harmonic", 12.0), ("harmonic", 11.0)),
            (("stretched 2.1", 12.75), ("stretched 2.1", 12.0)),
            (("compressed 1.9", 11.0), ("compressed 1.9", 12.0)),
        ],
    ),
    shapes=(
        Shape(
            "Spearman with pleasantness, harmonic",
            lambda points, human: shapes.rank_correlation(points, human, ["harmonic"], sign=-1.0),
            low=0.6,
        ),
        Shape(
            "stretched: least rough near the octave, semitones",
            lambda points, _: shapes.peak_between(points, "stretched 2.1", 11.0, 14.0, sign=-1.0),
            low=12.5,
            high=13.1,
        ),
        Shape(
            "compressed: least rough near the octave, semitones",
            lambda points, _: shapes.peak_between(points, "compressed 1.9", 10.0, 13.0, sign=-1.0),
            low=10.9,
            high=11.5,
        ),
    ),
)

EXPERIMENTS = (ROUGHNESS, FLUCTUATION, CONSONANCE)
