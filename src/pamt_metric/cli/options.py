"""Options that several commands share."""

from enum import StrEnum
from typing import Annotated

import typer

from pamt_metric.errors import InputError

ModelOption = Annotated[
    str, typer.Option("--model", help="Bundled model, folder, or Hub id owner/name.")
]


class Kind(StrEnum):
    """What an embedding is of."""

    SOUND = "sound"
    HARMONY = "harmony"


class Level(StrEnum):
    """Choices of `--level`."""

    MATCH = "match"
    ABSOLUTE = "absolute"


class Align(StrEnum):
    """Choices of `--align`."""

    AUTO = "auto"
    NONE = "none"
    DTW = "dtw"


class Device(StrEnum):
    """Choices of `--device`."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Engine(StrEnum):
    """Choices of `--engine`."""

    LOCAL = "local"
    RAY = "ray"


KindOption = Annotated[
    Kind,
    typer.Option("--kind", help="sound: how it sounds; harmony: intervals, whatever the key."),
]
LevelOption = Annotated[
    Level, typer.Option("--level", help="match: at equal loudness; absolute: as they are.")
]
AlignOption = Annotated[
    Align,
    typer.Option(
        "--align", help="auto: take out one lag up to 0.5 s; none: do not; dtw: follow a tempo."
    ),
]
DeviceOption = Annotated[
    Device, typer.Option("--device", help="Where the model runs; auto: the fastest there is.")
]


def _seconds(value: float | None) -> float | None:
    if value is not None and not value > 0.0:
        raise InputError(f"--max-duration takes seconds above 0, got {value:g}")
    return value


MaxDurationOption = Annotated[
    float | None,
    typer.Option(
        "--max-duration", callback=_seconds, help="Refuse files that last longer, in seconds."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
