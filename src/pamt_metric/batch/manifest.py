"""Pairs from a manifest: a table with the columns reference and test, and perhaps start and end.

Further columns go through to the output. A row that cannot be used stays a row, with its reason;
what is wrong with the table as a whole is one error.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pamt_metric.batch import sources, table
from pamt_metric.batch.pairs import Pair, PairList
from pamt_metric.batch.result import COLUMNS
from pamt_metric.errors import InputError


def read(path: Path) -> PairList:
    """Pairs of a csv, jsonl or parquet file, by path, relative to its folder, or by URI.

    Raises:
        InputError: the file cannot be read, is empty, or its columns cannot be used.
    """
    found = table.read(path)
    if not found.rows:
        raise InputError(f"{path} has no rows; expected a header and at least one pair")
    _check_columns(path, found.columns)
    pairs = [from_row(row, path.parent) for row in found.rows]
    return PairList(found.columns, pairs, str(path), path.parent)


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    check_unique(path, columns)
    missing = [name for name in ("reference", "test") if name not in columns]
    if missing:
        hint = "; is the separator a comma?" if path.suffix == ".csv" else ""
        raise InputError(f"{path} has no column {_listed(missing)}, only {_listed(columns)}{hint}")
    clashing = [name for name in columns if name in COLUMNS]
    if clashing:
        raise InputError(f"{path} has column {_listed(clashing)}, which the output adds: rename it")


def check_unique(path: Path, columns: Sequence[str]) -> None:
    """Refuse a table of which two columns have one name.

    Raises:
        InputError: it is such a table.
    """
    doubled = sorted({name for name in columns if columns.count(name) > 1})
    if doubled:
        raise InputError(f"{path} has more than one column {_listed(doubled)}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def from_row(row: table.Row, folder: Path) -> Pair:
    """The pair of one line, its paths relative to `folder`; a line of no use says why."""
    if row.problem is not None:
        return Pair(row.cells, problem=row.problem)
    try:
        start = _seconds(row.cells, "start") or 0.0
        end = _seconds(row.cells, "end")
        if end is not None and end <= start:
            raise InputError(f"end must be after start, got start {start:g} and end {end:g}")
        reference, test = (_location(row.cells, name, folder) for name in ("reference", "test"))
    except InputError as error:
        return Pair(row.cells, problem=str(error))
    return Pair(row.cells, reference, test, start, end)


def _location(cells: Mapping[str, Any], name: str, folder: Path) -> sources.Location:
    value = cells.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{name} must be the path of a file, got {value!r}")
    return sources.locate(value, folder)


def _seconds(cells: Mapping[str, Any], name: str) -> float | None:
    value = cells.get(name)
    if value is None or value == "":
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0.0 <= seconds < math.inf:
        raise InputError(f"{name} must be a number of seconds from 0 on, got {value!r}")
    return seconds
