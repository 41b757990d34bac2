"""Readers of public listening tests, each giving rows of one table.

`load(root)` is what training and the benchmark call; the modules hold one public dataset each.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.datasets import sisec18, source_separation, timbre, voice
from benchmarks.datasets.splits import HELD_OUT, SPLITS, TRAIN, splits
from benchmarks.datasets.table import (
    COLUMNS,
    Reading,
    find_root,
    make_judgements,
    make_table,
    where,
)
from pamt_metric.errors import InputError

__all__ = [
    "COLUMNS",
    "HELD_OUT",
    "READERS",
    "SPLITS",
    "TRAIN",
    "Reading",
    "find_root",
    "load",
    "path_in_repository",
    "read",
    "splits",
]

READERS = {module.NAME: module for module in (timbre, voice, source_separation, sisec18)}

logger = logging.getLogger(__name__)


def load(
    root: Path, *, datasets: Sequence[str] | None = None, split: str | None = None
) -> pd.DataFrame:
    """The table of `read`; what is missing goes to the log."""
    reading = read(root, datasets=datasets, split=split)
    for line in reading.missing:
        logger.warning("%s", line)
    return reading.table


def read(root: Path, *, datasets: Sequence[str] | None = None, split: str | None = None) -> Reading:
    """All rated pairs that are there, with the judgements of single listeners where published.

    Args:
        root: The folder that contains `ratings/`.
        datasets: Names out of `READERS`; all of them if not given.
        split: 'train' or 'held-out'; both if not given.

    Raises:
        InputError: A name is unknown, or a dataset's files contradict each other.
    """
    names = list(READERS) if datasets is None else list(datasets)
    unknown = [name for name in names if name not in READERS]
    if unknown:
        raise InputError(f"unknown dataset {unknown[0]!r}; there are {', '.join(READERS)}")
    if split is not None and split not in SPLITS:
        raise InputError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    parts = [READERS[name].read(root) for name in names]
    missing = [
        f"{name}: {line}" for name, part in zip(names, parts, strict=True) for line in part.missing
    ]
    table = _joined([part.table for part in parts], make_table([]), split)
    judgements = _joined([part.judgements for part in parts], make_judgements([]), split)
    return Reading(table, missing, judgements)


def path_in_repository(path: str, dataset: str, root: Path | None) -> str:
    """A sound's path inside its dataset's public repository; of any other dataset, below `root`.

    Args:
        path: Absolute, or relative to `root` or to the dataset's folder.
        dataset: A name out of `READERS`, or any other.
        root: The data root.
    """
    place = Path(path)
    if root is not None and place.is_relative_to(root):
        place = place.relative_to(root)
    if dataset in READERS:
        folder = READERS[dataset].SOURCES[0].folder
        place = place.relative_to(folder) if place.is_relative_to(folder) else place
    return place.as_posix()


def _joined(tables: list[pd.DataFrame], empty: pd.DataFrame, split: str | None) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    joined = pd.concat(filled, ignore_index=True) if filled else empty
    if split is None:
        return joined
    return where(joined, joined["split"] == split).reset_index(drop=True)
