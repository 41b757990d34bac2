"""Runs the probes on clips and counts what held."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from benchmarks.cache import ValueCache, waveform_hash
from benchmarks.datasets.table import groups
from benchmarks.metrics import Measurement, Metric, measure
from benchmarks.orderings import Recording
from benchmarks.results_file import replace_rows
from benchmarks.sanity.probes import N_OTHERS, Ordering, Pair, Trial, judge, make_trial
from pamt_metric.errors import InputError

COLUMNS = (
    "metric",
    "clip",
    "source",
    "probe",
    "nearer",
    "farther",
    "nearer_value",
    "farther_value",
    "held",
    "reason",
)


def run(
    metric: Metric, clips: Sequence[Recording], *, cache: ValueCache | None = None
) -> pd.DataFrame:
    """Every ordering of every clip, with both values, whether it held and why a value is missing.

    Args:
        metric: Any contestant.
        clips: At least two; each is also another recording for the rest.
        cache: Where values are looked up first and kept.
    """
    parts = [run_trial(metric, trial, cache=cache) for trial in trials(clips)]
    return pd.concat(parts, ignore_index=True)


def trials(clips: Sequence[Recording]) -> Iterator[Trial]:
    """Each clip with its pairs; making them takes longer than many a metric, so share them.

    Raises:
        InputError: There are fewer than two clips.
    """
    if len(clips) < 2:
        raise InputError(f"another recording is needed: give at least 2 clips, got {len(clips)}")
    for index, clip in enumerate(clips):
        rest = [*clips[index + 1 :], *clips[:index]]
        # Spread over the list, so over kinds of sound.
        others = rest[:: max(1, len(rest) // N_OTHERS)][:N_OTHERS]
        yield make_trial(clip, others)


def run_trial(
    metric: Metric,
    trial: Trial,
    *,
    cache: ValueCache | None = None,
    on_value: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """The orderings of one clip, with `COLUMNS`."""
    hashes: dict[int, str] = {}
    measured: dict[str, Measurement] = {}
    for name, pair in trial.pairs.items():
        measured[name] = _measured(metric, pair, trial.clip.sample_rate, cache, hashes)
        on_value()
    reasons = {name: each.reason for name, each in measured.items() if each.reason}
    rows = [
        (
            metric.name,
            trial.clip.name,
            trial.clip.source,
            each.probe,
            each.nearer,
            each.farther,
            each.nearer_value,
            each.farther_value,
            each.held,
            _reason(each, reasons),
        )
        for each in judge({name: each.value for name, each in measured.items()})
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _measured(
    metric: Metric, pair: Pair, sample_rate: int, cache: ValueCache | None, hashes: dict[int, str]
) -> Measurement:
    if cache is None:
        return measure(metric, pair[0], pair[1], sample_rate)
    for waveform in pair:
        if id(waveform) not in hashes:
            hashes[id(waveform)] = waveform_hash(waveform, sample_rate)
    a, b = (hashes[id(waveform)] for waveform in pair)
    key = (a, b, metric.name, metric.version)
    known = cache.get_by_key(*key)
    if known is None:
        known = measure(metric, pair[0], pair[1], sample_rate)
        cache.put_by_key(*key, known)
    return known


def _reason(ordering: Ordering, reasons: dict[str, str]) -> str:
    """Why a value of this ordering is missing, where one is."""
    if math.isfinite(ordering.nearer_value + ordering.farther_value):
        return ""
    # "another recording" stands for three pairs, whose names it begins.
    names = tuple(x for x in (ordering.nearer, ordering.farther) if x)
    own = [reason for pair, reason in reasons.items() if pair.startswith(names)]
    return next(iter(own or reasons.values()), "")


def summarise(results: pd.DataFrame) -> pd.DataFrame:
    """Orderings held and counted for each metric and probe, on how many clips, and why not."""
    rows = []
    for key, part in groups(results, ["metric", "probe"]):
        reasons = part.loc[part["reason"] != "", "reason"]
        held = int(part["held"].to_numpy(dtype=bool).sum())
        why = "; ".join(f"{n} x {text}" for text, n in reasons.value_counts().items())
        rows.append((*key, held, len(part), held / len(part), part["clip"].nunique(), why))
    columns = ["metric", "probe", "held", "counted", "share", "n_clips", "reasons"]
    return pd.DataFrame(rows, columns=columns)


def write(results: pd.DataFrame, path: Path) -> None:
    """Writes the orderings; rows of other metrics that are in the file already stay."""
    replace_rows(results, path, keys=["metric"], float_format="%.6g")
