"""Values that were computed before, kept outside the repository in one SQLite file.

The key is the content of both sounds, the metric's name and its version, so neither a moved folder
nor a changed metric can serve a wrong value, and a run that is broken off goes on where it stopped.
"""

import hashlib
import math
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.metrics import Measurement

CACHE_VARIABLE = "PAMT_BENCH_CACHE"
FILE_NAME = "values.sqlite"


def default_folder() -> Path:
    """`PAMT_BENCH_CACHE`, else `pamt-metric/benchmarks` in the user's cache folder."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given).expanduser()
    user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(user_cache) / "pamt-metric" / "benchmarks"


class ValueCache:
    """Measurements by content of the two files, metric and version."""

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or default_folder()
        folder.mkdir(parents=True, exist_ok=True)
        self._hashes: dict[str, str] = {}
        self._connection = sqlite3.connect(folder / FILE_NAME, timeout=60.0)
        with self._connection:
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS measurement (reference TEXT, test TEXT, metric TEXT, "
                "version TEXT, value REAL, reason TEXT, "
                "PRIMARY KEY (reference, test, metric, version))"
            )

    def __enter__(self) -> "ValueCache":
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()

    def get(self, reference: str, test: str, metric: str, version: str) -> Measurement | None:
        """What was put for these two files, or None."""
        return self.get_by_key(self._hash(reference), self._hash(test), metric, version)

    def put(
        self, reference: str, test: str, metric: str, version: str, measurement: Measurement
    ) -> None:
        """Keeps a measurement of two files at once, so that nothing is lost when a run stops."""
        key = (self._hash(reference), self._hash(test), metric, version)
        self.put_by_key(*key, measurement)

    def get_by_key(
        self, reference: str, test: str, metric: str, version: str
    ) -> Measurement | None:
        """What was put for two sounds, each given by `content_hash` or `waveform_hash`."""
        row = self._connection.execute(
            "SELECT value, reason FROM measurement WHERE reference = ? AND test = ? "
            "AND metric = ? AND version = ?",
            (reference, test, metric, version),
        ).fetchone()
        # SQLite has no NaN: it stores one as NULL.
        return row and Measurement(math.nan if row[0] is None else row[0], row[1])

    def put_by_key(
        self, reference: str, test: str, metric: str, version: str, measurement: Measurement
    ) -> None:
        """Keeps a measurement of two sounds given by their hashes, if another run would agree."""
        self.put_all({(reference, test): measurement}, metric, version)

    def put_all(
        self, measurements: Mapping[tuple[str, str], Measurement], metric: str, version: str
    ) -> None:
        """The same for many pairs of hashes, written at once: each writing waits for the disk."""
        rows = [
            (*pair, metric, version, None if math.isnan(each.value) else each.value, each.reason)
            for pair, each in measurements.items()
            if each.lasting
        ]
        with self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO measurement VALUES (?, ?, ?, ?, ?, ?)", rows
            )

    def _hash(self, path: str) -> str:
        if path not in self._hashes:
            self._hashes[path] = content_hash(path)
        return self._hashes[path]


def content_hash(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def waveform_hash(waveform: np.ndarray, sample_rate: int) -> str:
    """SHA-256 of a waveform `(channel, time)`, its shape and its rate, in hexadecimal."""
    digest = hashlib.sha256(repr((waveform.shape, waveform.dtype.str, sample_rate)).encode())
    digest.update(np.ascontiguousarray(waveform).data)
    return digest.hexdigest()
