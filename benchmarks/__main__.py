"""`python -m benchmarks`: what data is there, agreement with listeners, orderings."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

import benchmarks.baselines  # noqa: F401 (registers the metrics)
from benchmarks import agreement as agreement_run
from benchmarks import metrics as register
from benchmarks import orderings as orderings_run
from benchmarks.cache import ValueCache
from benchmarks.datasets import READERS, SPLITS, custom, find_root, load, recordings
from benchmarks.datasets.table import groups, records
from pamt_metric.errors import InputError, PamtError

RESULTS = Path(__file__).with_name("results")
DEFAULT_METRICS = ["pamt", "mr-stft", "log-mel-l1"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
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


@app.command()
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
    for line in lines + found.missing:
        console.print(f"missing: {line}", markup=False, highlight=False, soft_wrap=True)
    sources = [source for reader in (*READERS.values(), recordings) for source in reader.SOURCES]
    for source in sources:
        if not source.present(root):
            console.print(source.how_to_get(root), markup=False, highlight=False, soft_wrap=True)


@app.command()
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
    items: Annotated[Path, typer.Option(help="Where per-item values go.")] = RESULTS
    / "agreement.csv",
    cache: Annotated[Path | None, typer.Option(help="Folder of cached values.")] = None,
    studies: Annotated[bool, typer.Option(help="Also print each study.")] = False,
) -> None:
    """Correlate metrics with human judgements, within each study."""
    if split not in SPLITS:
        raise InputError(f"--split must be one of {', '.join(SPLITS)}, got {split!r}")
    table, root = _table(data, split, dataset, csv)
    contestants = [register.make(name) for name in _names(metric)]
    with ValueCache(cache) as values, _progress() as progress:
        task = progress.add_task("", total=len(table) * len(contestants))
        results = []
        for contestant in contestants:
            progress.update(task, description=contestant.name)
            results.append(
                agreement_run.values(
                    table, contestant, cache=values, on_item=partial(progress.advance, task)
                )
            )
    result = pd.concat(results, ignore_index=True)
    agreement_run.write_items(result, items, root=root)
    if studies:
        console.print(_studies(agreement_run.by_study(result)))
    console.print(_datasets(agreement_run.by_dataset(result)))
    _print_undefined(result)


@app.command()
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
    contestants = [register.make(name) for name in _names(metric, default=["pamt"])]
    passed = True
    for contestant in contestants:
        with _progress() as progress:
            total = orderings_run.n_values(len(excerpts))
            task = progress.add_task(contestant.name, total=total)
            step = partial(progress.advance, task)
            result = orderings_run.run(contestant, excerpts, on_value=step)
        orderings_run.write(result, results)
        passed &= _print_orderings(contestant.name, result)
    for line in found.missing:
        console.print(f"missing: {line}", markup=False, highlight=False)
    raise typer.Exit(0 if passed else 1)


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; every error that the package raises becomes one line and code 2."""
    try:
        app(arguments)
    except PamtError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


def _names(metric: list[str] | None, *, default: list[str] = DEFAULT_METRICS) -> list[str]:
    given = [name.strip() for option in metric or [] for name in option.split(",")]
    return [name for name in given if name] or default


def _table(
    data: Path | None, split: str, dataset: list[str] | None, csv: Path | None
) -> tuple[pd.DataFrame, Path | None]:
    if csv is None:
        root = find_root(data)
        table = load(root, datasets=dataset, split=split)
    else:
        root = csv.resolve().parent
        table = custom.read(csv).table
    if table.empty:
        raise InputError("no rated pairs there: `python -m benchmarks data` says what is missing")
    return table, root


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


def _figure(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2f}"


def _datasets(summary: pd.DataFrame) -> Table:
    table = Table(
        *("dataset", "question", "split", "metric", "studies", "pairs"),
        *("Spearman", "95 % interval", "Pearson", "Kendall"),
        title="mean over studies; interval over pairs",
    )
    for row in records(summary):
        interval = f"{_figure(row['low'])} to {_figure(row['high'])}"
        coefficients = (
            _figure(row["spearman"]),
            interval,
            _figure(row["pearson"]),
            _figure(row["kendall"]),
        )
        counts = str(row["n_studies"]), str(row["n_items"])
        table.add_row(
            row["dataset"], row["question"], row["split"], row["metric"], *counts, *coefficients
        )
    return table


def _studies(summary: pd.DataFrame) -> Table:
    table = Table(
        "dataset", "question", "study", "metric", "pairs", "Spearman", "Pearson", "Kendall"
    )
    for row in records(summary):
        coefficients = (_figure(x) for x in (row["spearman"], row["pearson"], row["kendall"]))
        table.add_row(
            row["dataset"],
            row["question"],
            row["study"][:32],
            row["metric"],
            str(row["n_items"]),
            *coefficients,
        )
    return table


def _print_undefined(result: pd.DataFrame) -> None:
    for (name, reason), part in groups(result, ["metric", "reason"]):
        if reason:
            line = f"no value from {name} on {len(part)} pairs: {reason}"
            console.print(line, markup=False, highlight=False)


def _print_orderings(name: str, result: pd.DataFrame) -> bool:
    summary = orderings_run.summarise(result)
    kinds = list(dict.fromkeys(summary["kind"]))
    table = Table("recording", *kinds, title=name)
    for (recording,), part in groups(summary, ["recording"]):
        table.add_row(recording[:30], *(f"{r['held']}/{r['counted']}" for r in records(part)))
    sums = [part[["held", "counted"]].sum() for _, part in groups(summary, ["kind"])]
    table.add_row("all", *(f"{total['held']}/{total['counted']}" for total in sums))
    console.print(table)
    held, counted = orderings_run.share_held(result)
    all_held, all_counted = orderings_run.share_held(result, others=orderings_run.EACH_OTHER)
    console.print(
        f"{name}: {held} of {counted} orderings held ({held / counted:.1%}); "
        f"with every other recording counted, {all_held} of {all_counted} "
        f"({all_held / all_counted:.1%})",
        highlight=False,
    )
    return held / counted >= orderings_run.REQUIRED_SHARE


if __name__ == "__main__":
    main()
