"""k: gaps in noise. l: modulation of noise. r: tempo. s: pre-echo and band limits of codecs."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from benchmarks.psychophysics import shapes, stimuli
from benchmarks.psychophysics.detection import Axis, Condition, Detection, ordering
from benchmarks.psychophysics.experiment import LOGARITHMIC, Experiment, Ordering, Shape
from benchmarks.psychophysics.subject import Sound, Subject

BROADBAND_HZ = (20.0, 16_000.0)
GAPS_MS = Axis(easy=100.0, hard=0.4, steps=8, log=True)
GAP_LEVELS = (20, 35, 50, 80)
DEPTHS = Axis(easy=0.0, hard=-40.0, steps=8)
"""20 log10 of the modulation depth, dB."""
RATES_HZ = (4, 16, 64, 128, 256, 1024)
NARROW_HZ = (3, 31, 314)
TEMPO_PERCENT = Axis(easy=40.0, hard=0.05, steps=9, log=True)
INTERVALS_MS = (100, 300, 600)
N_INTERVALS = 6
CLICK_DB = 80.0
ECHO_MS = Axis(easy=60.0, hard=0.3, steps=8, log=True)
ECHO_DB = -30.0
"""Noise before the attack re the noise of the attack."""
ATTACK_DB = 90.0
CUTOFFS_KHZ = (16.0, 12.0, 10.0, 8.0)


def gap_in_noise(level: float) -> Condition:
    """Broadband noise of 400 ms, and other noise with a gap in its middle."""

    def noise(seed: int) -> np.ndarray:
        return stimuli.noise(*BROADBAND_HZ, level, 0.4, seed=seed, ramp_s=0.01)

    return Condition(
        key=("broadband", float(level)),
        axis=GAPS_MS,
        standard=lambda _gap, seed: noise(seed),
        signal=lambda gap, seed: stimuli.with_gap(noise(seed), 0.2, gap / 1000.0, edge_s=0.0005),
        fresh=True,
    )


def gap_after_onset() -> Condition:
    """A burst of 150 ms, low-passed at 6 kHz, 75 dB SPL; the gap lies 60 ms after its onset."""

    def noise(seed: int) -> np.ndarray:
        return stimuli.noise(20.0, 6000.0, 75.0, 0.15, seed=seed, ramp_s=0.005)

    return Condition(
        key=("6-kHz low-pass", 75.0),
        axis=GAPS_MS,
        standard=lambda _gap, seed: noise(seed),
        signal=lambda gap, seed: stimuli.with_gap(
            noise(seed), 0.06 + 0.5 * gap / 1000.0, gap / 1000.0, edge_s=0.001
        ),
        fresh=True,
    )


def modulation_of_noise(rate_hz: float) -> Condition:
    """Broadband noise of 60 dB SPL, 500 ms, and other noise that is modulated."""

    def noise(seed: int) -> np.ndarray:
        return stimuli.noise(*BROADBAND_HZ, 60.0, 0.5, seed=seed)

    def modulated(depth_db: float, seed: int) -> np.ndarray:
        return stimuli.modulated(noise(seed), rate_hz, 10.0 ** (depth_db / 20.0))

    return Condition(
        key=("broadband", float(rate_hz)),
        axis=DEPTHS,
        standard=lambda _depth, seed: stimuli.ramped(noise(seed), 0.02),
        signal=lambda depth, seed: stimuli.ramped(modulated(depth, seed), 0.02),
        fresh=True,
    )


def modulation_of_band(width_hz: float, rate_hz: float) -> Condition:
    """A band of noise at 5 kHz, 65 dB SPL, 1 s with ramps of 200 ms, and another, modulated."""

    def noise(seed: int) -> np.ndarray:
        edges = 5000.0 - 0.5 * width_hz, 5000.0 + 0.5 * width_hz
        return stimuli.noise(*edges, 65.0, 1.0, seed=seed)

    def modulated(depth_db: float, seed: int) -> np.ndarray:
        return stimuli.modulated(noise(seed), rate_hz, 10.0 ** (depth_db / 20.0))

    return Condition(
        key=(f"{width_hz:g} Hz wide at 5 kHz", float(rate_hz)),
        axis=DEPTHS,
        standard=lambda _depth, seed: stimuli.ramped(noise(seed), 0.2),
        signal=lambda depth, seed: stimuli.ramped(modulated(depth, seed), 0.2),
        fresh=True,
    )


def tempo(interval_ms: float) -> Condition:
    """Six equal intervals between clicks, and six that are longer."""
    step = interval_ms / 1000.0
    duration = step * N_INTERVALS * (1.0 + TEMPO_PERCENT.easy / 100.0) + 0.01

    def heard(percent: float) -> np.ndarray:
        onsets = step * (1.0 + percent / 100.0) * np.arange(N_INTERVALS + 1)
        return stimuli.clicks(list(onsets), duration, CLICK_DB)

    return Condition(
        key=("six intervals", float(interval_ms)),
        axis=TEMPO_PERCENT,
        standard=lambda _percent, _seed: heard(0.0),
        signal=lambda percent, _seed: heard(percent),
    )


def castanets() -> np.ndarray:
    """An attack out of silence after 100 ms: noise and three resonances that die away, 300 ms."""
    attack = 0.2
    at = stimuli.times(attack)
    noise = stimuli.noise(1000.0, 16_000.0, ATTACK_DB, attack, seed=3) * np.exp(-at / 0.015)
    ringing = sum(
        stimuli.amplitude(ATTACK_DB) * np.exp(-at / 0.03) * np.sin(2.0 * np.pi * hz * at)
        for hz in (1900.0, 3100.0, 5300.0)
    )
    return stimuli.placed(noise + ringing, 0.1, 0.3)


def pre_echo() -> Condition:
    """Castanets, and the same with weak noise for so many milliseconds before the attack."""

    def heard(echo_ms: float) -> np.ndarray:
        length = echo_ms / 1000.0
        level = ATTACK_DB + ECHO_DB
        echo = stimuli.noise(1000.0, 16_000.0, level, length, seed=4, ramp_s=0.0002)
        return castanets() + stimuli.placed(echo, 0.1 - length, 0.3)

    return Condition(
        key=("pre-echo", ECHO_DB),
        axis=ECHO_MS,
        standard=lambda _echo, _seed: castanets(),
        signal=lambda echo, _seed: heard(echo),
    )


def band_limited(cutoff_hz: float) -> Callable[[Subject], float]:
    """How far castanets without what lies above the cutoff are from the original."""

    def distance(subject: Subject) -> float:
        original = castanets()
        limited = stimuli.low_passed(original, cutoff_hz)
        return float(subject.distances([(Sound(original), Sound(limited))])[0])

    return distance


GAPS = Experiment(
    id="k",
    title="Gap detection",
    source="Plomp 1964; Snell & Hu 1995",
    priority=1,
    x="level, dB SPL",
    y="threshold, ms",
    log_y=True,
    task=Detection(
        conditions=[*(gap_in_noise(float(db)) for db in GAP_LEVELS), gap_after_onset()],
        anchors=[("broadband", float(db)) for db in GAP_LEVELS],
    ),
    shapes=(
        Shape("at 50 dB, ms", lambda points, _: points["broadband", 50.0], low=2.0, high=4.0),
        Shape("at 80 dB, ms", lambda points, _: points["broadband", 80.0], low=2.0, high=4.0),
        Shape(
            "at 20 dB over that at 50 dB",
            lambda points, _: points["broadband", 20.0] / points["broadband", 50.0],
            low=1.2,
        ),
    ),
)


def _plateau(points: shapes.Values, _: shapes.Humans) -> float:
    return 0.5 * (points["broadband", 4.0] + points["broadband", 16.0])


_NARROW = {width: modulation_of_band(float(width), 10.0) for width in NARROW_HZ}

MODULATION = Experiment(
    id="l",
    title="Temporal modulation transfer function",
    source="Viemeister 1979; Dau, Kollmeier & Kohlrausch 1997",
    priority=1,
    x="modulation rate, Hz",
    y="threshold, 20 log m dB",
    log_x=True,
    task=Detection(
        conditions=[*(modulation_of_noise(float(hz)) for hz in RATES_HZ), *_NARROW.values()],
        anchors=[("broadband", float(hz)) for hz in RATES_HZ],
    ),
    # The noise's own fluctuation hides modulation at its rates: 31 Hz of noise hold 10 Hz.
    orderings=(
        ordering(_NARROW[31], _NARROW[314], -12.0),
        ordering(_NARROW[31], _NARROW[3], -18.0),
    ),
    shapes=(
        Shape("plateau, dB", _plateau, low=-29.0, high=-20.0),
        Shape(
            "3 dB over the plateau at, Hz",
            lambda points, human: shapes.cutoff(
                points, "broadband", rise=3.0, plateau=_plateau(points, human)
            ),
            low=30.0,
            high=120.0,
        ),
        Shape(
            "roll-off from 128 to 1024 Hz, dB per octave",
            lambda points, _: (points["broadband", 1024.0] - points["broadband", 128.0]) / 3.0,
            low=2.0,
            high=6.0,
        ),
    ),
)

TEMPO = Experiment(
    id="r",
    title="Tempo discrimination",
    source="Drake & Botte 1993",
    priority=2,
    x="interval, ms",
    y="just noticeable difference, %",
    log_x=True,
    log_y=True,
    scale=LOGARITHMIC,
    task=Detection(conditions=[tempo(float(ms)) for ms in INTERVALS_MS]),
    shapes=(
        Shape(
            "mean of 300 and 600 ms, %",
            lambda points, _: (
                0.5 * (points["six intervals", 300.0] + points["six intervals", 600.0])
            ),
            low=2.0,
            high=4.0,
        ),
    ),
)

_ECHO = pre_echo()

CODECS = Experiment(
    id="s",
    title="Pre-echo and band limits",
    source="Spanias, Painter & Atti 2007",
    priority=1,
    x="noise re the attack, dB",
    y="threshold, ms before the attack",
    log_y=True,
    task=Detection(conditions=[_ECHO]),
    orderings=(
        Ordering(
            "pre-echo of 20 ms heard better than one of 2 ms",
            nearer=lambda subject: _ECHO.contrast(subject, 2.0),
            farther=lambda subject: _ECHO.contrast(subject, 20.0),
        ),
        *(
            Ordering(
                f"low-pass at {low:g} kHz heard better than at {high:g} kHz",
                nearer=band_limited(1000.0 * high),
                farther=band_limited(1000.0 * low),
            )
            for high, low in pairwise(CUTOFFS_KHZ)
        ),
    ),
    shapes=(Shape("threshold, ms", lambda points, _: points[_ECHO.key], low=2.0, high=20.0),),
)

EXPERIMENTS = (GAPS, MODULATION, TEMPO, CODECS)
