"""Tables as files: csv, jsonl, and parquet where pyarrow is installed.

Cells go through as they came. What this package itself puts into a cell never begins with a
character that makes a spreadsheet run the cell as a formula: see `path_cell`.
"""

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from pamt_metric.errors import InputError

Cells = dict[str, Any]
SUFFIXES = (".csv", ".jsonl", ".parquet")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        cells: value by column.
        problem: why the line cannot be taken as it is; None for a good one.
    """

    cells: Cells
    problem: str | None = None


@dataclass(frozen=True)
class Table:
    """Columns in their order, and rows in theirs."""

    columns: list[str]
    rows: list[Row]


def path_cell(path: str | os.PathLike[str]) -> str:
    """A path as a cell: one that a spreadsheet would run as a formula gets a `./` in front."""
    name = os.fspath(path)
    return f"./{name}" if name.startswith(_FORMULA_STARTS) else name


def check_format(path: Path) -> None:
    """Refuse a name whose suffix is none of `SUFFIXES`, or whose format needs what is missing.

    Raises:
        InputError: the suffix is unknown, or pyarrow is not installed.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    if path.suffix == ".parquet":
        _pyarrow()


def check_output(path: Path) -> None:
    """Refuse, before any work is done, a name that cannot be written.

    Raises:
        InputError: as for `check_format`, or there is no folder to write into.
    """
    check_format(path)
    if not path.parent.is_dir():
        raise InputError(f"no folder {path.parent} to write {path.name} into")
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file")


def read(path: Path) -> Table:
    """Read a table; a line that is not one keeps its place and says why.

    Raises:
        InputError: the file cannot be read as a table at all.
    """
    check_format(path)
    try:
        if path.suffix == ".csv":
            return _read_csv(path)
        return _read_jsonl(path) if path.suffix == ".jsonl" else _read_parquet(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from (
            error
        )
    except csv.Error as error:
        raise InputError(f"{path} is not a csv file: {error}") from error


def write(path: Path, columns: Sequence[str], rows: Sequence[Cells]) -> None:
    """Write a table whole: it appears under its name only when it is complete.

    Raises:
        OSError: the file cannot be written.
    """
    if path.suffix == ".csv":
        write_lines(path, columns, _csv_lines(columns, rows))
        return
    with replacing(path) as partial:
        if path.suffix == ".parquet":
            _write_parquet(partial, columns, rows)
        else:
            with partial.open("w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.writelines(f"{_json(_ordered(row, columns))}\n" for row in rows)


def write_lines(path: Path, columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Write a csv file whole, from lines of cells.

    Raises:
        OSError: the file cannot be written.
    """
    with (
        replacing(path) as partial,
        partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
    ):
        _write_csv(stream, columns, lines)


def print_csv(columns: Sequence[str], rows: Sequence[Cells]) -> None:
    """Write a table to standard output."""
    _write_csv(sys.stdout, columns, _csv_lines(columns, rows))


def _write_csv(stream: IO[str], columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)


def _csv_lines(columns: Sequence[str], rows: Sequence[Cells]) -> Iterator[list[str]]:
    """Cells by column: an absent value is an empty cell, a list or an object is JSON."""
    return ([text_cell(row.get(name)) for name in columns] for row in rows)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its name when all is written, and on disk."""
    partial = path.with_name(f"{path.name}.tmp")
    try:
        yield partial
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def _read_csv(path: Path) -> Table:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = csv.reader(stream, strict=True)
        columns = next(lines, [])
        rows = [_csv_row(columns, line) for line in lines if line]
    return Table(columns, rows)


def _csv_row(columns: list[str], line: list[str]) -> Row:
    padded = [*line, *[""] * (len(columns) - len(line))]
    cells = dict(zip(columns, padded, strict=False))
    if len(line) == len(columns):
        return Row(cells)
    return Row(cells, f"row has {len(line)} cells, the header has {len(columns)}")


def _read_jsonl(path: Path) -> Table:
    with path.open(encoding="utf-8-sig") as stream:
        rows = [_jsonl_row(line) for line in stream if line.strip()]
    return Table(list(dict.fromkeys(name for row in rows for name in row.cells)), rows)


def _jsonl_row(line: str) -> Row:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        return Row({}, f"row is not JSON: {error}")
    if not isinstance(value, dict):
        return Row({}, f"row must be a JSON object, got {type(value).__name__}")
    return Row(value)


def _read_parquet(path: Path) -> Table:
    pa = _pyarrow()
    from pyarrow import parquet

    try:
        found = parquet.read_table(path)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is not a parquet file: {error}") from error
    return Table(found.column_names, [Row(cells) for cells in found.to_pylist()])


def _write_parquet(path: Path, columns: Sequence[str], rows: Sequence[Cells]) -> None:
    pa = _pyarrow()
    from pyarrow import parquet

    arrays = [_arrow_column([row.get(name) for row in rows]) for name in columns]
    parquet.write_table(pa.table(arrays, names=list(columns)), path)


def _arrow_column(values: list[Any]) -> Any:
    """One typed column; where the values are of several types, their text."""
    pa = _pyarrow()
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else text_cell(value) for value in values])


def _pyarrow() -> ModuleType:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise InputError(
            "parquet needs pyarrow, which is not installed: pip install 'pamt-metric[parquet]', "
            "or write csv or jsonl"
        ) from error
    return pa


def text_cell(value: Any) -> str:
    """A cell as text: an absent value is empty, a list or an object is JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _json(value)


def _ordered(row: Cells, columns: Sequence[str]) -> Cells:
    return {name: row[name] for name in columns if name in row}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
