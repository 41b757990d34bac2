"""From per-item values to figures: agreement within each study, then the mean over studies.

Scales differ between studies, so values are never compared across them. Intervals are bootstrap
percentiles: over a study's rated sounds (`benchmarks.resampling` says what is drawn), and over its
listeners where their own ratings are published. The studies themselves are taken as given.
"""

from collections.abc import Hashable

import numpy as np
import pandas as pd

from benchmarks.ceiling import listener_matrix
from benchmarks.correlation import (
    COEFFICIENTS,
    MIN_ITEMS,
    coefficients,
    spearman_rows,
    weighted_spearman,
)
from benchmarks.datasets.table import groups, where
from benchmarks.resampling import (
    N_RESAMPLES,
    interval,
    item_weights,
    listener_weights,
    mean_over_studies,
)

CONDITION_KEYS = ["dataset", "question", "split"]
DATASET_KEYS = [*CONDITION_KEYS, "metric"]
STUDY_KEYS = [*CONDITION_KEYS, "study", "metric"]
LISTENER_COLUMNS = (*DATASET_KEYS, "n_studies", "n_listeners", "spearman", "low", "high")
DIFFERENCE_COLUMNS = (
    *CONDITION_KEYS,
    "metric",
    "baseline",
    "n_items",
    "difference",
    "low",
    "high",
    "p",
)


UNDEFINED = (np.nan, np.nan, np.nan, np.nan)


def by_study(items: pd.DataFrame) -> pd.DataFrame:
    """Spearman, Pearson and Kendall within each study, and on how many pairs; else NaN."""
    rows = []
    for key, study in groups(items, STUDY_KEYS):
        defined = _defined(study)
        human, value = _human_and_value(defined)
        rows.append(
            dict(zip(STUDY_KEYS, key, strict=True))
            | {"n_items": len(defined), "n_undefined": len(study) - len(defined)}
            | coefficients(human, value)
        )
    return pd.DataFrame(rows, columns=[*STUDY_KEYS, "n_items", "n_undefined", *COEFFICIENTS])


def by_dataset(items: pd.DataFrame, *, n_resamples: int = N_RESAMPLES) -> pd.DataFrame:
    """Mean over studies of each coefficient, and the 95 % interval of Spearman's over sounds."""
    rows = []
    for key, group in groups(items, DATASET_KEYS):
        studies = by_study(group)
        low, high = interval(_resampled(group, n_resamples))
        counts = ("n_items", "n_undefined")
        rows.append(
            dict(zip(DATASET_KEYS, key, strict=True))
            | {"n_studies": len(studies)}
            | {count: int(np.sum(studies[count].to_numpy())) for count in counts}
            | {name: float(np.mean(studies[name].to_numpy())) for name in COEFFICIENTS}
            | {"low": low, "high": high}
        )
    columns = [*DATASET_KEYS, "n_studies", "n_items", "n_undefined", *COEFFICIENTS, "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def over_listeners(
    items: pd.DataFrame, judgements: pd.DataFrame, *, n_resamples: int = N_RESAMPLES
) -> pd.DataFrame:
    """Mean Spearman and its 95 % interval when the listeners are drawn again.

    Over those studies alone that publish each listener's ratings; a listener is drawn with all that
    they judged. A pair that no listener of a draw heard makes that draw of its study drop out.

    Args:
        items: Values of one or more metrics.
        judgements: With `JUDGEMENT_COLUMNS`, paths as in `items`.
        n_resamples: Number of draws.
    """
    rated_by = dict(groups(judgements, CONDITION_KEYS))
    rows = []
    for key, group in groups(items, DATASET_KEYS):
        rated = rated_by.get(key[:-1])
        if rated is None:
            continue
        listeners = sorted(set(rated["rater"]))
        draws = listener_weights(len(listeners), n_resamples=n_resamples, seed_text="/".join(key))
        ratings = {study: part for (study,), part in groups(rated, ["study"])}
        parts = [study for study in groups(group, ["study"]) if study[0][0] in ratings]
        resampled = [_redrawn(part, ratings[name], listeners, draws) for (name,), part in parts]
        estimate = [by_study(part)["spearman"].item() for _, part in parts]
        low, high = interval(mean_over_studies(resampled))
        counts = (len(parts), len(listeners))
        rows.append((*key, *counts, float(np.mean(estimate)), low, high))
    return pd.DataFrame(rows, columns=list(LISTENER_COLUMNS))


def differences(
    items: pd.DataFrame, *, metric: str, n_resamples: int = N_RESAMPLES
) -> pd.DataFrame:
    """Mean Spearman of a metric minus each other metric's, on the pairs where both have a value.

    A paired bootstrap: both metrics hear the same resamples. `p` is two-sided, from the share of
    resamples on the other side of zero, and is not corrected for the number of comparisons.
    """
    rows = []
    for key, group in groups(items, CONDITION_KEYS):
        by_metric = {name: _defined(part) for (name,), part in groups(group, ["metric"])}
        own = by_metric.pop(metric, None)
        if own is None:
            continue
        for baseline, other in by_metric.items():
            pairs = own.merge(
                other, on=["study", "reference", "test"], suffixes=("", "_other"), how="inner"
            )
            figures = _difference(pairs, key, n_resamples)
            rows.append((*key, metric, baseline, len(pairs), *figures))
    return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))


def _difference(
    pairs: pd.DataFrame, key: tuple[Hashable, ...], n_resamples: int
) -> tuple[float, float, float, float]:
    estimates, resampled = [], []
    for (study,), part in groups(pairs, ["study"]):
        if len(part) < MIN_ITEMS:
            return UNDEFINED
        human = part["human"].to_numpy()
        values = [part[column].to_numpy() for column in ("value", "value_other")]
        own, other = (coefficients(human, value)["spearman"] for value in values)
        estimates.append(own - other)
        weights = _weights(part, (*key, study), n_resamples)
        own, other = (weighted_spearman(human, value, weights) for value in values)
        resampled.append(own - other)
    if not resampled or not np.isfinite(estimates).all():
        return UNDEFINED
    drawn = mean_over_studies(resampled)
    drawn = drawn[np.isfinite(drawn)]
    # One more resample, the estimate itself, on either side: p is never 0.
    beyond = min(np.sum(drawn <= 0.0), np.sum(drawn >= 0.0)) + 1
    p = min(1.0, 2.0 * float(beyond) / (len(drawn) + 1))
    low, high = interval(drawn)
    return float(np.mean(estimates)), low, high, p


def _resampled(group: pd.DataFrame, n_resamples: int) -> np.ndarray:
    """Mean over studies of Spearman's coefficient in each resample `(resample,)`."""
    per_study = []
    for key, study in groups(group, [*CONDITION_KEYS, "study"]):
        defined = _defined(study)
        if len(defined) < MIN_ITEMS:
            return np.full(n_resamples, np.nan)
        weights = _weights(defined, key, n_resamples)
        per_study.append(weighted_spearman(*_human_and_value(defined), weights))
    return mean_over_studies(per_study)


def _weights(study: pd.DataFrame, key: tuple[Hashable, ...], n_resamples: int) -> np.ndarray:
    references, tests = (study[column].tolist() for column in ("reference", "test"))
    seed_text = "/".join(str(part) for part in key)
    return item_weights(references, tests, n_resamples=n_resamples, seed_text=seed_text)


def _redrawn(
    study: pd.DataFrame, judgements: pd.DataFrame, listeners: list[str], draws: np.ndarray
) -> np.ndarray:
    """Spearman of a study's values with the mean of each draw of listeners `(resample,)`."""
    defined = _defined(study)
    pairs = pd.MultiIndex.from_arrays(
        [defined["reference"], defined["test"]], names=["reference", "test"]
    )
    given = listener_matrix(judgements).reindex(index=listeners, columns=pairs).to_numpy()
    heard = np.isfinite(given)
    n_heard = draws @ heard.astype(np.float64)
    total = draws @ np.where(heard, given, 0.0)
    human = np.divide(total, n_heard, out=np.zeros_like(total), where=n_heard > 0)
    value = np.broadcast_to(defined["value"].to_numpy(), human.shape)
    return np.where((n_heard > 0).all(axis=1), spearman_rows(human, value), np.nan)


def _defined(study: pd.DataFrame) -> pd.DataFrame:
    """The pairs that have a value."""
    return where(study, np.isfinite(study["value"].to_numpy(dtype=np.float64)))


def _human_and_value(study: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return study["human"].to_numpy(dtype=np.float64), study["value"].to_numpy(dtype=np.float64)
