"""Values of a metric on rated pairs, measured once and kept, and the file that holds them.

benchmarks/summary.py turns that file into figures.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from benchmarks.cache import ValueCache
from benchmarks.datasets import path_in_repository
from benchmarks.datasets.table import records
from benchmarks.metrics import Measurement, Metric, measure
from benchmarks.results_file import replace_rows
from benchmarks.waveforms import read_pair
from pamt_metric.errors import InputError

ITEM_COLUMNS = (
    "dataset",
    "study",
    "question",
    "reference",
    "test",
    "split",
    "human",
    "metric",
    "value",
    "origin",
    "reason",
)
# `origin` of a value that was measured here; of one that a model gave to pairs which it was not
# trained on (`benchmarks.out_of_fold`).
MEASURED = ""
CROSS_VALIDATED = "cross-validated"
# A run replaces the rows of the file that have these in common with it.
REPLACED_KEYS = ["dataset", "split", "metric"]


def values(
    table: pd.DataFrame,
    metric: Metric,
    *,
    cache: ValueCache | None = None,
    on_item: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """The metric's value of every pair of a table, in the table's order.

    Args:
        table: As `benchmarks.datasets.load` gives it.
        metric: The contestant.
        cache: Where values are looked up first and kept.
        on_item: Called once after each pair, to show progress.
    """
    measurements = []
    for pair in records(table):
        measurements.append(_measure_files(pair["reference"], pair["test"], metric, cache))
        on_item()
    items = table.assign(
        metric=metric.name,
        value=[measurement.value for measurement in measurements],
        origin=MEASURED,
        reason=[measurement.reason for measurement in measurements],
    )
    return pd.DataFrame(items, columns=list(ITEM_COLUMNS)).reset_index(drop=True)


def _measure_files(
    reference: str, test: str, metric: Metric, cache: ValueCache | None
) -> Measurement:
    key = (reference, test, metric.name, metric.version)
    known = cache.get(*key) if cache else None
    if known is not None:
        return known
    try:
        pair = read_pair(reference, test)
    except InputError as error:
        return Measurement(float("nan"), str(error))
    measurement = measure(metric, *pair)
    if cache:
        cache.put(*key, measurement)
    return measurement


def write_items(items: pd.DataFrame, path: Path, *, root: Path | None = None) -> None:
    """Writes per-item values; rows of other metrics or splits that are in the file already stay.

    Seven digits keep all of a float32.

    Args:
        items: With `ITEM_COLUMNS`.
        path: The CSV file.
        root: The data root, for `repository_paths`.
    """
    written = repository_paths(items, root)
    replace_rows(written, path, keys=REPLACED_KEYS, float_format="%.7g")


def repository_paths(pairs: pd.DataFrame, root: Path | None) -> pd.DataFrame:
    """The same pairs with both paths as `benchmarks.datasets.path_in_repository` gives them."""
    rows = records(pairs[["dataset", "reference", "test"]])
    return pairs.assign(
        **{
            column: [path_in_repository(row[column], row["dataset"], root) for row in rows]
            for column in ("reference", "test")
        }
    )
