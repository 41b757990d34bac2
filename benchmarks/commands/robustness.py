"""Cover song identification and genre classification under attack."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import metrics as register
from benchmarks.commands.shared import RESULTS, Data, console, progress_bar, split_names
from benchmarks.datasets import find_root
from benchmarks.results_file import record_runs, replace_rows
from benchmarks.robustness import evidence as evidence_run
from benchmarks.robustness import metric_attack, problems, suite, systems, tables, tasks
from benchmarks.robustness.catalogue import ATTACKS, CONTROLS, Effort
from pamt_metric import checkpoint
from pamt_metric.errors import InputError

SMALL = Effort(
    steps=2,
    restarts=1,
    cw_rounds=1,
    queries=4,
    places=2,
    universal_clips=2,
)
SMALL_LIMIT = 8
"""Pieces of each style, and songs, of the small run."""
WORK = Path("~/.cache/pamt-metric/robustness")


def robustness(
    *,
    data: Data = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="covers, genres (the default), or a corpus's layout; with commas."),
    ] = None,
    attack: Annotated[
        list[str] | None, typer.Option(help="Only this one; again for more, or commas.")
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option(help="To attack: encoder, pamt (the default: both), pamt-sound."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Splits of the songs, each with its own probes.")] = 5,
    items: Annotated[int, typer.Option(help="Clips attacked for each task and seed.")] = 10,
    seconds: Annotated[float, typer.Option(help="Length of a clip.")] = 5.0,
    steps: Annotated[int, typer.Option(help="Gradient steps of an iterative attack.")] = 40,
    restarts: Annotated[int, typer.Option(help="Restarts of it.")] = 2,
    model: Annotated[str, typer.Option(help="Name or folder.")] = checkpoint.DEFAULT_MODEL,
    small: Annotated[
        bool, typer.Option("--small", help="A minute's version of everything, to see it run.")
    ] = False,
    evidence: Annotated[
        bool, typer.Option(help="Also look for hidden gradients, and attack the distances.")
    ] = True,
    evidence_items: Annotated[int, typer.Option(help="Clips of each task for these.")] = 8,
    processes: Annotated[int, typer.Option(help="Run side by side, one thread each.")] = 2,
    results: Annotated[Path, typer.Option(help="Where outcomes go.")] = RESULTS / suite.FILE_NAME,
    work: Annotated[Path, typer.Option(help="Folder of made sound and features.")] = WORK,
) -> None:
    """Attack a frozen encoder and the metric's embedding; goes on where it was interrupted."""
    names = tuple(split_names(attack)) or (*ATTACKS, *CONTROLS)
    if unknown := set(names) - set(ATTACKS) - set(CONTROLS):
        known = ", ".join((*ATTACKS, *CONTROLS))
        raise InputError(f"unknown attack {', '.join(sorted(unknown))}; there are {known}")
    asked = tuple(split_names(system)) or systems.ATTACKED
    if unknown := set(asked) - set(systems.SYSTEMS):
        known = ", ".join(systems.SYSTEMS)
        raise InputError(f"unknown system {', '.join(sorted(unknown))}; there are {known}")
    root = find_root(data)
    for name in split_names(task) or list(tasks.RENDERED):
        run = suite.Run(
            task=name,
            root=root,
            limit=SMALL_LIMIT if small else None,
            duration_s=seconds,
            work=work.expanduser(),
            model=model,
            n_folds=5,
            effort=SMALL if small else Effort(steps=steps, restarts=restarts),
            names=names,
        )
        used = range(1 if small else seeds)
        clean = suite.clean_quality(run, seeds=used)
        keys = ["task", "system", "seed", "measure"]
        replace_rows(clean, results.with_name(suite.CLEAN_NAME), keys=keys)
        console.print(tables.clean(clean))
        with progress_bar() as progress:
            everything = list(
                suite.units(run, seeds=used, n_item=2 if small else items, asked=asked)
            )
            bar = progress.add_task(name, total=len(everything))
            suite.execute(
                everything,
                results,
                n_process=processes,
                on_unit=partial(progress.advance, bar),
            )
        if evidence:
            _evidence(run, results.parent, n_item=1 if small else evidence_items)
    attacked = register.make("pamt" if model == checkpoint.DEFAULT_MODEL else f"pamt@{model}")
    record_runs([attacked], results.with_name("runs.csv"), benchmark="robustness")
    found = suite.read(results)
    console.print(tables.accuracy(found))
    if counted := [name for name in ATTACKS if name in set(found["attack"])]:
        console.print(tables.gain(found, counted))


def _evidence(run: suite.Run, folder: Path, *, n_item: int) -> None:
    """On the first seed's clips: are gradients hidden, and how the distances fare."""
    bench = suite.open_bench(run)
    indices = suite.test_items(bench, seed=0, count=n_item)
    for probe in problems.PROBES[bench.task.kind]:
        found = evidence_run.collect(bench, probe, 0, indices)
        path = folder / evidence_run.FILE_NAME
        replace_rows(found, path, keys=["task", "probe", "item", "system", "kind"])
    found = metric_attack.collect(bench, indices)
    replace_rows(found, folder / metric_attack.FILE_NAME, keys=["task", "item", "metric"])
