"""CSV files of results that several runs fill, each replacing its own rows only."""

import datetime as dt
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

import pamt_metric
from benchmarks.datasets.table import groups
from benchmarks.metrics import Named, implementation

RUN_COLUMNS = (
    "benchmark",
    "split",
    "metric",
    "implementation",
    "version",
    "pamt_metric",
    "date",
)


def replace_rows(
    table: pd.DataFrame, path: Path, *, keys: Sequence[str], float_format: str = "%.8g"
) -> None:
    """Writes a table; rows already in the file stay, as they are, unless they share its keys."""
    as_text = table.to_csv(index=False, float_format=float_format)
    written = read_text(io.StringIO(as_text))
    if path.is_file():
        mine = {key for key, _ in groups(written, keys)}
        stay = [rows for key, rows in groups(read_text(path), keys) if key not in mine]
        written = pd.concat([*stay, written], ignore_index=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    written.to_csv(path, index=False, lineterminator="\n")


def read_text(source: Path | io.StringIO) -> pd.DataFrame:
    """A CSV file with every cell as text."""
    return pd.read_csv(source, dtype=str, keep_default_na=False)


def read_results(path: Path, numbers: Iterable[str]) -> pd.DataFrame:
    """A CSV file of results: the named columns as numbers, an empty cell as NaN, the rest text."""
    table = read_text(path)
    given = [column for column in numbers if column in table]
    return table.assign(**{column: pd.to_numeric(table[column]) for column in given})


def record_runs(metrics: Iterable[Named], path: Path, *, benchmark: str, split: str = "") -> None:
    """Notes which implementation of each metric was measured, with which package, and when."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    rows = [
        (
            benchmark,
            split,
            metric.name,
            implementation(metric),
            metric.version,
            pamt_metric.__version__,
            today,
        )
        for metric in metrics
    ]
    table = pd.DataFrame(rows, columns=list(RUN_COLUMNS))
    replace_rows(table, path, keys=["benchmark", "split", "metric"])
