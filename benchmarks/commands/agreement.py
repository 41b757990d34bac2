"""Agreement with human judgements: what data there is, metrics on it, a trained metric's folds."""

from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.table import Table

from benchmarks import agreement as agreement_run
from benchmarks import ceiling, out_of_fold, summary, tables
from benchmarks import metrics as register
from benchmarks import sanity as sanity_suite
from benchmarks.cache import ValueCache, content_hash
from benchmarks.commands.shared import (
    OURS,
    RESULTS,
    Cache,
    Data,
    Metrics,
    choose_metrics,
    console,
    print_missing,
    progress_bar,
)
from benchmarks.datasets import READERS, SPLITS, TRAIN, Reading, custom, find_root, recordings
from benchmarks.datasets import read as read_datasets
from benchmarks.datasets.table import groups
from benchmarks.metrics import DEFAULT_METRICS, HASH_LENGTH
from benchmarks.results_file import record_runs, replace_rows
from pamt_metric.errors import InputError

Items = Annotated[Path, typer.Option(help="Where per-item values go.")]
Studies = Annotated[bool, typer.Option(help="Also print each study.")]


def data(*, data: Data = None) -> None:
    """List what data is there and what is missing, with the commands that fetch it."""
    root = find_root(data)
    table = Table("dataset", "question", "split", "studies", "pairs", title=str(root))
    lines: list[str] = []
    for name, reader in READERS.items():
        reading = reader.read(root)
        lines += [f"{name}: {line}" for line in reading.missing]
        for key, part in groups(reading.table, ["question", "split"]):
            table.add_row(name, *key, str(part["study"].nunique()), str(len(part)))
    found = recordings.read(root)
    table.add_row("recordings", "", "", str(len(found.paths)), "")
    console.print(table)
    print_missing(lines + found.missing)
    readers = (*READERS.values(), recordings, sanity_suite.clips)
    sources = [source for reader in readers for source in reader.SOURCES]
    for source in sources:
        if not source.present(root):
            console.print(source.how_to_get(root), markup=False, highlight=False, soft_wrap=True)


def agreement(
    *,
    data: Data = None,
    split: Annotated[str, typer.Option(help="held-out or train.")] = "held-out",
    metric: Metrics = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Only this one; again for more.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Your own listening test instead (benchmarks/README.md).")
    ] = None,
    items: Items = RESULTS / "agreement.csv",
    cache: Cache = None,
    studies: Studies = False,
) -> None:
    """Correlate metrics with human judgements, within each study.

    On the train split the default is the baselines: a model that was trained there has values of
    its own from `crossval` alone.
    """
    if split not in SPLITS:
        raise InputError(f"--split must be one of {', '.join(SPLITS)}, got {split!r}")
    reading, root = _read(data, split, dataset, csv)
    table = reading.table
    trained = {OURS} if split == TRAIN else set()
    contestants = choose_metrics(metric, [x for x in DEFAULT_METRICS if x not in trained])
    with ValueCache(cache) as values, progress_bar() as progress:
        task = progress.add_task("", total=len(table) * len(contestants))
        results = []
        for contestant in contestants:
            progress.update(task, description=contestant.name)
            step = partial(progress.advance, task)
            results.append(agreement_run.values(table, contestant, cache=values, on_item=step))
            register.release(contestant)
    result = pd.concat(results, ignore_index=True)
    agreement_run.write_items(result, items, root=root)
    record_runs(contestants, items.with_name("runs.csv"), benchmark="agreement", split=split)
    _write_listeners(result, reading, items)
    _print_agreement(result, studies=studies)


def crossval(
    values: Annotated[Path, typer.Argument(help="CSV of out-of-fold values (out_of_fold.py).")],
    *,
    data: Data = None,
    items: Items = RESULTS / "agreement.csv",
    studies: Studies = False,
) -> None:
    """Add a trained metric's out-of-fold values on the train split to the results."""
    reading, root = _read(data, TRAIN, None, None)
    result = out_of_fold.read(values, reading.table, root=root)
    agreement_run.write_items(result, items, root=root)
    version = content_hash(values)[:HASH_LENGTH]
    sources = [out_of_fold.Source(name, version) for name in dict.fromkeys(result["metric"])]
    record_runs(sources, items.with_name("runs.csv"), benchmark="crossval", split=TRAIN)
    _write_listeners(result, reading, items)
    _print_agreement(result, studies=studies)


def _read(
    data: Path | None, split: str, dataset: list[str] | None, csv: Path | None
) -> tuple[Reading, Path]:
    if csv is None:
        root = find_root(data)
        reading = read_datasets(root, datasets=dataset, split=split)
    else:
        root = csv.resolve().parent
        reading = custom.read(csv)
    if reading.table.empty:
        raise InputError("no rated pairs there: `python -m benchmarks data` says what is missing")
    print_missing(reading.missing)
    return reading, root


def _write_listeners(result: pd.DataFrame, reading: Reading, items: Path) -> None:
    """What only listeners' own ratings tell, which stay where they are: ceilings and intervals."""
    ceilings = ceiling.by_study(reading.table, reading.judgements)
    if len(ceilings):
        keys = ["dataset", "question", "split"]
        replace_rows(ceilings, items.with_name("ceilings.csv"), keys=keys)
        console.print(tables.ceilings(ceiling.by_dataset(ceilings)))
    listeners = summary.over_listeners(result, reading.judgements)
    if len(listeners):
        replace_rows(listeners, items.with_name("listeners.csv"), keys=summary.DATASET_KEYS)


def _print_agreement(result: pd.DataFrame, *, studies: bool) -> None:
    if studies:
        console.print(tables.studies(summary.by_study(result)))
    console.print(tables.datasets(summary.by_dataset(result)))
    compared = summary.differences(result, metric=OURS)
    if len(compared):
        console.print(tables.differences(compared, OURS))
    _print_undefined(result)


def _print_undefined(result: pd.DataFrame) -> None:
    for (name, reason), part in groups(result, ["metric", "reason"]):
        if reason:
            line = f"no value from {name} on {len(part)} pairs: {reason}"
            console.print(line, markup=False, highlight=False)
