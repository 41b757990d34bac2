"""What a report is about: the rows that `pamt score` wrote, and the files they name.

A row of no use keeps its place and says why; what is wrong with the table as a whole is one error.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pamt_metric.batch import journal, manifest, table
from pamt_metric.batch.pairs import Pair
from pamt_metric.batch.result import COLUMNS, Result, failed, from_cells
from pamt_metric.errors import InputError

NEEDED = ("reference", "test", *COLUMNS)


@dataclass(frozen=True)
class Entry:
    """One scored pair.

    Attributes:
        number: its row in the table, from 1 on.
        cells: value by column, as it came.
        pair: the two files.
        result: the distance, or why there is none.
    """

    number: int
    cells: Mapping[str, Any]
    pair: Pair
    result: Result


@dataclass(frozen=True)
class Scores:
    """A table of scored pairs.

    Attributes:
        path: where it was read.
        columns: their names, in order.
        entries: one for each row.
        record: what the values depend on (model, level, align), as the run that wrote them left it
            beside them; empty where it did not.
    """

    path: Path
    columns: list[str]
    entries: list[Entry]
    record: Mapping[str, Any]


def read(path: Path, *, folder: Path | None = None) -> Scores:
    """Scored pairs of a csv, jsonl or parquet file.

    Args:
        path: the output of `pamt score`.
        folder: what relative paths in it are relative to; if None, what the run's record says, or
            else the table's own folder.

    Raises:
        InputError: the file cannot be read, is empty, or is no such output.
    """
    found = table.read(path)
    manifest.check_unique(path, found.columns)
    if not found.rows:
        raise InputError(f"{path} has no rows; expected a row for each scored pair")
    missing = [name for name in NEEDED if name not in found.columns]
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(map(repr, missing))}; expected what "
            "'pamt score --manifest PAIRS.csv -o OUT.csv' writes"
        )
    record = journal.recorded(path) or {}
    if folder is None:
        folder = path.parent / str(record.get("folder", ""))
    elif not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    entries = [_entry(number, row, folder) for number, row in enumerate(found.rows, 1)]
    return Scores(path, found.columns, entries, record)


def _entry(number: int, row: table.Row, folder: Path) -> Entry:
    pair = manifest.from_row(row, folder)
    try:
        result = _result(row)
    except InputError as error:
        result = failed(str(error))
    return Entry(number, row.cells, pair, result)


def _result(row: table.Row) -> Result:
    """The result of a row.

    Raises:
        InputError: it holds none.
    """
    if row.problem is not None:
        raise InputError(row.problem)
    try:
        result = from_cells({name: row.cells.get(name) for name in COLUMNS})
    except (TypeError, ValueError) as error:
        raise InputError(f"a value is not a number: {error}") from error
    if result.failed:
        return failed(result.reason or f"status is {result.status!r}, and no reason is given")
    distance = result.distance
    if distance is None or not 0.0 <= distance < math.inf:
        raise InputError(f"distance must be a number from 0 on, got {row.cells.get('distance')!r}")
    return result
