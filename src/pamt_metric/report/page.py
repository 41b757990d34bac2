"""From scores and views to one page that needs nothing else.

Every name that comes from a table is escaped by the template, or lies in a JSON block that the
browser does not run. The page's policy allows no script but its own, by hash, and no connection.
"""

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from pamt_metric.batch import summary, table
from pamt_metric.batch.result import COLUMNS
from pamt_metric.pictures import colors
from pamt_metric.pictures.maps import FREQUENCY_TICKS, band_of
from pamt_metric.report.histogram import histogram
from pamt_metric.report.source import Entry, Scores

SCRIPTS = ("player.js", "maps.js", "view.js", "table.js", "main.js")
"""In the order in which they run; each may use what those before it define."""
NUMBERS = ("distance", "fidelity", "content", "p_audible")
"""Columns that the page shows with the same digits in each row."""


@dataclass(frozen=True)
class Cell:
    """One cell: its text, and what it is sorted by."""

    text: str
    sort_by: str


@dataclass(frozen=True)
class Line:
    """One row of the table. Why `view_missing`: a pair that was to have a view has none."""

    entry: Entry
    cells: list[Cell]
    has_view: bool
    view_missing: str


def render(
    scores: Scores,
    views: Sequence[Mapping[str, Any]],
    missing: Mapping[int, str],
    *,
    about: Mapping[str, str],
) -> str:
    """The page as HTML.

    Args:
        scores: the table.
        views: what the page knows of the pairs that have a view, by `pair_view`.
        missing: why other chosen pairs have no view, by number.
        about: what the values depend on, to be listed.
    """
    columns = _columns(scores)
    shown = {view["number"] for view in views}
    lines = [
        Line(entry, _cells(entry, columns), entry.number in shown, missing.get(entry.number, ""))
        for entry in sorted(scores.entries, key=_most_different_first)
    ]
    style, scripts = _asset("report.css"), [_asset(name) for name in SCRIPTS]
    distances = sorted(x.result.distance for x in scores.entries if x.result.distance is not None)
    return _template().render(
        title=scores.path.name,
        policy=_policy(style, scripts),
        style=style,
        scripts=scripts,
        columns=columns,
        numeric={name: _is_numeric(lines, index) for index, name in enumerate(columns)},
        lines=lines,
        views=views,
        n_missing=len(missing),
        summary=summary.lines([entry.result for entry in scores.entries]),
        histogram=histogram(distances) if distances else None,
        about=about,
        settings={
            "frequencies": {label: band_of(hz) for hz, label in FREQUENCY_TICKS.items()},
            "base": colors.BASE,
            "more_in_test": colors.MORE_IN_TEST,
            "neither": colors.NEITHER,
            "more_in_reference": colors.MORE_IN_REFERENCE,
            "ramp": colors.LEVEL_RAMP,
        },
    )


def _columns(scores: Scores) -> list[str]:
    """Columns that the page shows besides the two names: numbers first, reasons last."""
    own = {"reference", "test", *COLUMNS}
    others = [name for name in scores.columns if name not in own]
    reasons = ["reason"] if any(entry.result.reason for entry in scores.entries) else []
    return [*NUMBERS, *others, *reasons]


def _cells(entry: Entry, columns: Sequence[str]) -> list[Cell]:
    return [_cell(entry, name) for name in columns]


def _cell(entry: Entry, name: str) -> Cell:
    if name in NUMBERS:
        value = getattr(entry.result, name)
        return Cell("" if value is None else f"{value:.3f}", "" if value is None else repr(value))
    text = entry.result.reason if name == "reason" else table.text_cell(entry.cells.get(name))
    return Cell(text, text)


def _is_numeric(lines: Sequence[Line], index: int) -> bool:
    texts = [line.cells[index].sort_by for line in lines]
    return all(_is_number(text) for text in texts if text)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _most_different_first(entry: Entry) -> float:
    distance = entry.result.distance
    return math.inf if distance is None else -distance


def _policy(style: str, scripts: Sequence[str]) -> str:
    """The page's own script and style, and nothing from anywhere else."""
    hashes = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def _asset(name: str) -> str:
    return resources.files("pamt_metric.report").joinpath("assets", name).read_text("utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_asset("page.html"))
