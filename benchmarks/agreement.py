"""How far a metric agrees with listeners: correlation within each study, then their mean.

Scales differ between studies, so values are never compared across them. The interval is a bootstrap
over the rated pairs of each study. Pairs that share a sound are not independent, so for the studies
that rate all pairs of a few sounds it is narrower than one over sounds would be.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.cache import ValueCache
from benchmarks.datasets.table import records
from benchmarks.metrics import Measurement, Metric, measure
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
    "reason",
)
STUDY_KEYS = ["dataset", "question", "split", "study", "metric"]
DATASET_KEYS = ["dataset", "question", "split", "metric"]
COEFFICIENTS = ("spearman", "pearson", "kendall")
N_RESAMPLES = 1000
# Two-sided 95 % interval.
INTERVAL = (2.5, 97.5)
# Below this no correlation means anything.
MIN_ITEMS = 3


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
        reason=[measurement.reason for measurement in measurements],
    )
    return items[list(ITEM_COLUMNS)].reset_index(drop=True)


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


def by_study(items: pd.DataFrame) -> pd.DataFrame:
    """Spearman, Pearson and Kendall within each study, and on how many pairs; else NaN."""
    rows = [
        dict(zip(STUDY_KEYS, key, strict=True)) | _correlations(study)
        for key, study in items.groupby(STUDY_KEYS, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*STUDY_KEYS, "n_items", "n_undefined", *COEFFICIENTS])


def _correlations(study: pd.DataFrame) -> dict[str, float]:
    defined = study[np.isfinite(study["value"])]
    human, value = defined["human"].to_numpy(), defined["value"].to_numpy()
    counts = {"n_items": len(defined), "n_undefined": len(study) - len(defined)}
    if len(defined) < MIN_ITEMS or np.ptp(human) == 0 or np.ptp(value) == 0:
        return counts | dict.fromkeys(COEFFICIENTS, np.nan)
    return counts | {
        "spearman": float(stats.spearmanr(human, value).statistic),
        "pearson": float(stats.pearsonr(human, value).statistic),
        "kendall": float(stats.kendalltau(human, value).statistic),
    }


def by_dataset(items: pd.DataFrame, *, n_resamples: int = N_RESAMPLES) -> pd.DataFrame:
    """Mean over studies of each coefficient, and the 95 % bootstrap interval of Spearman's."""
    studies = by_study(items)
    rows = []
    for key, group in items.groupby(DATASET_KEYS, sort=False):
        mine = studies[(studies[DATASET_KEYS] == list(key)).all(axis=1)]
        low, high = _interval(group, n_resamples)
        rows.append(
            dict(zip(DATASET_KEYS, key, strict=True))
            | {"n_studies": len(mine)}
            | mine[["n_items", "n_undefined"]].sum().to_dict()
            | mine[list(COEFFICIENTS)].mean(skipna=False).to_dict()
            | {"low": low, "high": high}
        )
    return pd.DataFrame(rows)


def _interval(group: pd.DataFrame, n_resamples: int) -> tuple[float, float]:
    """Interval of the mean over studies when each study's pairs are drawn again."""
    generator = np.random.default_rng(0)
    per_study = []
    for _, study in group.groupby("study", sort=True):
        defined = study[np.isfinite(study["value"])]
        if len(defined) < MIN_ITEMS:
            return np.nan, np.nan
        drawn = generator.integers(len(defined), size=(n_resamples, len(defined)))
        human, value = (defined[column].to_numpy()[drawn] for column in ("human", "value"))
        per_study.append(_spearman_rows(human, value))
    # A draw of one study may be constant (small studies with ties): it drops out of that mean.
    stacked = np.ma.masked_invalid(np.stack(per_study)).mean(axis=0).compressed()
    if not stacked.size:
        return np.nan, np.nan
    return tuple(float(x) for x in np.percentile(stacked, INTERVAL))


def _spearman_rows(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's coefficient of each row, NaN for a constant one."""
    ranks = [stats.rankdata(x, axis=1) for x in (a, b)]
    centred = [x - x.mean(axis=1, keepdims=True) for x in ranks]
    covariance = (centred[0] * centred[1]).sum(axis=1)
    scale = np.sqrt((centred[0] ** 2).sum(axis=1) * (centred[1] ** 2).sum(axis=1))
    return np.divide(covariance, scale, out=np.full_like(scale, np.nan), where=scale > 0)


def write_items(items: pd.DataFrame, path: Path, *, root: Path | None = None) -> None:
    """Writes per-item values; rows of other metrics or splits that are in the file already stay.

    Paths below `root` are written relative to it.
    """
    written = items.copy()
    if root is not None:
        for column in ("reference", "test"):
            written[column] = [_below(value, root) for value in written[column]]
    if path.is_file():
        text = dict.fromkeys(("question", "reason"), str)
        kept = pd.read_csv(path, dtype=text, keep_default_na=False, na_values={"value": [""]})
        replaced = ["dataset", "split", "metric"]
        mine = set(written[replaced].itertuples(index=False, name=None))
        stays = [row not in mine for row in kept[replaced].itertuples(index=False, name=None)]
        written = pd.concat([kept[stays], written], ignore_index=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    written.to_csv(path, index=False, float_format="%.8g", lineterminator="\n")


def _below(path: str, root: Path) -> str:
    return Path(path).relative_to(root).as_posix() if Path(path).is_relative_to(root) else path
