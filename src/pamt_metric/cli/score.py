"""`pamt score`: one reference and many tests, a manifest of pairs, or two folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pamt_metric.cli import score_files
from pamt_metric.cli.options import (
    Align,
    AlignOption,
    Device,
    DeviceOption,
    JsonOption,
    Level,
    LevelOption,
    ModelOption,
)
from pamt_metric.cli.output import (
    EXIT_OUT_OF_BOUNDS,
    complain,
    exit_on_failures,
    progress,
)
from pamt_metric.errors import InputError

if TYPE_CHECKING:
    from pamt_metric.batch.pairs import PairList
    from pamt_metric.batch.result import Result

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
    level: LevelOption = Level.MATCH,
    align: AlignOption = Align.AUTO,
    model: ModelOption = "pamt-mini",
    device: DeviceOption = Device.AUTO,
    batch_size: Annotated[int, typer.Option(min=1, help="Most pairs in the model at once.")] = 8,
    workers: Annotated[int, typer.Option(min=1, help="Threads that read files ahead.")] = 2,
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
    if resume and output is None:
        raise InputError("--resume needs the --output that the stopped run had")
    listed = _listed(reference, tests, manifest, reference_dir, test_dir)
    if reference is not None and tests and output is None:
        scored = score_files.score(
            reference, tests, model=model, device=device, level=level, align=align
        )
        score_files.show(reference, scored, as_json=as_json)
        reasons = [row.reason for row in scored if row.reason is not None]
        distances = [row.result["distance"] for row in scored if row.result is not None]
    else:
        if as_json:
            raise InputError("--json is for REFERENCE TEST...; for a list, write -o OUT.jsonl")
        results = _score_list(
            listed,
            output,
            resume=resume,
            model=model,
            device=device,
            level=level,
            align=align,
            batch_size=batch_size,
            workers=workers,
        )
        n_failed = sum(result.failed for result in results)
        where = "in the output" if output is None else f"in {output}"
        told = f"{n_failed} of {len(results)} pairs failed; the reasons are {where}"
        reasons = [told] if n_failed else []
        distances = [result.distance for result in results if result.distance is not None]
    _exit(distances, reasons, fail_under, fail_over)


def _listed(
    reference: str | None,
    tests: Sequence[str] | None,
    manifest: Path | None,
    reference_dir: Path | None,
    test_dir: Path | None,
) -> "PairList":
    """The pairs of the one source that was given."""
    from pamt_metric.batch import folders, pairs
    from pamt_metric.batch import manifest as manifests

    given = (reference is not None, manifest is not None, (reference_dir or test_dir) is not None)
    if sum(given) != 1:
        raise InputError(
            "score takes REFERENCE TEST..., or --manifest, or --reference-dir with --test-dir: "
            f"one of the three, got {sum(given)}"
        )
    if manifest is not None:
        return manifests.read(manifest)
    if reference is None:
        if reference_dir is None or test_dir is None:
            raise InputError("--reference-dir and --test-dir go together")
        return folders.pair(reference_dir, test_dir)
    if not tests:
        raise InputError("no TEST... to score against REFERENCE")
    return pairs.from_files(reference, tests)


def _score_list(
    listed: "PairList",
    output: Path | None,
    *,
    resume: bool,
    model: str,
    device: Device,
    level: Level,
    align: Align,
    batch_size: int,
    workers: int,
) -> "list[Result]":
    """Score a list, into a file or to stdout; gives the results in order."""
    from dataclasses import asdict

    import pamt_metric
    from pamt_metric import checkpoint
    from pamt_metric.batch import devices, scorer, summary, table
    from pamt_metric.batch.journal import Journal, rows
    from pamt_metric.batch.result import COLUMNS

    if output is not None:
        table.check_output(output)
    metric = checkpoint.load(model, device=devices.choose(device.value))
    identity = {
        "version": pamt_metric.__version__,
        "model": asdict(metric.info),
        "level": level.value,
        "align": align.value,
    }
    journal = None if output is None else Journal(output, listed, identity, resume=resume)
    results = [] if journal is None else list(journal.results)
    batches = scorer.score(
        listed.pairs[len(results) :],
        metric,
        level=level.value,
        align=align.value,
        batch_size=batch_size,
        workers=workers,
    )
    with progress("pairs", len(listed.pairs), done=len(results)) as advance:
        for batch in batches:
            results += batch
            if journal is not None:
                journal.append(batch)
            advance(len(batch))
    if journal is None:
        table.print_csv([*listed.columns, *COLUMNS], rows(listed, results))
    else:
        journal.finish()
    for line in summary.lines(results):
        typer.echo(line, err=output is None)
    return results


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
