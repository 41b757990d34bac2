"""The one table that every reader fills, and where its files are looked for."""

import os
from collections.abc import Iterable, Iterator, Sequence
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
# human_sd   their standard deviation (divided by raters, not raters - 1), missing likewise
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
    "human_sd",
    "split",
)
# One row a judgement, where a study publishes them: `rater` is a listener's name in the dataset,
# `human` what that listener said, on the scale of the table's `human`.
JUDGEMENT_COLUMNS = (
    "dataset",
    "study",
    "question",
    "reference",
    "test",
    "split",
    "rater",
    "human",
)


@dataclass(frozen=True)
class Reading:
    """What a reader found.

    Attributes:
        table: One row a rated pair, with `COLUMNS`.
        missing: One line about each thing that is not there.
        judgements: One row a judgement of one listener, with `JUDGEMENT_COLUMNS`; empty where none
            are published.
    """

    table: pd.DataFrame
    missing: list[str] = field(default_factory=list)
    judgements: pd.DataFrame = field(default_factory=lambda: make_judgements([]))


def make_table(rows: list[dict[str, object]]) -> pd.DataFrame:
    """A table of `COLUMNS` from rows, also when there are none."""
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({"human": "float64", "raters": "Int64", "human_sd": "float64"})


def make_judgements(rows: list[dict[str, object]]) -> pd.DataFrame:
    """A table of `JUDGEMENT_COLUMNS` from rows, also when there are none."""
    return pd.DataFrame(rows, columns=list(JUDGEMENT_COLUMNS)).astype({"human": "float64"})


def judgements_of(
    pair: dict[str, object], raters: Iterable[object], human: Iterable[float]
) -> list[dict[str, object]]:
    """One row for each listener's judgement of a pair, itself a row of `COLUMNS`."""
    common = {key: pair[key] for key in JUDGEMENT_COLUMNS if key in pair and key != "human"}
    said = zip(raters, human, strict=True)
    return [common | {"rater": str(rater), "human": float(value)} for rater, value in said]


# pandas is largely untyped: these say once what they give.
def records(table: Any) -> list[dict[str, Any]]:
    """The rows of a table as dictionaries."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]


def groups(table: Any, keys: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Each combination of the key columns' values in order of appearance, and its rows."""
    yield from table.groupby(list(keys), sort=False)


def where(table: Any, mask: Any) -> pd.DataFrame:
    """The rows of a table where a mask is true."""
    return table.loc[mask]


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
