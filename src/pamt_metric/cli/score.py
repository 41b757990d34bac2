"""`pamt score`: one reference and many tests, a manifest of pairs, or two folders."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pamt_metric.cli import score_files, score_list
from pamt_metric.cli.options import (
    Align,
    AlignOption,
    Device,
    DeviceOption,
    Engine,
    JsonOption,
    Level,
    LevelOption,
    MaxDurationOption,
    ModelOption,
)
from pamt_metric.cli.output import (
    EXIT_OUT_OF_BOUNDS,
    complain,
    exit_on_failures,
)
from pamt_metric.errors import InputError

ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with what a run that was stopped has done.")
]


def score(  # noqa: PLR0917 (typer calls it by name)
    reference: Annotated[
        str | None, typer.Argument(help="Audio file to compare with.", metavar="REFERENCE")
    ] = None,
    tests: Annotated[
        list[str] | None, typer.Argument(help="Audio files to score.", metavar="TEST...")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(help="csv or jsonl of pairs: reference, test, perhaps start and end in s."),
    ] = None,
    reference_dir: Annotated[
        Path | None, typer.Option(help="Folder of references, matched with --test-dir by name.")
    ] = None,
    test_dir: Annotated[Path | None, typer.Option(help="Folder of tests.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="csv, jsonl or parquet to write, a row for each pair."),
    ] = None,
    resume: ResumeOption = False,  # noqa: FBT002 (typer calls it by name)
    as_json: JsonOption = False,  # noqa: FBT002 (typer calls it by name)
    max_duration: MaxDurationOption = None,
    level: LevelOption = Level.MATCH,
    align: AlignOption = Align.AUTO,
    model: ModelOption = "pamt-mini",
    device: DeviceOption = Device.AUTO,
    batch_size: Annotated[int, typer.Option(min=1, help="Most pairs in the model at once.")] = 8,
    workers: Annotated[int, typer.Option(min=1, help="Threads that read files ahead.")] = 2,
    engine: Annotated[
        Engine, typer.Option(help="local: this process; ray: a cluster (docs/cluster.md).")
    ] = Engine.LOCAL,
    address: Annotated[
        str | None,
        typer.Option(help="host:port of Ray's head, or auto; default: RAY_ADDRESS, else here."),
    ] = None,
    actors: Annotated[
        int | None, typer.Option(min=1, help="Ray processes with a model; default: what fits.")
    ] = None,
    fail_under: Annotated[
        float | None, typer.Option(help="Exit code 1 if any distance is under this.")
    ] = None,
    fail_over: Annotated[
        float | None, typer.Option(help="Exit code 1 if any distance is over this.")
    ] = None,
) -> None:
    """Score TEST files against REFERENCE, or a list of pairs.

    0 is the same, 1 just noticeable, larger more different.

    Many pairs at once: --manifest PAIRS.csv, or --reference-dir A --test-dir B, with -o OUT.csv.
    """
    if any(math.isnan(bound) for bound in (fail_under, fail_over) if bound is not None):
        raise InputError(
            "--fail-under and --fail-over take a number, got nan, which bounds nothing"
        )
    if resume and output is None:
        raise InputError("--resume needs the --output that the stopped run had")
    listed = score_list.listed(reference, tests, manifest, reference_dir, test_dir)
    if reference is not None and tests and output is None and engine is Engine.LOCAL:
        scored = score_files.score(
            reference,
            tests,
            model=model,
            device=device,
            level=level,
            align=align,
            max_duration=max_duration,
        )
        score_files.show(reference, scored, as_json=as_json)
        reasons = [row.reason for row in scored if row.reason is not None]
        distances = [row.result["distance"] for row in scored if row.result is not None]
    else:
        if as_json:
            raise InputError("--json is for REFERENCE TEST...; for a list, write -o OUT.jsonl")
        settings = score_list.Settings(
            model, device, level, align, batch_size, workers, max_duration, engine, address, actors
        )
        results = score_list.score(listed, output, settings, resume=resume)
        n_failed = sum(result.failed for result in results)
        where = "in the output" if output is None else f"in {output}"
        told = f"{n_failed} of {len(results)} pairs failed; the reasons are {where}"
        reasons = [told] if n_failed else []
        distances = [result.distance for result in results if result.distance is not None]
    _exit(distances, reasons, fail_under, fail_over)


def _exit(
    distances: Sequence[float],
    reasons: Sequence[str],
    fail_under: float | None,
    fail_over: float | None,
) -> None:
    """Say what failed and what is out of bounds; code 2 for the one, 1 for the other alone."""
    from pamt_metric.batch import summary

    told = summary.out_of_bounds(distances, fail_under=fail_under, fail_over=fail_over)
    if told is not None:
        complain(told)
    exit_on_failures(reasons)
    if told is not None:
        raise typer.Exit(EXIT_OUT_OF_BOUNDS)
