"""Writing a file of the cache: it appears whole, whoever else writes it at the same moment."""

from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from pamt_metric.errors import InputError


def write(file: Path, content: bytes) -> None:
    """Write a file whole; its folder is made if it is not there.

    Raises:
        InputError: it cannot be written; nothing of it is left then.
    """
    # Not the process id: containers that share a cache have the same ones.
    partial = file.with_name(f"{file.stem}.{uuid4().hex}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(file)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise InputError(f"cannot write the cache {file}: {error.strerror}") from error
