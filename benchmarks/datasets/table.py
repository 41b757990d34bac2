"""The one table that every reader fills, and where its files are looked for."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pamt_metric.errors import InputError

DATA_VARIABLE = "PAMT_DATA"

# dataset    which reader it came from
# study      what shares one scale of ratings: correlate within it, never across
# group      what may not be divided between train and held out, nor between two folds
# question   what the listeners were asked, where a study asked more than one thing, else ""
# reference  path of the reference, or of the pair's first sound where neither is a reference
# test       path of the other sound
# human      mean judgement as a distance, larger = more different; the unit is the study's own
# raters     number of judgements behind it, missing where the study does not say
# split      "train" or "held-out"
COLUMNS = (
    "dataset",
    "study",
    "group",
    "question",
    "reference",
    "test",
    "human",
    "raters",
    "split",
)


@dataclass(frozen=True)
class Reading:
    """What a reader found: its rows, and one line about each thing that is not there."""

    table: pd.DataFrame
    missing: list[str] = field(default_factory=list)


def make_table(rows: list[dict[str, object]]) -> pd.DataFrame:
    """A table of `COLUMNS` from rows, also when there are none."""
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({"human": "float64", "raters": "Int64"})


# pandas is largely untyped: these two say once what its loops give.
def records(table: Any) -> list[dict[str, Any]]:
    """The rows of a table as dictionaries."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]


def groups(table: Any, keys: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Each combination of the key columns' values in order of appearance, and its rows."""
    yield from table.groupby(list(keys), sort=False)


def find_root(data: str | os.PathLike[str] | None = None) -> Path:
    """The folder that contains `ratings/` and `music/`: the argument, else `PAMT_DATA`.

    Raises:
        InputError: Neither is given, or the folder is not there.
    """
    given = data or os.environ.get(DATA_VARIABLE)
    if not given:
        raise InputError(
            f"no data folder: give --data ROOT or set {DATA_VARIABLE} to the folder that contains "
            "ratings/ and music/ (benchmarks/README.md says how to get the data)"
        )
    root = Path(given).expanduser().resolve()
    if not root.is_dir():
        raise InputError(f"the data folder {root} does not exist")
    return root
