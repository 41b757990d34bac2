"""Out-of-fold values of a trained metric: what it says of pairs whose group it never heard.

A model that was trained on the train split has no other result there. Whoever trained it writes a
CSV file with one row a pair and metric, `COLUMNS`: paths as in `results/agreement.csv`, or below
the data root, or absolute; `split` is `train`. `python -m benchmarks crossval FILE` adds the rows
to the results.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.agreement import CROSS_VALIDATED, ITEM_COLUMNS, repository_paths
from benchmarks.datasets import TRAIN
from benchmarks.datasets.table import groups, where
from benchmarks.results_file import read_results
from pamt_metric.errors import InputError

PAIR_KEYS = ["dataset", "study", "question", "reference", "test"]
COLUMNS = (*PAIR_KEYS, "metric", "value", "split")
LACKING = "no out-of-fold value"


@dataclass
class Source:
    """What `results/runs.csv` says of a metric whose values come from a file.

    Attributes:
        name: The metric.
        version: Hash of the file.
    """

    name: str
    version: str
    implementation: str = "models of cross-validation"


def read(path: Path, table: pd.DataFrame, *, root: Path) -> pd.DataFrame:
    """The values of every metric in the file, with the listeners' judgements and `ITEM_COLUMNS`.

    Of each dataset and question that a metric has values of, every rated pair gets a row: one that
    the file leaves out has no value, and a reason.

    Args:
        path: The CSV file.
        table: The rated pairs of the train split, as `benchmarks.datasets.read` gives them.
        root: The data root.

    Raises:
        InputError: The file is not there, lacks a column, holds another split or a pair that is
            not rated, gives a pair two values, or a value is no number.
    """
    given = repository_paths(_read_columns(path), root)
    rated = repository_paths(table, root)
    _check_pairs(given, rated, path)
    parts = []
    for (metric, dataset, question), values in groups(given, ["metric", "dataset", "question"]):
        asked = (rated["dataset"] == dataset) & (rated["question"] == question)
        found = where(rated, asked).merge(values[[*PAIR_KEYS, "value"]], on=PAIR_KEYS, how="left")
        value = found["value"].to_numpy(dtype=np.float64)
        reason = np.where(np.isfinite(value), "", LACKING)
        names = {"metric": metric, "origin": CROSS_VALIDATED}
        parts.append(where(table, asked).assign(value=value, reason=reason, **names))
    return pd.DataFrame(pd.concat(parts), columns=list(ITEM_COLUMNS)).reset_index(drop=True)


def _read_columns(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"the out-of-fold values {path} do not exist")
    try:
        given = read_results(path, ["value"])
    except ValueError as error:
        raise InputError(f"{path}: value must be a number: {error}") from None
    lacking = [column for column in COLUMNS if column not in given]
    if lacking or given.empty:
        raise InputError(f"{path}: expected rows with the columns {list(COLUMNS)}, lacks {lacking}")
    others = sorted(set(given["split"]) - {TRAIN})
    if others:
        raise InputError(f"{path}: out-of-fold values are of the split {TRAIN!r}, got {others}")
    return given


def _check_pairs(given: pd.DataFrame, rated: pd.DataFrame, path: Path) -> None:
    known = {key for key, _ in groups(rated, PAIR_KEYS)}
    for (metric, *pair), rows in groups(given, ["metric", *PAIR_KEYS]):
        if tuple(pair) not in known:
            raise InputError(f"{path}: no rated pair of the train split: {', '.join(pair)}")
        if len(rows) > 1:
            raise InputError(f"{path}: {metric} has {len(rows)} values of {', '.join(pair)}")
