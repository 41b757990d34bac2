"""Runs experiments on a metric and says what held, in three tiers.

- ordering: of two changes, the one that listeners hear better is farther; no parameter.
- threshold: within two of the listeners' SD, with the one internal noise of this metric.
- shape: a number that describes a whole curve lies where the listeners' does.

What the metric cannot do by design is 'not applicable', apart from what failed.
"""

import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.cache import ValueCache
from benchmarks.datasets.table import groups, where
from benchmarks.metrics import Metric, UndefinedError, release
from benchmarks.psychophysics import human as human_values
from benchmarks.psychophysics import listener
from benchmarks.psychophysics.experiment import Experiment, Key, Ordering, Point, Shape
from benchmarks.psychophysics.experiments import EXPERIMENTS
from benchmarks.psychophysics.experiments.intensity import (
    REFERENCE,
    REFERENCE_JND_DB,
    tone_increment,
)
from benchmarks.psychophysics.human import HumanPoint
from benchmarks.psychophysics.subject import Subject
from benchmarks.results_file import read_results, replace_rows
from pamt_metric.errors import InputError

TIERS = ("ordering", "threshold", "shape")
HELD, FAILED, NOT_APPLICABLE = "held", "failed", "not applicable"
MAX_Z = 2.0
FITTED = ("e1", REFERENCE)
"""Held to nothing: the internal noise was fitted there."""
COLUMNS = (
    "experiment",
    "condition",
    "metric",
    "tier",
    "value",
    "human",
    "sd",
    "z",
    "status",
    "rule",
    "reason",
    "date",
    "version",
)
POINT_COLUMNS = ("experiment", "curve", "x", "metric", "value", "reason")
SIGMA = "sigma"
"""Where the internal noise stands among the points."""
FILE_NAME = "psychophysics.csv"
POINTS_NAME = "psychophysics-points.csv"


@dataclass(frozen=True)
class Verdict:
    """One row of results, without what is common to all."""

    condition: str
    tier: str
    value: float
    status: str
    human: float = math.nan
    sd: float = math.nan
    z: float = math.nan
    rule: str = ""
    reason: str = ""


def chosen(names: Sequence[str] = ()) -> list[Experiment]:
    """The experiments of these letters, all of them for none.

    Raises:
        InputError: There is no such experiment.
    """
    for name in names:
        if name not in EXPERIMENTS:
            raise InputError(f"unknown experiment {name!r}; there are {', '.join(EXPERIMENTS)}")
    return [EXPERIMENTS[name] for name in names or EXPERIMENTS]


def run(
    metric: Metric,
    experiments: Sequence[Experiment],
    *,
    orderings_only: bool = False,
    cache: ValueCache | None = None,
    on_experiment: Callable[[str, pd.DataFrame, pd.DataFrame], None] = lambda *_: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every verdict on a metric, and the points behind them.

    Args:
        metric: Any contestant.
        experiments: What it is to hear.
        orderings_only: Leave out all that needs the internal noise.
        cache: Where values are looked up first and kept.
        on_experiment: Called with what each experiment gave, and at last with the internal noise.

    Returns:
        Tables of `COLUMNS` and `POINT_COLUMNS`.
    """
    subject = Subject(metric, cache)
    if not orderings_only:
        fit(subject)
    verdicts, points = [], []

    def keep(name: str, found: Sequence[Verdict], at: Mapping[Key, Point]) -> None:
        verdicts.append(_verdict_table(found, name, subject))
        points.append(_point_table(at, name, subject))
        on_experiment(name, verdicts[-1], points[-1])

    for experiment in experiments:
        keep(experiment.id, *_examine(experiment, subject, orderings_only=orderings_only))
        subject.forget()
    if not orderings_only:
        keep(SIGMA, [], {REFERENCE: Point(subject.sigma, subject.no_sigma)})
    release(subject.metric)
    return pd.concat(verdicts, ignore_index=True), pd.concat(points, ignore_index=True)


def fit(subject: Subject) -> None:
    """Gives the subject the internal noise with which it hears 0.69 dB at 60 dB SL."""
    try:
        _, distance, _ = tone_increment(*REFERENCE).trial(subject, REFERENCE_JND_DB)
    except UndefinedError as error:
        subject.no_sigma = f"no internal noise could be fitted: {error}"
        return
    if distance[0] > 0.0:
        subject.sigma = listener.fit_sigma(float(distance[0]))
    else:
        subject.no_sigma = "it hears no difference in level: no internal noise could be fitted"


def _examine(
    experiment: Experiment, subject: Subject, *, orderings_only: bool
) -> tuple[list[Verdict], Mapping[Key, Point]]:
    human = human_values.read(experiment.id)
    verdicts = [
        _judge_ordering(each, subject)
        for each in (
            *experiment.task.orderings(human, experiment.scale),
            *experiment.orderings,
        )
    ]
    if orderings_only:
        return verdicts, {}
    points = dict(experiment.task.measure(subject))
    if experiment.has_targets:
        verdicts += _judge_points(experiment, points, human)
    verdicts += [_judge_shape(shape, points, human) for shape in experiment.shapes]
    return verdicts, points


def _judge_ordering(ordering: Ordering, subject: Subject) -> Verdict:
    rule = "farther minus nearer over 0"
    try:
        value = ordering.farther(subject) - ordering.nearer(subject)
    except UndefinedError as error:
        reason = str(error)
        return Verdict(
            ordering.name, "ordering", math.nan, NOT_APPLICABLE, rule=rule, reason=reason
        )
    return Verdict(ordering.name, "ordering", value, HELD if value > 0.0 else FAILED, rule=rule)


def _judge_points(
    experiment: Experiment, points: Mapping[Key, Point], human: Mapping[Key, HumanPoint]
) -> Iterator[Verdict]:
    for key, point in points.items():
        if key not in human or not human[key].is_target or (experiment.id, key) == FITTED:
            continue
        listeners = human[key]
        z = experiment.scale.z(point.value, listeners) if math.isfinite(point.value) else math.nan
        yield Verdict(
            f"{key[0]}, {key[1]:g}",
            "threshold",
            point.value,
            _status(point, held=abs(z) <= MAX_Z),
            human=listeners.value,
            sd=listeners.sd,
            z=z,
            rule=f"within {MAX_Z:g} SD",
            reason=point.reason,
        )


def _status(point: Point, *, held: bool) -> str:
    if not point.can:
        return NOT_APPLICABLE
    return HELD if held else FAILED


def _judge_shape(
    shape: Shape, points: Mapping[Key, Point], human: Mapping[Key, HumanPoint]
) -> Verdict:
    values = {key: point.value for key, point in points.items() if math.isfinite(point.value)}
    try:
        value = shape.compute(values, human)
    except KeyError:
        missing = [point for point in points.values() if not math.isfinite(point.value)]
        if not missing:
            raise
        unable = [point for point in missing if not point.can]
        reason = f"points are missing: {(unable or missing)[0].reason}"
        status = NOT_APPLICABLE if unable else FAILED
        return Verdict(shape.name, "shape", math.nan, status, rule=shape.rule, reason=reason)
    status = HELD if shape.low <= value <= shape.high else FAILED
    return Verdict(shape.name, "shape", value, status, rule=shape.rule)


def _verdict_table(verdicts: Sequence[Verdict], experiment: str, subject: Subject) -> pd.DataFrame:
    today = dt.datetime.now(dt.UTC).date().isoformat()
    common = {
        "experiment": experiment,
        "metric": subject.name,
        "date": today,
        "version": subject.metric.version,
    }
    rows = [{**vars(verdict), **common} for verdict in verdicts]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _point_table(points: Mapping[Key, Point], experiment: str, subject: Subject) -> pd.DataFrame:
    rows = [
        (experiment, curve, x, subject.name, point.value, point.reason)
        for (curve, x), point in points.items()
    ]
    return pd.DataFrame(rows, columns=list(POINT_COLUMNS))


def write(verdicts: pd.DataFrame, points: pd.DataFrame, path: Path) -> None:
    """Writes both tables; what other metrics, experiments and tiers have there already stays."""
    if len(verdicts):
        keys = ["metric", "experiment", "tier"]
        replace_rows(verdicts, path, keys=keys, float_format="%.6g")
    if len(points):
        keys = ["metric", "experiment"]
        replace_rows(points, path.with_name(POINTS_NAME), keys=keys, float_format="%.6g")


def read(path: Path, metrics: Sequence[str], experiments: Sequence[str]) -> pd.DataFrame:
    """The verdicts on some metrics in some experiments."""
    table = read_results(path, ("value", "human", "sd", "z"))
    mine = table["metric"].isin(list(metrics)) & table["experiment"].isin(list(experiments))
    return where(table, mine)


def counts(results: pd.DataFrame) -> pd.DataFrame:
    """Held, failed and not applicable, of each metric in each tier."""
    rows = []
    for (metric, tier), part in groups(results, ["metric", "tier"]):
        status = part["status"].tolist()
        rows.append((metric, tier, *(status.count(x) for x in (HELD, FAILED, NOT_APPLICABLE))))
    return pd.DataFrame(rows, columns=["metric", "tier", HELD, FAILED, NOT_APPLICABLE])
