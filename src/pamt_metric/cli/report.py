"""`pamt report`: scored pairs as one page."""

import math
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pamt_metric.cli.options import Align, Device, DeviceOption, Level, MaxDurationOption
from pamt_metric.cli.output import exit_on_failures, progress
from pamt_metric.errors import InputError

if TYPE_CHECKING:
    from pamt_metric.comparison import ModelInfo
    from pamt_metric.report.source import Entry, Scores

SUFFIXES = (".html", ".htm")


class Audio(StrEnum):
    """Choices of `--audio`."""

    FLAC = "flac"
    OPUS = "opus"
    NONE = "none"


def report(  # noqa: PLR0917 (typer calls it by name)
    scores: Annotated[Path, typer.Argument(help="csv, jsonl or parquet that pamt score wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .html to write.")],
    pairs: Annotated[
        int, typer.Option(min=0, help="How many pairs get maps and sound: the most different.")
    ] = 20,
    audio: Annotated[
        Audio, typer.Option(help="Sound in the page: flac exact; opus small; none.")
    ] = Audio.FLAC,
    folder: Annotated[
        Path | None, typer.Option(help="What relative paths start from; default: as scored.")
    ] = None,
    max_duration: MaxDurationOption = None,
    level: Annotated[
        Level | None, typer.Option("--level", help="match or absolute; default: as scored.")
    ] = None,
    align: Annotated[
        Align | None, typer.Option("--align", help="auto or none; default: as scored.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="The model that scored; default: as scored.")
    ] = None,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Write a table of scores as one page, with maps and sound.

    SCORES is what `pamt score` wrote. The players switch between both sounds in sync.
    """
    from pamt_metric import checkpoint
    from pamt_metric.batch import devices
    from pamt_metric.pictures import listening
    from pamt_metric.report import page, pair_view, sound, source

    _check_output(output)
    sound.check(audio.value)
    found = source.read(scores, folder=folder)
    record = found.record
    chosen = _most_different(found.entries, pairs)
    options: dict[str, Any] = {
        "level": level.value if level else record.get("level", "match"),
        "align": align.value if align else record.get("align", "auto"),
    }
    listening.check_align(options["align"])
    name = model or _recorded_model(record).get("name", "pamt-mini")
    metric = checkpoint.load(name, device=devices.choose(device.value))
    _check_model(found, metric.info)
    views, missing = [], {}
    with progress("pairs", len(chosen)) as advance:
        for entry in chosen:
            try:
                view = pair_view.pair_view(
                    entry, metric, audio=audio.value, max_duration=max_duration, **options
                )
                views.append(view)
            except (InputError, RuntimeError, MemoryError, OSError) as error:
                missing[entry.number] = " ".join(str(error).split())
            advance(1)
    about = {"table": str(scores), "model": f"{metric.info.name} {metric.info.version}", **options}
    _write(output, page.render(found, views, missing, about=about))
    typer.echo(
        f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB): {len(found.entries)} pairs, "
        f"{len(views)} of them to open"
    )
    exit_on_failures([f"row {number} cannot be opened: {why}" for number, why in missing.items()])


def _check_output(output: Path) -> None:
    if output.suffix.lower() not in SUFFIXES:
        raise InputError(f"output must end in .html, got {output}")
    if not output.parent.is_dir():
        raise InputError(f"no folder {output.parent} to write {output.name} into")
    if output.is_dir():
        raise InputError(f"{output} is a folder; name a file")
    if not os.access(output.parent, os.W_OK):
        raise InputError(f"cannot write {output}: {output.parent} is read-only")


def _most_different(entries: "list[Entry]", count: int) -> "list[Entry]":
    """The scored pairs of the largest distance."""

    def order(entry: "Entry") -> float:
        return -math.inf if entry.result.distance is None else entry.result.distance

    scored = [entry for entry in entries if not entry.result.failed]
    return sorted(scored, key=order, reverse=True)[:count]


def _recorded_model(record: Mapping[str, Any]) -> dict[str, Any]:
    found = record.get("model")
    return found if isinstance(found, dict) else {}


def _check_model(found: "Scores", info: "ModelInfo") -> None:
    """Refuse maps of another model than the table's distances."""
    recorded = _recorded_model(found.record)
    if recorded and recorded.get("sha256") != info.sha256:
        raise InputError(
            f"{found.path} was scored by {recorded.get('name')} {recorded.get('version')}, and "
            f"{info.name} {info.version} is another model: name that one with --model"
        )


def _write(output: Path, text: str) -> None:
    from pamt_metric.batch import table

    try:
        with table.replacing(output) as partial:
            # A name that is no Unicode (a lone surrogate) cannot be written; '?' stands for it.
            partial.write_text(text, encoding="utf-8", errors="replace", newline="\n")
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror or error}") from error
