"""What any listener would agree on: orderings of real recordings, and the sanity suite."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from benchmarks import metrics as register
from benchmarks import orderings as orderings_run
from benchmarks import sanity as sanity_suite
from benchmarks import tables
from benchmarks.cache import ValueCache
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
from benchmarks.datasets import find_root, recordings
from benchmarks.datasets.table import DATA_VARIABLE
from benchmarks.results_file import record_runs
from pamt_metric.errors import InputError


def orderings(
    *,
    data: Data = None,
    metric: Metrics = None,
    results: Annotated[Path, typer.Option(help="Where the orderings go.")] = RESULTS
    / "orderings.csv",
) -> None:
    """Check on real recordings what any listener would agree on; exit code 1 under 95 %."""
    found = recordings.read(find_root(data))
    if len(found.paths) < 2:
        raise InputError(f"orderings need at least 2 recordings: {'; '.join(found.missing)}")
    excerpts = [orderings_run.read_excerpt(name, path) for name, path in found.paths.items()]
    contestants = choose_metrics(metric, [OURS])
    passed = True
    for contestant in contestants:
        with progress_bar() as progress:
            total = orderings_run.n_values(len(excerpts))
            task = progress.add_task(contestant.name, total=total)
            step = partial(progress.advance, task)
            result = orderings_run.run(contestant, excerpts, on_value=step)
        register.release(contestant)
        orderings_run.write(result, results)
        record_runs([contestant], results.with_name("runs.csv"), benchmark="orderings")
        passed &= _print_orderings(contestant.name, result)
    print_missing(found.missing)
    raise typer.Exit(0 if passed else 1)


def sanity(
    *,
    data: Data = None,
    metric: Metrics = None,
    clips: Annotated[int | None, typer.Option(help="At most so many clips, spread.")] = None,
    results: Annotated[Path, typer.Option(help="Where the orderings go.")] = RESULTS / "sanity.csv",
    cache: Cache = None,
) -> None:
    """Probe metrics with what any listener would agree on; without data, on its own pieces."""
    given = data or os.environ.get(DATA_VARIABLE)
    found = sanity_suite.find_clips(find_root(given) if given else None, at_most=clips)
    contestants = choose_metrics(metric, [OURS])
    parts = []
    with ValueCache(cache) as values, progress_bar() as progress:
        task = progress.add_task("", total=len(found.clips) * len(contestants))
        for trial in sanity_suite.trials(found.clips):
            for contestant in contestants:
                progress.update(task, description=f"{contestant.name}: {trial.clip.name[:20]}")
                parts.append(sanity_suite.run_trial(contestant, trial, cache=values))
                progress.advance(task)
            print_missing(f"{trial.clip.name}: {x} ({why})" for x, why in trial.missing.items())
    for contestant in contestants:
        register.release(contestant)
    result = pd.concat(parts, ignore_index=True)
    sanity_suite.write(result, results)
    record_runs(contestants, results.with_name("runs.csv"), benchmark="sanity")
    held = sanity_suite.summarise(result)
    console.print(tables.sanity(held, [contestant.name for contestant in contestants]))
    print_missing(found.missing)


def _print_orderings(name: str, result: pd.DataFrame) -> bool:
    console.print(tables.orderings_held(name, result))
    held, counted = orderings_run.share_held(result)
    all_held, all_counted = orderings_run.share_held(result, others=orderings_run.EACH_OTHER)
    console.print(
        f"{name}: {held} of {counted} orderings held ({held / counted:.1%}); "
        f"with every other recording counted, {all_held} of {all_counted} "
        f"({all_held / all_counted:.1%})",
        highlight=False,
    )
    return held / counted >= orderings_run.REQUIRED_SHARE
