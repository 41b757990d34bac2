"""How far a metric agrees with listeners: correlation within each study, then their mean.

Scales differ between studies, so values are never compared across them. The interval is a bootstrap
over the rated pairs of each study. Pairs that share a sound are not independent, so for the studies
that rate all pairs of a few sounds it is narrower than one over sounds would be.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.cache import ValueCache
from benchmarks.datasets.table import groups, records
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
# A run replaces the rows of the file that have these in common with it.
REPLACED_KEYS = ["dataset", "split", "metric"]
COEFFICIENTS = {
    "spearman": stats.spearmanr,
    "pearson": stats.pearsonr,
    "kendall": stats.kendalltau,
}
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


def by_study(items: pd.DataFrame) -> pd.DataFrame:
    """Spearman, Pearson and Kendall within each study, and on how many pairs; else NaN."""
    rows = [
        dict(zip(STUDY_KEYS, key, strict=True)) | _correlations(study)
        for key, study in groups(items, STUDY_KEYS)
    ]
    return pd.DataFrame(rows, columns=[*STUDY_KEYS, "n_items", "n_undefined", *COEFFICIENTS])


def _defined(study: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Human judgements and values of the pairs that have a value."""
    human, value = (np.asarray(study[column], dtype=np.float64) for column in ("human", "value"))
    finite = np.isfinite(value)
    return human[finite], value[finite]


def _correlations(study: pd.DataFrame) -> dict[str, float]:
    human, value = _defined(study)
    counts = {"n_items": len(value), "n_undefined": len(study) - len(value)}
    if len(value) < MIN_ITEMS or np.ptp(human) == 0 or np.ptp(value) == 0:
        return counts | dict.fromkeys(COEFFICIENTS, np.nan)
    results: dict[str, Any] = {name: call(human, value) for name, call in COEFFICIENTS.items()}
    return counts | {name: float(result.statistic) for name, result in results.items()}


def by_dataset(items: pd.DataFrame, *, n_resamples: int = N_RESAMPLES) -> pd.DataFrame:
    """Mean over studies of each coefficient, and the 95 % bootstrap interval of Spearman's."""
    rows = []
    for key, group in groups(items, DATASET_KEYS):
        studies = by_study(group)
        low, high = _interval(group, n_resamples)
        rows.append(
            dict(zip(DATASET_KEYS, key, strict=True))
            | {"n_studies": len(studies)}
            | {
                count: int(np.sum(studies[count].to_numpy()))
                for count in ("n_items", "n_undefined")
            }
            | {name: float(np.mean(studies[name].to_numpy())) for name in COEFFICIENTS}
            | {"low": low, "high": high}
        )
    return pd.DataFrame(rows)


def _interval(group: pd.DataFrame, n_resamples: int) -> tuple[float, float]:
    """Interval of the mean over studies when each study's pairs are drawn again."""
    generator = np.random.default_rng(0)
    per_study = []
    for _, study in groups(group, ["study"]):
        human, value = _defined(study)
        if len(value) < MIN_ITEMS:
            return np.nan, np.nan
        drawn = generator.integers(len(value), size=(n_resamples, len(value)))
        per_study.append(_spearman_rows(human[drawn], value[drawn]))
    # A draw of one study may be constant (small studies with ties): it drops out of that mean.
    stacked = np.ma.masked_invalid(np.stack(per_study)).mean(axis=0).compressed()
    if not stacked.size:
        return np.nan, np.nan
    low, high = np.percentile(stacked, INTERVAL)
    return float(low), float(high)


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
        kept = pd.read_csv(path, keep_default_na=False, na_values={"value": [""]})
        mine = {key for key, _ in groups(written, REPLACED_KEYS)}
        stay = [rows for key, rows in groups(kept, REPLACED_KEYS) if key not in mine]
        written = pd.concat([*stay, written], ignore_index=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    written.to_csv(path, index=False, float_format="%.8g", lineterminator="\n")


def _below(path: str, root: Path) -> str:
    return Path(path).relative_to(root).as_posix() if Path(path).is_relative_to(root) else path
