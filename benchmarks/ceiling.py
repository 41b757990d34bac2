"""How well listeners agree with each other: the noise ceiling of each study.

From listeners' own ratings, where they are published:

- `split_half`: Spearman's coefficient between the means of two random halves of the listeners,
  averaged over `N_SPLITS` divisions;
- `reliability` of the mean over all of them, by Spearman and Brown: 2 r / (1 + r);
- `one_listener`: Spearman's coefficient of one listener with the mean of the others, averaged.

Where only each pair's standard deviation and number of listeners n are published, the reliability
is 1 - (mean over pairs of sd^2 / (n - 1)) / (variance of the means), and the other two follow from
it by the same formula. That takes listeners' habits on the scale for noise, so is on the low side.

`ceiling` is the square root of the reliability: the correlation that the listeners'
true mean would have with these means. A metric above it has learned the noise.

Source:
    C. Spearman, Correlation calculated from faulty data, and W. Brown, Some experimental results in
    the correlation of mental abilities, British Journal of Psychology 3, 1910.
"""

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.correlation import MIN_ITEMS, spearman_rows
from benchmarks.datasets.table import groups
from benchmarks.resampling import generator_for

CEILING_KEYS = ["dataset", "question", "split", "study"]
COLUMNS = (
    *CEILING_KEYS,
    "n_listeners",
    "basis",
    "split_half",
    "one_listener",
    "reliability",
    "ceiling",
)
OWN_RATINGS = "listeners' own ratings"
SPREAD = "standard deviation and number of listeners"
N_SPLITS = 200


def by_study(table: pd.DataFrame, judgements: pd.DataFrame) -> pd.DataFrame:
    """The noise ceiling of every study that publishes enough, with `COLUMNS`.

    Args:
        table: Rated pairs, with `benchmarks.datasets.table.COLUMNS`.
        judgements: Single listeners' judgements, with `JUDGEMENT_COLUMNS`.
    """
    rated_by = dict(groups(judgements, CEILING_KEYS))
    rows: list[dict[str, Any]] = []
    for key, study in groups(table, CEILING_KEYS):
        if key in rated_by:
            found = _from_ratings(listener_matrix(rated_by[key]), "/".join(key))
        else:
            found = _from_spread(study)
        if found:
            rows.append(dict(zip(CEILING_KEYS, key, strict=True)) | found)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def by_dataset(ceilings: pd.DataFrame) -> pd.DataFrame:
    """Means over the studies whose ceiling is known, and how many those are."""
    keys = ["dataset", "question", "split"]
    figures = ["split_half", "one_listener", "reliability", "ceiling"]
    rows = [
        dict(zip(keys, key, strict=True))
        | {"n_studies": len(part), "basis": "; ".join(sorted(set(part["basis"])))}
        | {figure: float(np.mean(part[figure].to_numpy())) for figure in figures}
        for key, part in groups(ceilings, keys)
    ]
    return pd.DataFrame(rows, columns=[*keys, "n_studies", "basis", *figures])


def listener_matrix(judgements: pd.DataFrame) -> pd.DataFrame:
    """Judgements `(listener, pair)` of one study, NaN where a listener did not hear a pair."""
    return judgements.pivot_table(
        index="rater", columns=["reference", "test"], values="human", aggfunc="mean"
    )


def spearman_brown(reliability: float, factor: float) -> float:
    """Reliability of a mean over `factor` times as many listeners."""
    return factor * reliability / (1.0 + (factor - 1.0) * reliability)


def _from_ratings(ratings: pd.DataFrame, seed_text: str) -> dict[str, Any]:
    given = ratings.to_numpy()
    split_half = _split_half(given, seed_text)
    reliability = max(0.0, spearman_brown(split_half, 2.0))
    return {
        "n_listeners": len(given),
        "basis": OWN_RATINGS,
        "split_half": split_half,
        "one_listener": _one_against_the_others(given),
        "reliability": reliability,
        "ceiling": float(np.sqrt(reliability)),
    }


def _split_half(ratings: np.ndarray, seed_text: str) -> float:
    generator = generator_for(seed_text)
    n_half = len(ratings) // 2
    halves: list[np.ndarray] = []
    for _ in range(N_SPLITS):
        order = generator.permutation(len(ratings))
        halves.append(np.stack([_mean(ratings[order[:n_half]]), _mean(ratings[order[n_half:]])]))
    stacked = np.stack(halves)
    heard = np.isfinite(stacked).all(axis=(1, 2))
    coefficients = spearman_rows(stacked[heard, 0], stacked[heard, 1])
    return float(np.nanmean(coefficients))


def _one_against_the_others(ratings: np.ndarray) -> float:
    coefficients: list[float] = []
    for index, own in enumerate(ratings):
        others = _mean(np.delete(ratings, index, axis=0))
        both = np.isfinite(own) & np.isfinite(others)
        if both.sum() >= MIN_ITEMS:
            coefficients += spearman_rows(own[None, both], others[None, both]).tolist()
    return float(np.nanmean(coefficients))


def _mean(ratings: np.ndarray) -> np.ndarray:
    """Mean over the listeners who heard each pair `(pair,)`, NaN where none did."""
    heard = np.isfinite(ratings)
    n_heard = heard.sum(axis=0)
    total = np.where(heard, ratings, 0.0).sum(axis=0)
    return np.divide(total, n_heard, out=np.full(total.shape, np.nan), where=n_heard > 0)


def _from_spread(study: pd.DataFrame) -> dict[str, Any]:
    raters = study["raters"].to_numpy(dtype=np.float64, na_value=np.nan)
    sd = study["human_sd"].to_numpy()
    human = study["human"].to_numpy()
    if len(human) < MIN_ITEMS or not (np.isfinite(sd) & (raters > 1)).all() or not np.ptp(human):
        return {}
    noise = np.mean(sd**2 / (raters - 1.0))
    reliability = max(0.0, 1.0 - float(noise / np.var(human, ddof=1)))
    n_listeners = float(raters.mean())
    single = spearman_brown(reliability, 1.0 / n_listeners)
    others = spearman_brown(single, n_listeners - 1.0)
    return {
        "n_listeners": round(n_listeners),
        "basis": SPREAD,
        "split_half": spearman_brown(reliability, 0.5),
        "one_listener": float(np.sqrt(single * others)),
        "reliability": reliability,
        "ceiling": float(np.sqrt(reliability)),
    }
