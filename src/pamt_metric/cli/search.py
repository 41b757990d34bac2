"""`pamt search`: the clips of a folder that are like one."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pamt_metric.cli.options import (
    Device,
    DeviceOption,
    JsonOption,
    Level,
    LevelOption,
    MaxDurationOption,
    ModelOption,
)
from pamt_metric.cli.output import each, exit_on_failures, shown
from pamt_metric.errors import InputError

if TYPE_CHECKING:
    from pamt_metric.batch.embedding_cache import EmbeddingCache

CANDIDATES_PER_HIT = 3
ExactOption = Annotated[
    bool, typer.Option("--exact", help="Compare every file in full, not the nearest alone: slow.")
]
ApproximateOption = Annotated[
    bool | None,
    typer.Option(
        "--approximate/--no-approximate",
        help="Find the nearest by an index; default: from 10000 files on.",
    ),
]
Found = tuple[list[Path], list[tuple[int, float]], list[str]]
"""Files, the candidates among them by position with their distances, why others are left out."""


def search(  # noqa: PLR0917 (typer calls it by name)
    query: Annotated[str, typer.Argument(help="Audio file to find the like of.")],
    folder: Annotated[Path, typer.Argument(help="Folder to search, with those in it.")],
    top: Annotated[int, typer.Option(min=1, help="How many to list.")] = 10,
    candidates: Annotated[
        int | None, typer.Option(min=1, help="How many to compare in full; default: 3 x top.")
    ] = None,
    exact: ExactOption = False,  # noqa: FBT002 (typer calls it by name)
    approximate: ApproximateOption = None,
    cache: Annotated[
        Path | None, typer.Option(help="Where embeddings are kept; default: the user's cache.")
    ] = None,
    as_json: JsonOption = False,  # noqa: FBT002 (typer calls it by name)
    max_duration: MaxDurationOption = None,
    level: LevelOption = Level.MATCH,
    model: ModelOption = "pamt-mini",
    device: DeviceOption = Device.AUTO,
) -> None:
    """List the clips of FOLDER nearest to QUERY.

    They are found by embedding, and ordered by distance.
    """
    import pamt_metric
    from pamt_metric import checkpoint
    from pamt_metric.batch import contents, devices, embedding_cache, folders, vector_index
    from pamt_metric.batch import search as searches

    if exact and (approximate or candidates is not None):
        raise InputError("--exact compares every file: no --approximate, no --candidates with it")
    inside = [folder / below for below in folders.sound_files(folder)]
    files = [file for file in inside if file.resolve() != Path(query).resolve()]
    if not files:
        raise InputError(f"{folder} holds no sound file besides the query")
    if approximate is None:
        many = len(files) >= vector_index.FROM_FILES
        approximate = many and not exact and vector_index.is_installed()
    metric = checkpoint.load(model, device=devices.choose(device.value))
    cache = cache or embedding_cache.default_folder()
    count = len(files) if exact else max(top, candidates or CANDIDATES_PER_HIT * top)
    with contents.remembered(cache, folder) as known:
        kept = embedding_cache.EmbeddingCache(
            cache,
            metric,
            known,
            version=pamt_metric.__version__,
            level=level.value,
            max_duration=max_duration,
        )
        if approximate:
            done, found, reasons = _by_index(Path(query), folder, inside, kept, count)
        else:
            done, found, reasons = _by_all(Path(query), files, kept, count)
    hits, more = searches.hits(
        Path(query), done, found, metric, level=level.value, max_duration=max_duration
    )
    hits = hits[:top]
    if as_json:
        typer.echo(json.dumps({"query": query, "hits": [asdict(hit) for hit in hits]}, indent=2))
    else:
        typer.echo("distance  embedding  file")
        for hit in hits:
            typer.echo(f"{hit.distance:8.3f}  {hit.embedding_distance:9.3f}  {shown(hit.file)}")
    exit_on_failures([*reasons, *more])


def _by_all(query: Path, files: list[Path], kept: "EmbeddingCache", count: int) -> Found:
    """Candidates by the embeddings of all files."""
    import numpy as np

    from pamt_metric.batch import search as searches

    target = kept.embed(query)
    done, embeddings, reasons = each(files, kept.embed)
    found = searches.nearest(target, np.stack(embeddings), top=count) if done else []
    return done, found, reasons


def _by_index(
    query: Path, folder: Path, files: list[Path], kept: "EmbeddingCache", count: int
) -> Found:
    """Candidates by the folder's index, after the embeddings that it lacks were added.

    The index holds the query too where it lies in the folder, so that it serves every query.
    """
    import numpy as np

    from pamt_metric.batch.vector_index import VectorIndex

    target = kept.embed(query)
    done, contents, reasons = each(files, kept.contents.sha256)
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    index = VectorIndex(kept.folder / f"{name}.index", contents)
    holders = dict(zip(contents, done, strict=True))
    added, embeddings, more = each(index.lacking, lambda content: kept.embed(holders[content]))
    if added:
        index.add(added, np.stack(embeddings))
    found = index.nearest(target, contents, top=count + 1)
    others = [hit for hit in found if done[hit[0]].resolve() != query.resolve()]
    return done, others[:count], [*reasons, *more]
