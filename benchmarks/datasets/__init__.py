"""Readers of public listening tests, each giving rows of one table.

`load(root)` is what training and the benchmark call; the modules hold one public dataset each.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.datasets import sisec18, source_separation, timbre, voice
from benchmarks.datasets.splits import HELD_OUT, SPLITS, TRAIN, splits
from benchmarks.datasets.table import COLUMNS, Reading, find_root, make_table
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
    "splits",
]

READERS = {module.NAME: module for module in (timbre, voice, source_separation, sisec18)}

logger = logging.getLogger(__name__)


def load(
    root: Path, *, datasets: Sequence[str] | None = None, split: str | None = None
) -> pd.DataFrame:
    """All rated pairs that are there, as one table with the columns of `COLUMNS`.

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
    tables = [make_table([])]
    for name in names:
        reading = READERS[name].read(root)
        for line in reading.missing:
            logger.warning("%s: %s", name, line)
        tables.append(reading.table)
    table = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    return table if split is None else table.query("split == @split").reset_index(drop=True)
