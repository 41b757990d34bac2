"""A listening test of your own, from a CSV file.

One row a pair, a header with at least `reference`, `test` and `human` (larger = more different);
`dataset`, `study`, `group`, `question`, `raters`, `human_sd` and `split` may be left out. Relative
paths start at the CSV's folder. benchmarks/README.md has an example.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.datasets.splits import HELD_OUT, SPLITS
from benchmarks.datasets.table import COLUMNS, Reading, make_table, records
from pamt_metric.errors import InputError

REQUIRED = ("reference", "test", "human")


def read(path: Path) -> Reading:
    """Reads a CSV file; a pair whose audio is absent is left out and named.

    Raises:
        InputError: The file is not there, a column is missing or unknown, or a value is unusable.
    """
    if not path.is_file():
        raise InputError(f"the listening test {path} does not exist")
    given = pd.read_csv(path, dtype={"study": str, "group": str, "question": str})
    _check_columns(given, path)
    human = np.asarray(pd.to_numeric(given["human"], errors="coerce"), dtype=np.float64)
    if not np.isfinite(human).all():
        line = int(np.flatnonzero(~np.isfinite(human))[0]) + 2
        raise InputError(f"{path}, line {line}: human must be a finite number")
    given = given.assign(human=human)
    for column, default in _defaults(path).items():
        values = given[column] if column in given else pd.Series(np.nan, given.index, dtype=object)
        given[column] = values.where(values.notna(), default)
    given["group"] = given["group"].where(given["group"] != "", given["study"])
    unknown = sorted(set(given["split"]) - set(SPLITS))
    if unknown:
        raise InputError(f"{path}: split must be one of {list(SPLITS)}, got {unknown}")
    return _resolve(given, path.resolve().parent)


def _check_columns(given: pd.DataFrame, path: Path) -> None:
    lacking = [column for column in REQUIRED if column not in given]
    unknown = [column for column in given if column not in COLUMNS]
    if lacking or unknown:
        raise InputError(
            f"{path}: expected the columns {list(REQUIRED)} and any of {list(COLUMNS)}; "
            f"lacking {lacking}, unknown {unknown}"
        )


def _defaults(path: Path) -> dict[str, object]:
    return {
        "dataset": path.stem,
        "study": path.stem,
        "group": "",
        "question": "",
        "raters": pd.NA,
        "human_sd": np.nan,
        "split": HELD_OUT,
    }


def _resolve(given: pd.DataFrame, folder: Path) -> Reading:
    rows: list[dict[str, object]] = []
    missing: dict[str, None] = {}
    for row in records(given):
        row["reference"], row["test"] = (str(folder / row[x]) for x in ("reference", "test"))
        absent = [row[x] for x in ("reference", "test") if not Path(row[x]).is_file()]
        missing.update(dict.fromkeys(f"{sound} is absent" for sound in absent))
        if not absent:
            rows.append(row)
    return Reading(make_table(rows), list(missing))
