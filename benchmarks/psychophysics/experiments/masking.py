"""g1, g2: tones in noise. h: the pattern that a masker casts. i: noise masks better than a tone."""

import numpy as np

from benchmarks.psychophysics import shapes, stimuli
from benchmarks.psychophysics.detection import Axis, Condition, Detection, ordering
from benchmarks.psychophysics.experiment import Experiment, Shape

WHITE_HZ = (20.0, 16_000.0)
"""Edges of the white noise: some octaves beyond every signal."""
SIGNAL_TO_NOISE = Axis(easy=60.0, hard=-20.0, steps=8)
"""Level of the tone over that of the noise in 1 Hz, dB."""
RATIO = Axis(easy=30.0, hard=-40.0, steps=7)
"""Level of the tone over the overall level of the noise, dB."""
LEVELS = Axis(easy=100.0, hard=-20.0, steps=12)
"""dB SPL."""
SIGNAL_TO_MASKER = Axis(easy=-20.0, hard=60.0, steps=8)
"""How far the signal is under the masker, dB."""
RUNNING = {40: (125, 250, 500, 1000, 2000, 4000, 7000), 20: (250, 1000, 4000)}
FROZEN = (250, 1000, 4000)
BANDWIDTHS = {
    500: (5, 50, 250, 1000),
    1000: (5, 25, 100, 250, 1000, 2000),
    4000: (5, 100, 500, 1000, 4000),
}
MASKER_DB = 70.0
PATTERN = {
    85: (500, 900, 1000, 1100, 2000, 4000),
    65: (500, 900, 1000, 1100, 2000, 4000),
    45: (900, 1000, 1100, 2000),
}
BAND_HZ = 80.0
BARK_HZ = 160.0
"""One Bark at 1 kHz."""
ASYMMETRY_MASKER_DB = 80.0
OTHER_NOISE = 50
"""Added to the seed where masker and signal are both noise: they are different noise."""


def tone_in_white_noise(n0: float, frequency: float, *, fresh: bool) -> Condition:
    """White noise of 500 ms, and in its middle a tone of 400 ms."""
    level = stimuli.overall_level(n0, WHITE_HZ[1] - WHITE_HZ[0])

    def noise(seed: int) -> np.ndarray:
        return stimuli.noise(*WHITE_HZ, level, 0.5, seed=seed, ramp_s=0.02)

    def signal(ratio: float, seed: int) -> np.ndarray:
        tone = stimuli.tone(frequency, n0 + ratio, 0.4, ramp_s=0.02)
        return noise(seed) + stimuli.placed(tone, 0.05, 0.5)

    return Condition(
        key=(f"{'running' if fresh else 'frozen'}, N0 {n0:g} dB", float(frequency)),
        axis=SIGNAL_TO_NOISE,
        standard=lambda _ratio, seed: noise(seed),
        signal=signal,
        fresh=fresh,
    )


def tone_in_band(center: float, bandwidth: float) -> Condition:
    """Noise of 70 dB SPL, 400 ms, around the frequency of a tone of 300 ms."""
    low, high = center - 0.5 * bandwidth, center + 0.5 * bandwidth

    def noise(seed: int) -> np.ndarray:
        return stimuli.noise(max(low, 0.0), high, MASKER_DB, 0.4, seed=seed, ramp_s=0.05)

    def signal(ratio: float, seed: int) -> np.ndarray:
        tone = stimuli.tone(center, MASKER_DB + ratio, 0.3, ramp_s=0.05)
        return noise(seed) + stimuli.placed(tone, 0.05, 0.4)

    return Condition(
        key=(f"{center:g} Hz", float(bandwidth)),
        axis=RATIO,
        standard=lambda _ratio, seed: noise(seed),
        signal=signal,
        fresh=True,
    )


def _tone_or_band(
    kind: str, frequency: float, level: float, seed: int, *, duration_s: float, width_hz: float
) -> np.ndarray:
    if kind == "tone":
        return stimuli.tone(frequency, level, duration_s, ramp_s=0.01)
    low, high = frequency - 0.5 * width_hz, frequency + 0.5 * width_hz
    return stimuli.noise(low, high, level, duration_s, seed=seed, ramp_s=0.01)


def masked(masker: str, masker_db: float, signal: str, frequency: float) -> Condition:
    """A masker of 220 ms at 1 kHz, tone or noise of 80 Hz, with and without such a signal."""

    def masking(seed: int) -> np.ndarray:
        return _tone_or_band(masker, 1000.0, masker_db, seed, duration_s=0.22, width_hz=BAND_HZ)

    def both(level: float, seed: int) -> np.ndarray:
        added = _tone_or_band(
            signal, frequency, level, seed + OTHER_NOISE, duration_s=0.22, width_hz=BAND_HZ
        )
        return masking(seed) + added

    return Condition(
        key=(f"{masker} masks {signal}, {masker_db:g} dB", float(frequency)),
        axis=LEVELS,
        standard=lambda _level, seed: masking(seed),
        signal=both,
        fresh="noise" in {masker, signal},
    )


def asymmetry(masker: str, signal: str) -> Condition:
    """Masker and signal at 1 kHz, one a tone and one a noise of 1 Bark, 500 ms, 80 dB SPL."""

    def heard(kind: str, level: float, seed: int) -> np.ndarray:
        return _tone_or_band(kind, 1000.0, level, seed, duration_s=0.5, width_hz=BARK_HZ)

    return Condition(
        key=(f"{masker} masks {signal}", 1000.0),
        axis=SIGNAL_TO_MASKER,
        standard=lambda _ratio, seed: heard(masker, ASYMMETRY_MASKER_DB, seed),
        signal=lambda ratio, seed: (
            heard(masker, ASYMMETRY_MASKER_DB, seed)
            + heard(signal, ASYMMETRY_MASKER_DB - ratio, seed + OTHER_NOISE)
        ),
        fresh=True,
    )


CRITICAL_RATIO = Experiment(
    id="g1",
    title="Tone in white noise (critical ratio)",
    source="Hawkins & Stevens 1950",
    priority=1,
    x="frequency, Hz",
    y="threshold re N0, dB",
    log_x=True,
    task=Detection(
        conditions=[
            *(
                tone_in_white_noise(float(n0), float(hz), fresh=True)
                for n0, frequencies in RUNNING.items()
                for hz in frequencies
            ),
            *(tone_in_white_noise(40.0, float(hz), fresh=False) for hz in FROZEN),
        ],
        anchors=[("running, N0 40 dB", float(hz)) for hz in (250, 1000, 2000, 4000, 7000)],
    ),
    shapes=(
        Shape("RMS error after one offset, dB", shapes.rms_error_after_offset, high=3.0),
        Shape(
            "largest change from N0 20 to 40 dB, dB",
            lambda points, _: max(
                abs(points["running, N0 20 dB", float(hz)] - points["running, N0 40 dB", float(hz)])
                for hz in RUNNING[20]
            ),
            high=2.0,
        ),
    ),
)


def _knee(points: shapes.Values, _: shapes.Humans) -> float:
    """Bandwidth at 1 kHz where the plateau meets a fall of 3 dB an octave through 1 kHz wide."""
    plateau = 0.5 * (points["1000 Hz", 25.0] + points["1000 Hz", 100.0])
    return 1000.0 * 10.0 ** ((points["1000 Hz", 1000.0] - plateau) / 10.0)


BAND_WIDENING = Experiment(
    id="g2",
    title="Tone in noise by bandwidth",
    source="van de Par & Kohlrausch 1999",
    priority=2,
    x="bandwidth, Hz",
    y="threshold re overall level, dB",
    log_x=True,
    task=Detection(
        conditions=[
            tone_in_band(float(center), float(width))
            for center, widths in BANDWIDTHS.items()
            for width in widths
        ],
        anchors=[
            ("1000 Hz", 25.0),
            ("1000 Hz", 250.0),
            ("1000 Hz", 2000.0),
            ("4000 Hz", 100.0),
            ("4000 Hz", 4000.0),
        ],
    ),
    shapes=(
        # Within a factor of 2 of the ERB, 132 Hz.
        Shape("knee at 1 kHz, Hz", _knee, low=66.0, high=264.0),
        Shape(
            "slope at 1 kHz from 250 to 2000 Hz, dB per octave",
            lambda points, _: (points["1000 Hz", 2000.0] - points["1000 Hz", 250.0]) / 3.0,
            low=-4.5,
            high=-1.5,
        ),
    ),
)

_TN = {
    (db, hz): masked("noise", float(db), "tone", float(hz))
    for db, frequencies in PATTERN.items()
    for hz in frequencies
}
_NT = {db: masked("tone", float(db), "noise", 1000.0) for db in (65, 85)}


def _pattern(points: shapes.Values, db: int, hz: float) -> float:
    return points[f"noise masks tone, {db} dB", hz]


MASKING_PATTERN = Experiment(
    id="h",
    title="Masking patterns",
    source="Moore, Alcantara & Dau 1998; Egan & Hake 1950",
    priority=1,
    x="frequency of the signal, Hz",
    y="threshold, dB SPL",
    log_x=True,
    task=Detection(
        conditions=[*_TN.values(), *_NT.values()],
    ),
    orderings=(
        ordering(_TN[65, 1000], _TN[65, 500], 45.0),
        ordering(_TN[65, 1000], _TN[65, 2000], 45.0),
        ordering(_TN[65, 1100], _TN[65, 4000], 45.0),
        ordering(_TN[65, 900], _TN[65, 500], 45.0),
        # Masking spreads upwards, the more so the louder.
        ordering(_TN[85, 2000], _TN[85, 500], 35.0),
        ordering(_TN[85, 2000], _TN[85, 4000], 35.0),
        ordering(_TN[85, 2000], _TN[65, 2000], 35.0),
        ordering(_TN[65, 2000], _TN[45, 2000], 12.0),
    ),
    shapes=(
        Shape(
            "frequency most masked at 85 dB, Hz",
            lambda points, _: shapes.peak(points, "noise masks tone, 85 dB"),
            low=900.0,
            high=1100.0,
        ),
        Shape(
            "lower slope at 85 dB, dB per octave",
            lambda points, _: _pattern(points, 85, 1000.0) - _pattern(points, 85, 500.0),
            low=60.0,
        ),
        Shape(
            "growth at 2 kHz from 65 to 85 dB, dB per dB",
            lambda points, _: (_pattern(points, 85, 2000.0) - _pattern(points, 65, 2000.0)) / 20.0,
            low=1.3,
        ),
        Shape(
            "noise masks tone minus tone masks noise at 85 dB, dB",
            lambda points, _: (
                _pattern(points, 85, 1000.0) - points["tone masks noise, 85 dB", 1000.0]
            ),
            low=10.0,
        ),
    ),
)

_NMT, _TMN = asymmetry("noise", "tone"), asymmetry("tone", "noise")

ASYMMETRY = Experiment(
    id="i",
    title="Asymmetry of masking between tone and noise",
    source="Hellman 1972; Hall 1997",
    priority=1,
    x="frequency, Hz",
    y="signal under masker, dB",
    task=Detection(conditions=[_NMT, _TMN]),
    shapes=(
        Shape("noise masks tone, dB", lambda points, _: points[_NMT.key], low=2.0, high=7.0),
        Shape("tone masks noise, dB", lambda points, _: points[_TMN.key], low=18.0, high=28.0),
        Shape("difference, dB", lambda points, _: points[_TMN.key] - points[_NMT.key], low=12.0),
    ),
)

EXPERIMENTS = (CRITICAL_RATIO, BAND_WIDENING, MASKING_PATTERN, ASYMMETRY)
