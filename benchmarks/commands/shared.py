"""What the commands share: where results lie, the metrics that were asked for, the console."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import benchmarks.baselines  # noqa: F401 (registers the metrics)
from benchmarks import metrics as register
from benchmarks.metrics import Metric
from pamt_metric.errors import PamtError

RESULTS = Path(__file__).parent.with_name("results")
OURS = "pamt"

# Where there is no terminal to fit into, wide enough for every column on one line.
console = Console(width=None if sys.stdout.isatty() else 140)

Data = Annotated[
    Path | None,
    typer.Option(help="Folder with ratings/ and music/; PAMT_DATA if not given.", metavar="ROOT"),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric", "--metrics", help="Name, or name@argument; again for more, or commas."
    ),
]
Cache = Annotated[Path | None, typer.Option(help="Folder of cached values.")]


def choose_metrics(metric: list[str] | None, default: Sequence[str]) -> list[Metric]:
    """The metrics that were asked for; of the default ones, those that can run here."""
    named = split_names(metric)
    if named:
        return [register.make(name) for name in named]
    made: list[Metric] = []
    for name in default:
        try:
            made.append(register.make(name))
        except (PamtError, ImportError) as error:
            print_missing([f"metric {name}: {error}"])
    return made


def split_names(options: list[str] | None) -> list[str]:
    """Options that were given several times, or with commas, as one list."""
    given = [name.strip() for option in options or [] for name in option.split(",")]
    return [name for name in given if name]


def print_missing(lines: Iterable[str]) -> None:
    for line in lines:
        console.print(f"missing: {line}", markup=False, highlight=False, soft_wrap=True)


def progress_bar() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
