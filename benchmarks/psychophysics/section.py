"""What the report says of the psychophysics suite, from its result files alone."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import markdown
from benchmarks.datasets.table import groups, records
from benchmarks.psychophysics import plots
from benchmarks.psychophysics.experiments import EXPERIMENTS
from benchmarks.psychophysics.suite import (
    FAILED,
    FILE_NAME,
    HELD,
    NOT_APPLICABLE,
    POINTS_NAME,
    SIGMA,
    TIERS,
    counts,
)
from benchmarks.results_file import read_results

PLOTS_FOLDER = "plots"
OURS = "pamt"
MEANING = {
    "ordering": "Of two changes, the one that listeners hear better is farther",
    "threshold": "Within two of the listeners' standard deviations",
    "shape": "A number that describes a whole curve lies where listeners' does",
}


def section(results: Path, output: Path) -> Iterable[str]:
    """The parts of the section; draws its figures beside the results."""
    yield "## Psychophysics"
    path = results / FILE_NAME
    if not path.is_file():
        yield "Not measured: `python -m benchmarks psychophysics` does."
        return
    table = read_results(path, ("value", "human", "sd", "z"))
    metrics = sorted(set(table["metric"]), key=lambda name: (not name.startswith(OURS), name))
    yield (
        "Published listening experiments with the metric as the listener (an adaptive odd-one-out "
        "task; see README.md). Each metric has one internal noise, fitted on one intensity JND "
        "and frozen. Held of those that apply; in brackets how many do not apply."
    )
    yield _totals(table, metrics)
    for tier in TIERS:
        part = table.loc[table["tier"] == tier]
        if len(part):
            yield f"### {tier.capitalize()}s\n\n{MEANING[tier]}."
            yield _by_experiment(part, metrics)
    shapes = table.loc[table["tier"] == "shape"]
    if len(shapes):
        yield _shapes(shapes, metrics)
    for figure in draw(results):
        experiment = EXPERIMENTS[figure.stem.removeprefix("psychophysics-")]
        yield markdown.image(figure, output, f"{experiment.id}: {experiment.title}")


def draw(results: Path) -> list[Path]:
    """Draws every experiment of which there are points; returns the files."""
    path = results / POINTS_NAME
    if not path.is_file():
        return []
    points = read_results(path, ("x", "value"))
    # The ear before the whole metric, so that it keeps its colour where only it was measured.
    metrics = sorted(set(points["metric"]), key=lambda name: (not name.startswith(OURS), name))
    drawn = []
    for (name,), part in sorted(groups(points, ["experiment"]), key=lambda each: each[0]):
        if name == SIGMA or not np.isfinite(part["value"].to_numpy()).any():
            continue
        figure = results / PLOTS_FOLDER / f"psychophysics-{name}.png"
        plots.draw(EXPERIMENTS[name], part, metrics, figure)
        drawn.append(figure)
    return drawn


def share(part: pd.DataFrame) -> str:
    """`12 of 15 (3)`: held, of those that apply, and how many do not apply."""
    status = part["status"].tolist()
    held, failed, unable = (status.count(name) for name in (HELD, FAILED, NOT_APPLICABLE))
    if not held + failed:
        return f"- ({unable})" if unable else ""
    return f"{held} of {held + failed}" + (f" ({unable})" if unable else "")


def _totals(table: pd.DataFrame, metrics: Sequence[str]) -> str:
    known = {(row["metric"], row["tier"]): row for row in records(counts(table))}
    rows = []
    for metric in metrics:
        cells = []
        for tier in TIERS:
            row = known.get((metric, tier))
            if row is None:
                cells.append("")
                continue
            applied = row[HELD] + row[FAILED]
            percent = f" {100.0 * row[HELD] / applied:.0f} %" if applied else ""
            unable = f" ({row[NOT_APPLICABLE]})" if row[NOT_APPLICABLE] else ""
            cells.append(f"{row[HELD]} of {applied}{percent}{unable}")
        rows.append((metric, *cells))
    return markdown.table(("metric", *(f"{tier}s" for tier in TIERS)), rows)


def _by_experiment(part: pd.DataFrame, metrics: Sequence[str]) -> str:
    rows = []
    for name in sorted(set(part["experiment"])):
        here = part.loc[part["experiment"] == name]
        cells = [share(here.loc[here["metric"] == metric]) for metric in metrics]
        rows.append((f"{name}: {EXPERIMENTS[name].title}", *cells))
    return markdown.table(("experiment", *metrics), rows)


def _shapes(part: pd.DataFrame, metrics: Sequence[str]) -> str:
    rows = []
    for (experiment, condition, rule), here in groups(part, ["experiment", "condition", "rule"]):
        found = {row["metric"]: row for row in records(here)}
        cells = [_shape_cell(found.get(metric)) for metric in metrics]
        rows.append((experiment, condition, rule, *cells))
    return markdown.table(("", "shape", "listeners", *metrics), rows)


def _shape_cell(row: dict | None) -> str:
    if row is None:
        return ""
    if row["status"] == NOT_APPLICABLE:
        return "not applicable"
    if pd.isna(row["value"]):
        return "failed: points missing"
    return f"{row['value']:.3g}" + ("" if row["status"] == HELD else " *failed*")
