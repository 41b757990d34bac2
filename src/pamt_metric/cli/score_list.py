"""Many pairs: where they come from, what scores them, and the output that they go to."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pamt_metric.cli.options import Align, Device, Engine, Level
from pamt_metric.cli.output import progress
from pamt_metric.errors import InputError

if TYPE_CHECKING:
    from pamt_metric.batch.pairs import Pair, PairList
    from pamt_metric.batch.result import Result
    from pamt_metric.metric import Metric

    Run = Callable[[Sequence[Pair]], Iterator[list[Result]]]


@dataclass(frozen=True)
class Settings:
    """The options of a run."""

    model: str
    device: Device
    level: Level
    align: Align
    batch_size: int
    workers: int
    max_duration: float | None
    engine: Engine
    address: str | None
    actors: int | None


def listed(
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


def score(
    listed: "PairList", output: Path | None, settings: Settings, *, resume: bool
) -> "list[Result]":
    """Score a list, into a file or to stdout; gives the results in order."""
    from dataclasses import asdict

    import pamt_metric
    from pamt_metric.batch import summary, table
    from pamt_metric.batch.journal import Journal, rows
    from pamt_metric.batch.result import COLUMNS

    if output is not None:
        table.check_output(output)
    with _engine(settings) as (metric, run):
        identity = {
            "version": pamt_metric.__version__,
            "model": asdict(metric.info),
            "level": settings.level.value,
            "align": settings.align.value,
            "max_duration": settings.max_duration,
        }
        journal = None if output is None else Journal(output, listed, identity, resume=resume)
        results = [] if journal is None else list(journal.results)
        with progress("pairs", len(listed.pairs), done=len(results)) as advance:
            for batch in run(listed.pairs[len(results) :]):
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


@contextmanager
def _engine(settings: Settings) -> "Iterator[tuple[Metric, Run]]":
    """The model, and what scores pairs with it."""
    from functools import partial

    from pamt_metric import checkpoint
    from pamt_metric.batch import devices, scorer

    options: dict[str, Any] = {
        "level": settings.level.value,
        "align": settings.align.value,
        "batch_size": settings.batch_size,
        "workers": settings.workers,
        "max_duration": settings.max_duration,
    }
    if settings.engine is Engine.LOCAL:
        if settings.address is not None or settings.actors is not None:
            raise InputError("--address and --actors are for --engine ray")
        metric = checkpoint.load(settings.model, device=devices.choose(settings.device.value))
        yield metric, partial(scorer.score, metric=metric, **options)
        return
    from pamt_metric.batch import ray_engine

    with ray_engine.connected(settings.address, actors=settings.actors):
        metric = checkpoint.load(settings.model)
        device = settings.device.value
        yield (
            metric,
            partial(
                ray_engine.score, metric=metric, device=device, actors=settings.actors, **options
            ),
        )
