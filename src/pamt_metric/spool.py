"""Rows of numbers in a temporary file, for what would take too much memory.

They are read, not mapped: mapped pages would count as the process's own memory.
"""

import tempfile
import weakref
from threading import Lock
from typing import IO, Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pamt_metric.errors import InputError

_BYTES = 4


class Spool:
    """Rows of float32 in a file that goes with this object. Threads may read it together.

    Attributes:
        width: numbers in a row.
        length: rows that were written.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.length = 0
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="pamt-", buffering=0)  # noqa: SIM115 (closed with this object)
        weakref.finalize(self, self._file.close)
        self._lock = Lock()

    def write(self, rows: Float[np.ndarray, "row width"]) -> None:
        """Add rows at the end.

        Raises:
            InputError: there is no room for them.
        """
        left = _bytes_of(np.ascontiguousarray(rows, dtype=np.float32))
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise InputError(
                f"a long clip takes room in {tempfile.gettempdir()!r} while it is compared, about "
                "2 GB an hour of stereo; after "
                f"{self.length * self.width * _BYTES / 2**20:.0f} MiB: {error.strerror or error}; "
                "set TMPDIR to a folder with more"
            ) from error
        self.length += len(rows)

    def read(self, start: int, stop: int) -> Float[Tensor, "row width"]:
        """The rows between two places, as far as there are any."""
        rows = torch.empty(max(0, min(stop, self.length) - start), self.width)
        left = _bytes_of(rows.numpy())
        with self._lock:
            self._file.seek(start * self.width * _BYTES)
            while left:
                left = left[cast("Any", self._file).readinto(left) :]
        return rows


def _bytes_of(rows: Float[np.ndarray, "row width"]) -> memoryview:
    """Its own memory, as bytes."""
    return memoryview(rows.reshape(-1).view(np.uint8))  # pyright: ignore[reportArgumentType]
