"""One reference against a few tests: a table for people, or JSON with all that was measured."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import typer

from pamt_metric.cli.options import Align, Device, Level
from pamt_metric.cli.output import complain, shown
from pamt_metric.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from pamt_metric.comparison import Comparison
    from pamt_metric.recording import OnDisk


@dataclass(frozen=True)
class Row:
    """One test file: its result, or the reason why there is none."""

    test: str
    result: dict[str, Any] | None
    reason: str | None


def score(
    reference: str,
    tests: Sequence[str],
    *,
    model: str,
    device: Device,
    level: Level,
    align: Align,
    max_duration: float | None,
) -> list[Row]:
    """A row for each test.

    Raises:
        InputError: the reference cannot be used.
    """
    from pamt_metric import checkpoint, recording
    from pamt_metric.audio import AudioBatch
    from pamt_metric.batch import devices
    from pamt_metric.psychoacoustics.frames import SAMPLE_RATE

    metric = checkpoint.load(model, device=devices.choose(device.value))

    def load(file: str) -> "Float[Tensor, 'channel time'] | OnDisk":
        clip = recording.load(file, target_rate=SAMPLE_RATE, max_duration=max_duration)
        return clip.waveform[0] if isinstance(clip, AudioBatch) else clip

    options = {"sample_rate": SAMPLE_RATE, "level": level.value, "align": align.value}
    first = load(reference)
    rows = []
    for test in tests:
        try:
            found = metric.compare(first, load(test), **options)
            rows.append(Row(test, cast("Comparison", found).summary(), None))
        except InputError as error:
            rows.append(Row(test, None, str(error)))
    return rows


def show(reference: str, rows: Sequence[Row], *, as_json: bool) -> None:
    """Print the rows."""
    if as_json:
        typer.echo(json.dumps(_as_json(reference, rows), indent=2))
    else:
        _print_table(rows)


def _print_table(rows: Sequence[Row]) -> None:
    from pamt_metric.comparison import describe

    names = [shown(row.test) for row in rows]
    width = max(map(len, names))
    header = f"{'test':<{width}}  distance  fidelity  content  added  missing   meaning"
    typer.echo(header)
    for name, row in zip(names, rows, strict=True):
        if row.result is None:
            typer.echo(f"{name:<{width}}  {'failed':>8}")
            continue
        value = row.result
        typer.echo(
            f"{name:<{width}}  {value['distance']:8.3f}  {value['fidelity']:8.3f}  "
            f"{value['content']:7.3f}  {value['added']:5.2f}  {value['missing']:7.2f}   "
            f"{describe(value['distance'])}"
        )
    for row in rows:
        for warning in row.result["warnings"] if row.result else ():
            complain(f"{row.test}: warning: {warning}")


def _as_json(reference: str, rows: Sequence[Row]) -> dict[str, Any]:
    results = [
        {"test": row.test, "status": "ok", **row.result}
        if row.result is not None
        else {"test": row.test, "status": "failed", "distance": None, "reason": row.reason}
        for row in rows
    ]
    return {"reference": reference, "results": results}
