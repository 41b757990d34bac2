"""`python -m benchmarks`: data, agreement, crossval, orderings, sanity, psychophysics and more."""

import os
import sys
from collections.abc import Iterable, Sequence
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
from benchmarks import ceiling, ear_speed, loss_cost, out_of_fold, search_recall, summary, tables
from benchmarks import encoder as encoder_suite
from benchmarks import metrics as register
from benchmarks import orderings as orderings_run
from benchmarks import psychophysics as psychophysics_suite
from benchmarks import report as report_file
from benchmarks import sanity as sanity_suite
from benchmarks.cache import ValueCache, content_hash
from benchmarks.datasets import READERS, SPLITS, TRAIN, Reading, custom, find_root, recordings
from benchmarks.datasets import read as read_datasets
from benchmarks.datasets.table import DATA_VARIABLE, groups
from benchmarks.metrics import DEFAULT_METRICS, HASH_LENGTH, Metric
from benchmarks.results_file import record_runs, replace_rows
from pamt_metric import checkpoint
from pamt_metric.errors import InputError, PamtError

RESULTS = Path(__file__).with_name("results")
REPORT = Path(__file__).with_name("REPORT.md")
OURS = "pamt"
EAR_PEERS = ("zimtohrli", "visqol")
LISTENERS = ("pamt", "pamt-ear", "zimtohrli", "mr-stft")

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

Items = Annotated[Path, typer.Option(help="Where per-item values go.")]
Studies = Annotated[bool, typer.Option(help="Also print each study.")]


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
    _print_missing(lines + found.missing)
    readers = (*READERS.values(), recordings, sanity_suite.clips)
    sources = [source for reader in readers for source in reader.SOURCES]
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
    items: Items = RESULTS / "agreement.csv",
    cache: Annotated[Path | None, typer.Option(help="Folder of cached values.")] = None,
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
    contestants = _contestants(metric, [x for x in DEFAULT_METRICS if x not in trained])
    with ValueCache(cache) as values, _progress() as progress:
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


@app.command()
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
    contestants = _contestants(metric, [OURS])
    passed = True
    for contestant in contestants:
        with _progress() as progress:
            total = orderings_run.n_values(len(excerpts))
            task = progress.add_task(contestant.name, total=total)
            step = partial(progress.advance, task)
            result = orderings_run.run(contestant, excerpts, on_value=step)
        register.release(contestant)
        orderings_run.write(result, results)
        record_runs([contestant], results.with_name("runs.csv"), benchmark="orderings")
        passed &= _print_orderings(contestant.name, result)
    _print_missing(found.missing)
    raise typer.Exit(0 if passed else 1)


@app.command()
def sanity(
    *,
    data: Data = None,
    metric: Metrics = None,
    clips: Annotated[int | None, typer.Option(help="At most so many clips, spread.")] = None,
    results: Annotated[Path, typer.Option(help="Where the orderings go.")] = RESULTS / "sanity.csv",
    cache: Annotated[Path | None, typer.Option(help="Folder of cached values.")] = None,
) -> None:
    """Probe metrics with what any listener would agree on; without data, on its own pieces."""
    given = data or os.environ.get(DATA_VARIABLE)
    found = sanity_suite.find_clips(find_root(given) if given else None, at_most=clips)
    contestants = _contestants(metric, [OURS])
    parts = []
    with ValueCache(cache) as values, _progress() as progress:
        task = progress.add_task("", total=len(found.clips) * len(contestants))
        for trial in sanity_suite.trials(found.clips):
            for contestant in contestants:
                progress.update(task, description=f"{contestant.name}: {trial.clip.name[:20]}")
                parts.append(sanity_suite.run_trial(contestant, trial, cache=values))
                progress.advance(task)
            _print_missing(f"{trial.clip.name}: {x} ({why})" for x, why in trial.missing.items())
    for contestant in contestants:
        register.release(contestant)
    result = pd.concat(parts, ignore_index=True)
    sanity_suite.write(result, results)
    record_runs(contestants, results.with_name("runs.csv"), benchmark="sanity")
    held = sanity_suite.summarise(result)
    console.print(tables.sanity(held, [contestant.name for contestant in contestants]))
    _print_missing(found.missing)


@app.command()
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
    cache: Annotated[Path | None, typer.Option(help="Folder of cached values.")] = None,
) -> None:
    """Run published listening experiments with metrics as the listeners; needs no data."""
    if tier not in {"all", "orderings"}:
        raise InputError(f"--tier must be all or orderings, got {tier!r}")
    experiments = psychophysics_suite.chosen(_split(experiment))
    _use_one_thread()
    contestants = _contestants(metric, LISTENERS)
    with ValueCache(cache) as values, _progress() as progress:
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


@app.command(name="ear-speed")
def time_ear(
    *,
    metric: Metrics = None,
    seconds: Annotated[int, typer.Option(help="Length of each sound.")] = 10,
    rounds: Annotated[int, typer.Option(help="Of which the median is taken.")] = 7,
    memory: Annotated[bool, typer.Option(help="Also peak memory by length.")] = True,
) -> None:
    """Time the ear beside peers on the same audio, by default Zimtohrli and ViSQOL."""
    contestants = _contestants(metric, ("pamt-ear", *EAR_PEERS))
    times = ear_speed.speed(contestants, duration_s=seconds, rounds=rounds)
    for contestant in contestants:
        register.release(contestant)
    console.print(tables.ear_speed(times, seconds))
    if memory:
        peaks = {length: ear_speed.peak_memory(length) for length in ear_speed.LENGTHS_S}
        console.print(tables.ear_memory(peaks))


@app.command()
def encoder(
    *,
    data: Data = None,
    name: Annotated[
        str, typer.Option(help="random-95m, pamt-mini, a folder or a Hub id.")
    ] = encoder_suite.RANDOM,
    part: Annotated[
        list[str] | None, typer.Option(help="speed, memory or windows; again for more, or commas.")
    ] = None,
    minutes: Annotated[str, typer.Option(help="Clips of the memory table, with commas.")] = "1,5",
    repeats: Annotated[int, typer.Option(help="Turns of the speed table.")] = 5,
) -> None:
    """Measure an encoder: speed beside HubertModel, memory of long clips, windows and one pass."""
    parts = _split(part) or list(encoder_suite.PARTS)
    unknown = set(parts) - set(encoder_suite.PARTS)
    if unknown:
        raise InputError(f"--part must be of {', '.join(encoder_suite.PARTS)}, got {unknown}")
    if "speed" in parts:
        result = encoder_suite.speed(encoder_suite.make(name), repeats=repeats)
        console.print(tables.plain(result, title=f"{name}: seconds, and ratio to HubertModel"))
    if "memory" in parts:
        lengths = [float(length) for length in _split([minutes])]
        console.print(tables.plain(encoder_suite.memory(name, lengths), title="stream, one layer"))
    if "windows" in parts:
        found = recordings.read(find_root(data))
        _print_missing(found.missing)
        clips = {title: encoder_suite.read_mono(path) for title, path in found.paths.items()}
        result = encoder_suite.windows(name, clips, seconds=(30, 60))
        console.print(tables.plain(result, title="windows against one pass"))


@app.command()
def loss(
    *,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS
    / loss_cost.FILE_NAME,
    seconds: Annotated[list[int] | None, typer.Option(help="Length of clips; repeat it.")] = None,
    batch: Annotated[list[int] | None, typer.Option(help="Clips in a batch; repeat it.")] = None,
) -> None:
    """Measure time and memory of a training step with the loss, with and without checkpointing."""
    lengths, batches = seconds or loss_cost.LENGTHS_S, batch or loss_cost.BATCHES
    with _progress() as progress:
        task = progress.add_task("loss", total=2 * len(lengths) * len(batches))
        result = loss_cost.run(
            results,
            lengths_s=lengths,
            batches=batches,
            on_cell=lambda _: progress.advance(task),
        )
    console.print(tables.loss_cost(result))


@app.command()
def search(
    *,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS
    / search_recall.FILE_NAME,
    pieces: Annotated[int, typer.Option(help="Composed pieces; three clips each.")] = 200,
    size: Annotated[list[int] | None, typer.Option(help="Of an index; repeat it.")] = None,
) -> None:
    """Measure what share of the nearest clips `pamt search` finds, on a made collection."""
    metric = checkpoint.load()
    result = search_recall.run(results, metric, n_pieces=pieces, sizes=size or search_recall.SIZES)
    console.print(result.to_string(index=False))


@app.command()
def report(
    *,
    results: Annotated[Path, typer.Option(help="Folder of the CSV files.")] = RESULTS,
    output: Annotated[Path, typer.Option(help="The report; plots go beside the results.")] = REPORT,
) -> None:
    """Write tables and plots from the result files alone; no metric runs."""
    report_file.write(results, output)
    console.print(f"wrote {output}", highlight=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; every error that the package raises becomes one line and code 2."""
    try:
        app(arguments)
    except PamtError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


def _contestants(metric: list[str] | None, default: Sequence[str]) -> list[Metric]:
    """The metrics that were asked for; of the default ones, those that can run here."""
    named = _split(metric)
    if named:
        return [register.make(name) for name in named]
    made: list[Metric] = []
    for name in default:
        try:
            made.append(register.make(name))
        except (PamtError, ImportError) as error:
            _print_missing([f"metric {name}: {error}"])
    return made


def _use_one_thread() -> None:
    """Sounds of half a second are too short to share: threads would mostly wait for each other."""
    import torch

    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for metrics in processes of their own


def _split(options: list[str] | None) -> list[str]:
    """Options that were given several times, or with commas, as one list."""
    given = [name.strip() for option in options or [] for name in option.split(",")]
    return [name for name in given if name]


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
    _print_missing(reading.missing)
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


def _print_missing(lines: Iterable[str]) -> None:
    for line in lines:
        console.print(f"missing: {line}", markup=False, highlight=False, soft_wrap=True)


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


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


if __name__ == "__main__":
    main()
