"""a: the threshold in quiet. m1: a short tone has to be stronger to be heard."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.psychophysics import shapes, stimuli
from benchmarks.psychophysics.detection import Axis, Condition, Detection, ordering
from benchmarks.psychophysics.experiment import Experiment, Key, Ordering, Point, Scale, Shape
from benchmarks.psychophysics.human import HumanPoint
from benchmarks.psychophysics.subject import Subject

LEVELS = Axis(easy=90.0, hard=-30.0, steps=12)
"""dB SPL."""
# Third octaves, as ISO 389-7 gives them.
FREQUENCIES = (125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250, 1600, 2000, 2500, 3150)
HIGH_FREQUENCIES = (4000, 5000, 6300, 8000, 10000, 12500)
ANCHORS = (125, 250, 500, 1000, 3150, 8000, 12500)
DURATIONS_MS = (16, 50, 250, 1000)
SHORT_MS, LONG_MS = 16, 250
INTEGRATION_FREQUENCIES = (250, 500, 1000, 2000, 4000)
BETWEEN_DB = 5.0
"""A 16-ms tone this far over the threshold of a 250-ms tone is not heard."""
# Listeners' thresholds for 250-ms tones, dB SPL: Lecluyse et al. 2013, normal ears.
LONG_THRESHOLDS = {250: 14.5, 500: 8.9, 1000: 5.2, 2000: 5.5, 4000: 4.2}


def in_quiet(key: Key, frequency: float, duration_s: float, *, ramp_s: float) -> Condition:
    """A tone, or digital silence of its duration."""
    return Condition(
        key=key,
        axis=LEVELS,
        standard=lambda _level, _seed: stimuli.silence(duration_s),
        signal=lambda level, _seed: stimuli.tone(frequency, level, duration_s, ramp_s=ramp_s),
    )


QUIET = Experiment(
    id="a",
    title="Threshold in quiet",
    source="ISO 389-7; ISO 226:2023",
    priority=1,
    x="frequency, Hz",
    y="threshold, dB SPL",
    log_x=True,
    task=Detection(
        conditions=[
            in_quiet(("tone", float(hz)), float(hz), 0.5, ramp_s=0.02)
            for hz in (*FREQUENCIES, *HIGH_FREQUENCIES)
        ],
        anchors=[("tone", float(hz)) for hz in ANCHORS],
    ),
    shapes=(
        Shape("RMS error after one offset, dB", shapes.rms_error_after_offset, high=6.0),
        Shape("correlation with listeners", shapes.correlation, low=0.95),
    ),
)


@dataclass(frozen=True)
class Integration:
    """Thresholds by duration, and how much more a short tone needs than a long one."""

    detection: Detection

    def keys(self) -> Sequence[Key]:
        return self.detection.keys()

    def measure(self, subject: Subject) -> Iterator[tuple[Key, Point]]:
        found = dict(self.detection.measure(subject))
        yield from found.items()
        for hz in INTEGRATION_FREQUENCIES:
            short, long = (found[f"{hz} Hz", float(ms)] for ms in (SHORT_MS, LONG_MS))
            point = Point(
                short.value - long.value, short.reason or long.reason, can=short.can and long.can
            )
            yield ("16 minus 250 ms", float(hz)), point

    def orderings(self, human: Mapping[Key, HumanPoint], scale: Scale) -> Iterator[Ordering]:
        by_key = {condition.key: condition for condition in self.detection.conditions}
        for hz, level in LONG_THRESHOLDS.items():
            short, long = (by_key[f"{hz} Hz", float(ms)] for ms in (SHORT_MS, LONG_MS))
            yield ordering(short, long, level + BETWEEN_DB)


def short_probe(frequency: float) -> Condition:
    """A 16-ms tone in quiet, the probe of the forward-masking experiments."""
    return in_quiet((f"{frequency:g} Hz", 16.0), frequency, 0.016, ramp_s=0.004)


INTEGRATION = Experiment(
    id="m1",
    title="Temporal integration at threshold",
    source="Plomp & Bouman 1959; Lecluyse et al. 2013",
    priority=2,
    x="duration, ms (difference: frequency, Hz)",
    y="threshold, dB",
    log_x=True,
    task=Integration(
        Detection(
            conditions=[
                in_quiet((f"{hz} Hz", float(ms)), float(hz), ms / 1000.0, ramp_s=0.004)
                for hz in INTEGRATION_FREQUENCIES
                for ms in DURATIONS_MS
            ]
        )
    ),
    shapes=(
        Shape(
            "16 minus 250 ms, mean over frequency, dB",
            lambda points, _: float(shapes.curve(points, "16 minus 250 ms")[1].mean()),
            low=6.0,
            high=14.0,
        ),
    ),
)

EXPERIMENTS = (QUIET, INTEGRATION)
