"""f1: frequency discrimination. f2: the same of a missing fundamental. n: a mistuned harmonic."""

import math

import numpy as np

from benchmarks.psychophysics import shapes, stimuli
from benchmarks.psychophysics.detection import Axis, Condition, Detection, ordering
from benchmarks.psychophysics.experiment import LOGARITHMIC, Experiment, Shape

# Frequency: threshold in dB SPL, Wier, Jesteadt & Green 1977, table I.
TONE_THRESHOLDS = {
    200: 33.8,
    400: 20.8,
    600: 15.3,
    800: 12.8,
    1000: 14.8,
    2000: 17.5,
    4000: 19.8,
    8000: 23.5,
}
SENSATION_LEVEL = 40.0
PERCENT = Axis(easy=30.0, hard=0.02, steps=9, log=True)

F0_DURATION_S = 0.5
F0_LEVEL_DB = 33.3 + 15.0
"""Level of each component in dB SPL: 15 dB over its threshold in the noise."""
SLOPE_DB_PER_OCTAVE = 24.0
"""Fourth-order slopes of the bandpass."""
NOISE_DB_PER_HZ = 15.0
NOISE_EDGE_HZ, NOISE_SLOPE_DB = 600.0, 2.0
"""Background noise: flat up to the edge, then falling by so much an octave."""
SPECTRA = {
    "2.5-3.5 kHz": (2500.0, 3500.0, (50, 75, 100, 150, 200, 300)),
    "5-7 kHz": (5000.0, 7000.0, (100, 150, 200, 300, 400, 600)),
}
PHASE_SEED = 7


def tone_shift(frequency: float, level: float) -> Condition:
    """A tone, and one that is higher by so many percent."""
    return Condition(
        key=("40 dB SL", float(frequency)),
        axis=PERCENT,
        standard=lambda _percent, _seed: stimuli.tone(frequency, level, 0.5, ramp_s=0.01),
        signal=lambda percent, _seed: stimuli.tone(
            frequency * (1.0 + percent / 100.0), level, 0.5, ramp_s=0.01
        ),
    )


def harmonic_band(f0: float, low_hz: float, high_hz: float, *, random_phase: bool) -> np.ndarray:
    """Harmonics of f0 through a bandpass with fourth-order slopes."""
    harmonics = np.arange(1, int(2.0 * high_hz / f0) + 1)
    frequencies = harmonics * f0
    octaves = np.maximum(np.log2(low_hz / frequencies), np.log2(frequencies / high_hz)).clip(0.0)
    levels = F0_LEVEL_DB - SLOPE_DB_PER_OCTAVE * octaves
    audible = levels > 0.0
    # By harmonic number: the shifted complex has the phases of the other.
    drawn = np.random.default_rng(PHASE_SEED).uniform(0.0, 2.0 * np.pi, len(harmonics) * 2)
    phases = drawn[: len(harmonics)] if random_phase else np.zeros(len(harmonics))
    return stimuli.complex_tone(
        frequencies[audible], levels[audible], F0_DURATION_S, ramp_s=0.03, phases=phases[audible]
    )


def masking_noise(seed: int) -> np.ndarray:
    """The background that hides distortion products, 20 Hz to 16 kHz."""
    level = stimuli.overall_level(NOISE_DB_PER_HZ, 16_000.0 - 20.0)
    flat = stimuli.noise(20.0, 16_000.0, level, F0_DURATION_S, seed=seed)
    spectrum = np.fft.rfft(flat)
    frequency = np.fft.rfftfreq(len(flat), 1.0 / stimuli.SAMPLE_RATE)
    octaves = np.log2(np.maximum(frequency, NOISE_EDGE_HZ) / NOISE_EDGE_HZ)
    spectrum *= 10.0 ** (-NOISE_SLOPE_DB * octaves / 20.0)
    return stimuli.ramped(np.fft.irfft(spectrum, len(flat)), 0.03)


def f0_shift(name: str, f0: float, *, random_phase: bool) -> Condition:
    """A band of harmonics in noise, and one whose fundamental is higher by so many percent."""
    low_hz, high_hz, _ = SPECTRA[name]

    def heard(percent: float, seed: int) -> np.ndarray:
        shifted = f0 * (1.0 + percent / 100.0)
        band = harmonic_band(shifted, low_hz, high_hz, random_phase=random_phase)
        return band + masking_noise(seed)

    return Condition(
        key=(f"{name}, {'random' if random_phase else 'sine'} phase", float(f0)),
        axis=PERCENT,
        standard=lambda _percent, seed: heard(0.0, seed),
        signal=heard,
        fresh=True,
    )


def mistuned(
    curve: str, x: float, *, f0: float, harmonic: int, duration_s: float = 0.41
) -> Condition:
    """Ten harmonics of 60 dB SPL (twelve of 100 Hz), and the same with one of them mistuned."""
    n_harmonics = 12 if f0 == 100.0 else 10

    def heard(percent: float) -> np.ndarray:
        frequencies = f0 * np.arange(1.0, n_harmonics + 1)
        frequencies[harmonic - 1] *= 1.0 + percent / 100.0
        return stimuli.complex_tone(
            frequencies, np.full(n_harmonics, 60.0), duration_s, ramp_s=0.01
        )

    return Condition(
        key=(curve, x),
        axis=PERCENT,
        standard=lambda _percent, _seed: heard(0.0),
        signal=lambda percent, _seed: heard(percent),
    )


FREQUENCY_JND = Experiment(
    id="f1",
    title="Frequency discrimination",
    source="Wier, Jesteadt & Green 1977",
    priority=1,
    x="frequency, Hz",
    y="just noticeable difference, %",
    log_x=True,
    log_y=True,
    scale=LOGARITHMIC,
    task=Detection(
        conditions=[
            tone_shift(float(hz), threshold + SENSATION_LEVEL)
            for hz, threshold in TONE_THRESHOLDS.items()
        ],
        anchors=[("40 dB SL", float(hz)) for hz in (200, 600, 1000, 2000, 4000, 8000)],
    ),
    shapes=(
        Shape(
            "RMS error of log10 of the JND",
            lambda points, human: shapes.rms_error(points, human, math.log10),
            high=0.3,
        ),
        Shape(
            "frequency of the smallest JND in %, Hz",
            lambda points, _: shapes.peak(points, "40 dB SL", sign=-1.0),
            low=600.0,
            high=2000.0,
        ),
        Shape(
            "JND at 8 kHz over that at 1 kHz",
            lambda points, _: points["40 dB SL", 8000.0] / points["40 dB SL", 1000.0],
            low=2.0,
        ),
    ),
)

F0_JND = Experiment(
    id="f2",
    title="F0 discrimination by lowest harmonic",
    source="Bernstein & Oxenham 2005",
    priority=2,
    x="F0, Hz",
    y="just noticeable difference, %",
    log_x=True,
    log_y=True,
    task=Detection(
        conditions=[
            f0_shift(name, float(f0), random_phase=random_phase)
            for name, random_phase in (
                ("2.5-3.5 kHz", False),
                ("2.5-3.5 kHz", True),
                ("5-7 kHz", False),
            )
            for f0 in SPECTRA[name][2]
        ],
        anchors=[
            ("2.5-3.5 kHz, sine phase", 300.0),
            ("2.5-3.5 kHz, sine phase", 150.0),
            ("2.5-3.5 kHz, sine phase", 75.0),
            ("5-7 kHz, sine phase", 600.0),
            ("5-7 kHz, sine phase", 200.0),
        ],
    ),
    shapes=(
        Shape(
            "2.5-3.5 kHz: F0 of 100 Hz over F0 of 300 Hz",
            lambda points, _: (
                points["2.5-3.5 kHz, sine phase", 100.0] / points["2.5-3.5 kHz, sine phase", 300.0]
            ),
            low=4.0,
        ),
        Shape(
            "5-7 kHz: F0 of 200 Hz over F0 of 600 Hz",
            lambda points, _: (
                points["5-7 kHz, sine phase", 200.0] / points["5-7 kHz, sine phase", 600.0]
            ),
            low=4.0,
        ),
        Shape(
            "unresolved (F0 50 to 100 Hz): random over sine phase",
            lambda points, _: float(
                np.mean(
                    [
                        points["2.5-3.5 kHz, random phase", f0]
                        / points["2.5-3.5 kHz, sine phase", f0]
                        for f0 in (50.0, 75.0, 100.0)
                    ]
                )
            ),
            low=1.5,
        ),
    ),
)

_SHORT = mistuned("F0 200 Hz, harmonic 4, 50 ms", 4.0, f0=200.0, harmonic=4, duration_s=0.05)
_LONG = mistuned("F0 200 Hz, harmonic 4, 1610 ms", 4.0, f0=200.0, harmonic=4, duration_s=1.61)

MISTUNED = Experiment(
    id="n",
    title="Detection of a mistuned harmonic",
    source="Moore, Glasberg & Peters 1986",
    priority=2,
    x="harmonic",
    y="threshold, %",
    log_y=True,
    scale=LOGARITHMIC,
    task=Detection(
        conditions=[
            *(
                mistuned(f"F0 {f0} Hz", float(harmonic), f0=float(f0), harmonic=harmonic)
                for f0, harmonics in ((100, (4,)), (200, (1, 2, 4, 6)), (400, (2, 4)))
                for harmonic in harmonics
            ),
            _SHORT,
            _LONG,
        ],
    ),
    orderings=(ordering(_SHORT, _LONG, 2.0),),
    shapes=(
        Shape(
            "threshold at 50 ms over that at 1610 ms",
            lambda points, _: points[_SHORT.key] / points[_LONG.key],
            low=3.0,
            high=5.0,
        ),
    ),
)

EXPERIMENTS = (FREQUENCY_JND, F0_JND, MISTUNED)
