"""The report's section on speed, from `speed.csv` alone, targets beside the figures."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.datasets.table import groups, records
from benchmarks.markdown import table as _markdown
from benchmarks.results_file import read_results

NUMBERS = ("audio_s", "value", "ours_over_it", "load")


class Target(NamedTuple):
    """What a figure should be at most.

    Attributes:
        what: The figure, for a reader.
        part: Which row it stands in: its part, name, length of audio and unit.
        name: See `part`.
        audio_s: See `part`.
        column: `value`, or `ours_over_it`, our time over that of the row.
        at_most: In the unit of the row.
    """

    what: str
    part: str
    name: str
    audio_s: float
    column: str
    at_most: float


TARGETS = (
    Target("one 10 s pair, over Zimtohrli's time", "pair", "zimtohrli", 10, "ours_over_it", 1.0),
    Target("one 10 s pair, over ViSQOL's time", "pair", "visqol", 10, "ours_over_it", 0.25),
    Target(
        "all pairs of 100 clips, over Zimtohrli's time",
        "matrix",
        "all pairs of 100, zimtohrli",
        10,
        "ours_over_it",
        0.05,
    ),
    Target("import, s", "start-up", "import pamt_metric, beyond torch", 0, "value", 0.3),
    Target("pamt score, s", "start-up", "pamt score, beyond import torch", 10, "value", 2.0),
    Target(
        "ear and head beside MERT-95M, %",
        "cost",
        "pamt, MERT-95M: ear and head beside the encoder",
        10,
        "value",
        10.0,
    ),
    Target(
        "pamt score of two 1 h files, peak MiB", "memory", "pamt score, peak", 3600, "value", 1536
    ),
)


def section(results: Path) -> Iterable[str]:
    """Its paragraphs."""
    yield "## Speed"
    path = results / "speed.csv"
    if not path.is_file():
        yield "Not measured: `python -m benchmarks speed` does."
        return
    rows = read_results(path, NUMBERS)
    loads = rows["load"]
    yield (
        f"Medians; contestants took turns on the same stereo music at 48 kHz. Other work ran too: "
        f"load average {loads.min():.1f} to {loads.max():.1f}. *Ours over it*: time of "
        "`pamt` over that of the row, median of the ratios within a round."
    )
    yield _targets(rows)
    for (_,), part in groups(rows, ["part"]):
        yield _markdown(
            (str(part["part"].iloc[0]), "audio, s", "", "unit", "ours over it", "note"),
            [_cells(row) for row in records(part)],
        )


def _targets(rows: pd.DataFrame) -> str:
    found = {(row["part"], row["name"], row["audio_s"]): row for row in records(rows)}
    lines = []
    for target in TARGETS:
        row = found.get((target.part, target.name, target.audio_s))
        value = np.nan if row is None else row[target.column]
        verdict = (
            "not measured" if np.isnan(value) else "met" if value <= target.at_most else "missed"
        )
        lines.append((target.what, _number(value), f"{target.at_most:g}", verdict))
    return _markdown(("target", "measured", "at most", ""), lines)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    length = f"{row['audio_s']:g}" if row["audio_s"] else ""
    numbers = _number(row["value"]), row["unit"], _number(row["ours_over_it"])
    return (row["name"], length, *numbers, row["note"])


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3g}"
