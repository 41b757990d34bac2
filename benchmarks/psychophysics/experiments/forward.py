"""j1, j2: what has stopped still masks. The masker's level at which it just hides a short probe.

The probe is 10 dB over the subject's own threshold for it, as it was for each listener. Orderings,
which know no internal noise, take the listeners' mean threshold instead.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.psychophysics import shapes, stimuli
from benchmarks.psychophysics.detection import Axis, Condition, Detection, threshold
from benchmarks.psychophysics.experiment import Experiment, Key, Ordering, Point, Scale, Shape
from benchmarks.psychophysics.experiments.quiet import short_probe
from benchmarks.psychophysics.human import HumanPoint
from benchmarks.psychophysics.subject import Subject

MASKER_LEVELS = Axis(easy=-10.0, hard=110.0, steps=12)
"""dB SPL; the probe is heard best under the weakest masker. The listeners' range ended at 110."""
PROBE_SENSATION_LEVEL = 10.0
# Listeners' thresholds for 16-ms tones, dB SPL: Lecluyse et al. 2013, normal ears.
PROBE_THRESHOLDS = {500.0: 19.2, 1000.0: 15.5, 2000.0: 14.2, 4000.0: 12.5}
GAPS_MS = (20, 40, 50, 60, 80)
RATIOS = (0.5, 0.7, 0.9, 1.0, 1.1, 1.3, 1.6)
TUNING_FREQUENCIES = (1000.0, 4000.0)
MASKER_S, PROBE_S, RAMP_S = 0.108, 0.016, 0.004


def after_masker(
    x: float, *, probe_hz: float, masker_hz: float, gap_s: float, probe_db: float
) -> Condition:
    """A masker, a gap, and a probe or none."""
    duration = MASKER_S + gap_s + PROBE_S

    def masker(level: float) -> np.ndarray:
        tone = stimuli.tone(masker_hz, level, MASKER_S, ramp_s=RAMP_S)
        return stimuli.placed(tone, 0.0, duration)

    probe = stimuli.placed(
        stimuli.tone(probe_hz, probe_db, PROBE_S, ramp_s=RAMP_S), MASKER_S + gap_s, duration
    )
    return Condition(
        key=(f"{probe_hz:g} Hz", x),
        axis=MASKER_LEVELS,
        standard=lambda level, _seed: masker(level),
        signal=lambda level, _seed: masker(level) + probe,
    )


def _by_gap(probe_hz: float, probe_db: float) -> list[Condition]:
    return [
        after_masker(
            float(gap),
            probe_hz=probe_hz,
            masker_hz=probe_hz,
            gap_s=gap / 1000.0,
            probe_db=probe_db,
        )
        for gap in GAPS_MS
    ]


def _by_ratio(probe_hz: float, probe_db: float) -> list[Condition]:
    return [
        after_masker(
            ratio, probe_hz=probe_hz, masker_hz=ratio * probe_hz, gap_s=0.01, probe_db=probe_db
        )
        for ratio in RATIOS
    ]


@dataclass(frozen=True)
class ForwardMasking:
    """Maskers that just hide a probe of the subject's own.

    Attributes:
        frequencies: Of the probes, in Hz.
        conditions: All with one probe, from its frequency and level.
        anchors: As in `Detection`.
    """

    frequencies: Sequence[float]
    conditions: Callable[[float, float], list[Condition]]
    anchors: Sequence[Key]

    def keys(self) -> Sequence[Key]:
        return [each.key for hz in self.frequencies for each in self.conditions(hz, 0.0)]

    def for_listeners(self) -> list[Condition]:
        """All conditions, with the probe 10 dB over the listeners' mean threshold."""
        return [
            each
            for hz in self.frequencies
            for each in self.conditions(hz, PROBE_THRESHOLDS[hz] + PROBE_SENSATION_LEVEL)
        ]

    def measure(self, subject: Subject) -> Iterator[tuple[Key, Point]]:
        for hz in self.frequencies:
            quiet = threshold(short_probe(hz), subject)
            if math.isnan(quiet.value):
                nothing = Point(math.nan, f"the probe in quiet: {quiet.reason}", can=quiet.can)
                yield from ((each.key, nothing) for each in self.conditions(hz, 0.0))
                continue
            conditions = self.conditions(hz, quiet.value + PROBE_SENSATION_LEVEL)
            yield from Detection(conditions).measure(subject)

    def orderings(self, human: Mapping[Key, HumanPoint], scale: Scale) -> Iterator[Ordering]:
        conditions = self.for_listeners()
        # Over different probes a level of the masker says little: each frequency for itself.
        for hz in self.frequencies:
            mine = [key for key in self.anchors if key[0] == f"{hz:g} Hz"]
            yield from Detection(conditions, mine).orderings(human, scale)


def _rises(points: shapes.Values, _: shapes.Humans) -> float:
    """The least rise from one gap to the next."""
    curves = [shapes.curve(points, f"{hz:g} Hz")[1] for hz in PROBE_THRESHOLDS]
    return float(min(np.diff(curve).min() for curve in curves))


def _rise(points: shapes.Values, _: shapes.Humans) -> float:
    """Mean rise from the first gap to the last."""
    curves = [shapes.curve(points, f"{hz:g} Hz")[1] for hz in PROBE_THRESHOLDS]
    return float(np.mean([curve[-1] - curve[0] for curve in curves]))


def _off_tip(ratio: float) -> Callable[[shapes.Values, shapes.Humans], float]:
    return lambda points, _: min(
        points[f"{hz:g} Hz", ratio] - points[f"{hz:g} Hz", 1.0] for hz in TUNING_FREQUENCIES
    )


TEMPORAL_CURVES = Experiment(
    id="j1",
    title="Forward masking: temporal masking curves",
    source="Lecluyse et al. 2013",
    priority=1,
    x="gap, ms",
    y="level of the masker, dB SPL",
    task=ForwardMasking(
        tuple(PROBE_THRESHOLDS),
        _by_gap,
        [(f"{hz:g} Hz", gap) for hz in PROBE_THRESHOLDS for gap in (20.0, 50.0, 80.0)],
    ),
    shapes=(
        Shape("least rise from gap to gap, dB", _rises, low=0.0),
        Shape("mean rise from 20 to 80 ms, dB", _rise, low=15.0, high=45.0),
    ),
)

TUNING = Experiment(
    id="j2",
    title="Forward masking: tuning",
    source="Lecluyse et al. 2013",
    priority=2,
    x="frequency of the masker re the probe",
    y="level of the masker, dB SPL",
    task=ForwardMasking(
        TUNING_FREQUENCIES,
        _by_ratio,
        [(f"{hz:g} Hz", ratio) for hz in TUNING_FREQUENCIES for ratio in (0.5, 0.7, 1.0, 1.3, 1.6)],
    ),
    shapes=(
        Shape(
            "ratio of the tip, mean",
            lambda points, _: float(
                np.mean([shapes.peak(points, f"{hz:g} Hz", sign=-1.0) for hz in TUNING_FREQUENCIES])
            ),
            low=0.95,
            high=1.05,
        ),
        Shape("rise from the tip to 0.7, dB", _off_tip(0.7), low=10.0),
        Shape("rise from the tip to 1.3, dB", _off_tip(1.3), low=10.0),
    ),
)

EXPERIMENTS = (TEMPORAL_CURVES, TUNING)
