"""What things cost: the ear, an encoder, a training step with the loss, a search."""

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from benchmarks import ear_speed, loss_cost, search_recall, tables
from benchmarks import encoder as encoder_suite
from benchmarks import metrics as register
from benchmarks import speed as speed_suite
from benchmarks.commands.shared import (
    RESULTS,
    Data,
    Metrics,
    choose_metrics,
    console,
    print_missing,
    progress_bar,
    split_names,
)
from benchmarks.datasets import find_root, recordings
from benchmarks.results_file import record_runs
from pamt_metric import checkpoint
from pamt_metric.errors import InputError

EAR_PEERS = ("zimtohrli", "visqol")


def time_ear(
    *,
    metric: Metrics = None,
    seconds: Annotated[int, typer.Option(help="Length of each sound.")] = 10,
    rounds: Annotated[int, typer.Option(help="Of which the median is taken.")] = 7,
    memory: Annotated[bool, typer.Option(help="Also peak memory by length.")] = True,
) -> None:
    """Time the ear beside peers on the same audio, by default Zimtohrli and ViSQOL."""
    contestants = choose_metrics(metric, ("pamt-ear", *EAR_PEERS))
    times = ear_speed.speed(contestants, duration_s=seconds, rounds=rounds)
    for contestant in contestants:
        register.release(contestant)
    console.print(tables.ear_speed(times, seconds))
    if memory:
        peaks = {length: ear_speed.peak_memory(length) for length in ear_speed.LENGTHS_S}
        console.print(tables.ear_memory(peaks))


def speed(
    *,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS
    / speed_suite.FILE_NAME,
    metric: Metrics = None,
    seconds: Annotated[str, typer.Option(help="Lengths of pairs, with commas.")] = "1,10,60",
    rounds: Annotated[int, typer.Option(help="Of which medians are taken.")] = 7,
    clips: Annotated[int, typer.Option(help="Of 10 s, for all pairs.")] = speed_suite.MATRIX_CLIPS,
    memory: Annotated[
        str, typer.Option(help="Lengths of files for the memory, with commas.")
    ] = "10,60,600",
) -> None:
    """Time everything beside the peers on the same sounds, and its memory; METRIC names peers."""
    peers = choose_metrics(metric, speed_suite.PEERS)
    rows: list[dict[str, Any]] = []
    for part in speed_suite.run(
        peers,
        lengths_s=[float(length) for length in split_names([seconds])],
        rounds=rounds,
        n_clips=clips,
        memory_s=[float(length) for length in split_names([memory])],
    ):
        rows += part
        result = pd.DataFrame(rows, columns=list(speed_suite.COLUMNS))
        result.to_csv(results, index=False, float_format="%.4g", lineterminator="\n")
        console.print(tables.plain(pd.DataFrame(part), title=part[0]["part"]))
    contestants = [speed_suite.ours()[0], *peers]
    record_runs(contestants, results.with_name("runs.csv"), benchmark="speed")
    for peer in peers:
        register.release(peer)


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
    parts = split_names(part) or list(encoder_suite.PARTS)
    unknown = set(parts) - set(encoder_suite.PARTS)
    if unknown:
        raise InputError(f"--part must be of {', '.join(encoder_suite.PARTS)}, got {unknown}")
    if "speed" in parts:
        result = encoder_suite.speed(encoder_suite.make(name), repeats=repeats)
        console.print(tables.plain(result, title=f"{name}: seconds, and ratio to HubertModel"))
    if "memory" in parts:
        lengths = [float(length) for length in split_names([minutes])]
        console.print(tables.plain(encoder_suite.memory(name, lengths), title="stream, one layer"))
    if "windows" in parts:
        found = recordings.read(find_root(data))
        print_missing(found.missing)
        clips = {title: encoder_suite.read_mono(path) for title, path in found.paths.items()}
        result = encoder_suite.windows(name, clips, seconds=(30, 60))
        console.print(tables.plain(result, title="windows against one pass"))


def loss(
    *,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS
    / loss_cost.FILE_NAME,
    seconds: Annotated[list[int] | None, typer.Option(help="Length of clips; repeat it.")] = None,
    batch: Annotated[list[int] | None, typer.Option(help="Clips in a batch; repeat it.")] = None,
) -> None:
    """Measure time and memory of a training step with the loss, with and without checkpointing."""
    lengths, batches = seconds or loss_cost.LENGTHS_S, batch or loss_cost.BATCHES
    with progress_bar() as progress:
        task = progress.add_task("loss", total=2 * len(lengths) * len(batches))
        result = loss_cost.run(
            results,
            lengths_s=lengths,
            batches=batches,
            on_cell=lambda _: progress.advance(task),
        )
    console.print(tables.loss_cost(result))


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
