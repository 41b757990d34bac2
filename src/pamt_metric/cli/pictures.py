"""`pamt plot`: one pair as a picture."""

from pathlib import Path
from typing import Annotated

import typer

from pamt_metric.cli.options import (
    Align,
    AlignOption,
    Device,
    DeviceOption,
    Level,
    LevelOption,
    MaxDurationOption,
    ModelOption,
)
from pamt_metric.cli.output import complain
from pamt_metric.errors import InputError


def plot(  # noqa: PLR0917 (typer calls it by name)
    reference: Annotated[str, typer.Argument(help="Audio file to compare with.")],
    test: Annotated[str, typer.Argument(help="Audio file to compare.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The .png, .svg or .pdf to write.")
    ],
    at: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Second to show the masked threshold of; default: largest difference."
        ),
    ] = None,
    max_duration: MaxDurationOption = None,
    level: LevelOption = Level.MATCH,
    align: AlignOption = Align.AUTO,
    model: ModelOption = "pamt-mini",
    device: DeviceOption = Device.AUTO,
) -> None:
    """Draw how TEST differs from REFERENCE, over time and frequency."""
    from pamt_metric import audio, checkpoint
    from pamt_metric.batch import devices, heat_map
    from pamt_metric.comparison import describe
    from pamt_metric.pictures import listening, maps, pair_plot
    from pamt_metric.psychoacoustics.frames import SAMPLE_RATE

    heat_map.check(output)
    metric = checkpoint.load(model, device=devices.choose(device.value))
    clips = [
        audio.load(file, target_rate=SAMPLE_RATE, max_duration=max_duration).waveform[0]
        for file in (reference, test)
    ]
    heard = listening.listen(metric, *clips, level=level.value, align=align.value)
    shown = maps.pair_maps(heard)
    if at is not None and at > shown.duration_s:
        raise InputError(f"--at is {at:g} s, the clips end at {shown.duration_s:g} s")
    comparison = heard.comparison
    try:
        pair_plot.draw(output, shown, comparison, (reference, test), at=at)
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror or error}") from error
    for warning in comparison.warnings:
        complain(f"warning: {warning}")
    typer.echo(
        f"wrote {output}: distance {comparison.distance:.3f}, {describe(comparison.distance)}"
    )
