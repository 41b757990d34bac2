"""`pamt embed`, `matrix` and `search`: what takes each file of many by itself."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

import typer

from pamt_metric.cli.options import (
    Device,
    DeviceOption,
    JsonOption,
    Level,
    LevelOption,
    ModelOption,
)
from pamt_metric.cli.output import exit_on_failures, progress
from pamt_metric.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from torch import Tensor

    from pamt_metric.metric import Metric

Item = TypeVar("Item")
Made = TypeVar("Made")
ExactOption = Annotated[
    bool, typer.Option("--exact", help="Compare every file in full, not the nearest alone: slow.")
]
FilesArgument = Annotated[list[str], typer.Argument(help="Audio files.", metavar="FILES...")]


def embed(
    files: FilesArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .npz file to write.")],
    level: LevelOption = Level.MATCH,
    model: ModelOption = "pamt-mini",
) -> None:
    """Write an embedding of each of FILES.

    The .npz file holds the arrays `files` (n,), `embeddings` (n, dim) and `model`.
    """
    import numpy as np

    from pamt_metric import checkpoint

    _check_output(output, (".npz",))
    metric = checkpoint.load(model)
    done, embeddings, reasons = _each(
        files, lambda file: cast("Tensor", metric.embed(file, level=level.value)).numpy()
    )
    if done:
        arrays = {"files": np.array(done), "embeddings": np.stack(embeddings)}
        _save_npz(output, metric, arrays)
        typer.echo(f"wrote {len(done)} embeddings to {output}")
    exit_on_failures(reasons)


def matrix(  # noqa: PLR0917 (typer calls it by name)
    files: FilesArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .csv or .npz to write.")],
    plot: Annotated[
        Path | None, typer.Option(help="Also a heat map, alike clips together: .png, .svg, .pdf.")
    ] = None,
    level: LevelOption = Level.MATCH,
    model: ModelOption = "pamt-mini",
    device: DeviceOption = Device.AUTO,
) -> None:
    """Write the distances of all pairs of FILES.

    They are those of --align none; each file is encoded once.
    """
    import numpy as np

    from pamt_metric import checkpoint
    from pamt_metric.batch import devices, heat_map
    from pamt_metric.batch import matrix as matrices

    _check_output(output, (".csv", ".npz"))
    if plot is not None:
        heat_map.check(plot)
    metric = checkpoint.load(model, device=devices.choose(device.value))
    done, clips, reasons = _each(
        files, lambda file: matrices.encode(Path(file), metric, level=level.value)
    )
    if len(done) < 2:
        raise InputError("; ".join([f"need two clips, got {len(done)}", *reasons]))
    distances = np.zeros((len(done), len(done)))
    with progress("rows", len(done)) as advance:
        for index, row in matrices.distances(clips, metric.pair):
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


def search(  # noqa: PLR0917 (typer calls it by name)
    query: Annotated[str, typer.Argument(help="Audio file to find the like of.")],
    folder: Annotated[Path, typer.Argument(help="Folder to search, with those in it.")],
    top: Annotated[int, typer.Option(min=1, help="How many to list.")] = 10,
    exact: ExactOption = False,  # noqa: FBT002 (typer calls it by name)
    cache: Annotated[
        Path | None, typer.Option(help="Where embeddings are kept; default: the user's cache.")
    ] = None,
    as_json: JsonOption = False,  # noqa: FBT002 (typer calls it by name)
    level: LevelOption = Level.MATCH,
    model: ModelOption = "pamt-mini",
    device: DeviceOption = Device.AUTO,
) -> None:
    """List the clips of FOLDER nearest to QUERY.

    They are found by embedding, and ordered by distance.
    """
    import numpy as np

    import pamt_metric
    from pamt_metric import checkpoint
    from pamt_metric.batch import devices, embedding_cache, folders
    from pamt_metric.batch import search as searches

    files = [folder / below for below in folders.sound_files(folder)]
    files = [file for file in files if file.resolve() != Path(query).resolve()]
    if not files:
        raise InputError(f"{folder} holds no sound file besides the query")
    metric = checkpoint.load(model, device=devices.choose(device.value))
    kept = embedding_cache.EmbeddingCache(
        cache or embedding_cache.default_folder(),
        metric,
        version=pamt_metric.__version__,
        level=level.value,
    )
    target = kept.embed(Path(query))
    done, embeddings, reasons = _each(files, kept.embed)
    hits = []
    if done:
        wanted = len(done) if exact else top
        found = searches.nearest(target, np.stack(embeddings), top=wanted)
        hits = searches.hits(Path(query), done, found, metric, level=level.value)[:top]
    if as_json:
        typer.echo(json.dumps({"query": query, "hits": [asdict(hit) for hit in hits]}, indent=2))
    else:
        typer.echo("distance  embedding  file")
        for hit in hits:
            typer.echo(f"{hit.distance:8.3f}  {hit.embedding_distance:9.3f}  {hit.file}")
    exit_on_failures(reasons)


def _each(
    files: Sequence[Item], make: Callable[[Item], Made]
) -> tuple[list[Item], list[Made], list[str]]:
    """What is made of each file: the files that went well, the results, why others did not."""
    done, made, reasons = [], [], []
    with progress("files", len(files)) as advance:
        for file in files:
            try:
                made.append(make(file))
                done.append(file)
            except InputError as error:
                reasons.append(str(error))
            advance(1)
    return done, made, reasons


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
