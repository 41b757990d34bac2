"""Where the sound of a pair lies: a file that this machine sees, or an object in a store."""

import re
from io import BytesIO
from pathlib import Path

from pamt_metric.errors import InputError

# Two letters at least: one is a drive.
_URI = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)

Location = Path | str
"""A path, or the URI of an object: `s3://bucket/key`."""


def locate(cell: str, folder: Path) -> Location:
    """What a cell names: a URI as it stands, a path relative to `folder`."""
    return cell if _URI.match(cell) else folder / cell


def fetch(location: Location) -> Path | BytesIO:
    """What `audio.load` reads: a path as it is, an object's content.

    Raises:
        InputError: the object cannot be read, or pyarrow, which reads stores, is missing.
    """
    if isinstance(location, Path):
        return location
    try:
        import pyarrow as pa
        from pyarrow.fs import FileSystem
    except ImportError as error:
        raise InputError(
            f"{location!r} needs pyarrow, which is not installed: "
            "pip install 'pamt-metric[parquet]'"
        ) from error
    try:
        store, path = FileSystem.from_uri(location)
        with store.open_input_file(path) as stream:
            content = BytesIO(stream.read())
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{location!r}: cannot be read: {error}") from error
    content.name = location  # for messages about what is in it
    return content
