"""`pamt embed` and `matrix`: what takes each file of many by itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pamt_metric.cli.options import (
    Device,
    DeviceOption,
    Kind,
    KindOption,
    Level,
    LevelOption,
    MaxDurationOption,
    ModelOption,
)
from pamt_metric.cli.output import each, exit_on_failures, progress
from pamt_metric.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from torch import Tensor

    from pamt_metric.evidence import Encoded
    from pamt_metric.metric import Metric

FilesArgument = Annotated[list[str], typer.Argument(help="Audio files.", metavar="FILES...")]


def embed(  # noqa: PLR0917 (typer calls it by name)
    files: FilesArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .npz file to write.")],
    kind: KindOption = Kind.SOUND,
    max_duration: MaxDurationOption = None,
    level: LevelOption = Level.MATCH,
    model: ModelOption = "pamt-mini",
) -> None:
    """Write an embedding of each of FILES.

    The .npz file holds the arrays `files` (n,), `embeddings` (n, dim), `kind` and `model`.
    """
    import numpy as np

    from pamt_metric import audio, checkpoint
    from pamt_metric.psychoacoustics.frames import SAMPLE_RATE

    _check_output(output, (".npz",))
    metric = checkpoint.load(model)

    def embedded(file: str) -> "Float[np.ndarray, 'dim']":
        clip = audio.load(file, target_rate=SAMPLE_RATE, max_duration=max_duration).waveform[0]
        found = metric.embed(clip, sample_rate=SAMPLE_RATE, level=level.value, kind=kind.value)
        return cast("Tensor", found).numpy()

    done, embeddings, reasons = each(files, embedded)
    if done:
        arrays = {"files": np.array(done), "embeddings": np.stack(embeddings), "kind": kind.value}
        _save_npz(output, metric, arrays)
        typer.echo(f"wrote {len(done)} embeddings to {output}")
    exit_on_failures(reasons)


def matrix(  # noqa: PLR0917 (typer calls it by name)
    files: FilesArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .csv or .npz to write.")],
    plot: Annotated[
        Path | None, typer.Option(help="Also a heat map, alike clips together: .png, .svg, .pdf.")
    ] = None,
    max_duration: MaxDurationOption = None,
    level: LevelOption = Level.MATCH,
    model: ModelOption = "pamt-mini",
    device: DeviceOption = Device.AUTO,
) -> None:
    """Write the distances of all pairs of FILES.

    They are those of --align none; each file is encoded once.
    """
    import numpy as np

    from pamt_metric import audio, checkpoint, pairwise
    from pamt_metric.batch import devices, heat_map
    from pamt_metric.psychoacoustics.frames import SAMPLE_RATE

    _check_output(output, (".csv", ".npz"))
    if plot is not None:
        heat_map.check(plot)
    metric = checkpoint.load(model, device=devices.choose(device.value))

    def encode(file: str) -> "Encoded":
        clip = audio.load(file, target_rate=SAMPLE_RATE, max_duration=max_duration)
        return pairwise.encode(clip, metric, level=level.value)

    done, clips, reasons = each(files, encode)
    if len(done) < 2:
        raise InputError("; ".join([f"need two clips, got {len(done)}", *reasons]))
    distances = np.zeros((len(done), len(done)))
    with progress("rows", len(done)) as advance:
        for index, row in enumerate(pairwise.rows(clips, metric.pair)):
            distances[index, :index] = distances[:index, index] = row.numpy()
            advance(1)
    _save_matrix(output, metric, done, distances)
    if plot is not None:
        try:
            heat_map.draw(plot, done, distances)
        except OSError as error:
            raise InputError(f"cannot write {plot}: {error.strerror or error}") from error
    typer.echo(f"wrote {len(done)} x {len(done)} distances to {output}")
    exit_on_failures(reasons)


def _check_output(output: Path, suffixes: Sequence[str]) -> None:
    if output.suffix not in suffixes:
        raise InputError(f"output must end in {' or '.join(suffixes)}, got {output}")
    if not output.parent.is_dir():
        raise InputError(f"no folder {output.parent} to write {output.name} into")


def _save_matrix(
    output: Path, metric: "Metric", files: Sequence[str], distances: "Float[np.ndarray, 'n n']"
) -> None:
    import numpy as np

    from pamt_metric.batch import table

    if output.suffix == ".npz":
        _save_npz(output, metric, {"files": np.array(files), "distances": distances})
        return
    names = [table.path_cell(file) for file in files]
    rows = [[name, *row] for name, row in zip(names, distances.round(6).tolist(), strict=True)]
    try:
        table.write_lines(output, ["file", *names], rows)
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror or error}") from error


def _save_npz(output: Path, metric: "Metric", arrays: "dict[str, np.ndarray]") -> None:
    import numpy as np

    stamp = np.array(f"{metric.info.name} {metric.info.version} {metric.info.sha256}")
    try:
        np.savez(output, **(arrays | {"model": stamp}))  # pyright: ignore[reportArgumentType]
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror}") from error
