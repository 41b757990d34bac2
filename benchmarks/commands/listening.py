"""Published listening experiments with metrics as the listeners."""

import os
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer

from benchmarks import psychophysics as psychophysics_suite
from benchmarks import tables
from benchmarks.cache import ValueCache
from benchmarks.commands.shared import (
    RESULTS,
    Cache,
    Metrics,
    choose_metrics,
    console,
    progress_bar,
    split_names,
)
from benchmarks.results_file import record_runs
from pamt_metric.errors import InputError

LISTENERS = ("pamt", "pamt-ear", "zimtohrli", "mr-stft")


def psychophysics(
    *,
    metric: Metrics = None,
    tier: Annotated[
        str, typer.Option(help="all, or orderings: what needs no internal noise, in minutes.")
    ] = "all",
    experiment: Annotated[
        list[str] | None, typer.Option(help="Only this letter; again for more, or commas.")
    ] = None,
    results: Annotated[Path, typer.Option(help="Where the verdicts go; plots beside.")] = RESULTS
    / psychophysics_suite.FILE_NAME,
    cache: Cache = None,
) -> None:
    """Run published listening experiments with metrics as the listeners; needs no data."""
    if tier not in {"all", "orderings"}:
        raise InputError(f"--tier must be all or orderings, got {tier!r}")
    experiments = psychophysics_suite.chosen(split_names(experiment))
    _use_one_thread()
    contestants = choose_metrics(metric, LISTENERS)
    with ValueCache(cache) as values, progress_bar() as progress:
        task = progress.add_task("", total=len(experiments) * len(contestants))
        for contestant in contestants:

            def keep(experiment: str, verdicts: pd.DataFrame, points: pd.DataFrame) -> None:
                psychophysics_suite.write(verdicts, points, results)
                progress.advance(task, experiment != psychophysics_suite.SIGMA)

            progress.update(task, description=contestant.name)
            psychophysics_suite.run(
                contestant,
                experiments,
                orderings_only=tier == "orderings",
                cache=values,
                on_experiment=keep,
            )
    record_runs(contestants, results.with_name("runs.csv"), benchmark="psychophysics")
    names = [contestant.name for contestant in contestants]
    found = psychophysics_suite.read(results, names, [each.id for each in experiments])
    if tier == "all":
        console.print(tables.thresholds(found))
        psychophysics_suite.draw(results.parent)
    console.print(tables.psychophysics(psychophysics_suite.counts(found)))


def _use_one_thread() -> None:
    """Sounds of half a second are too short to share: threads would mostly wait for each other."""

    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for metrics in processes of their own
