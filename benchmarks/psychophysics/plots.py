"""One figure an experiment, in the manner of the original: listeners' points, metrics' lines."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from benchmarks.datasets.table import groups
from benchmarks.psychophysics import human
from benchmarks.psychophysics.experiment import LINEAR, Experiment, Key
from benchmarks.psychophysics.human import HumanPoint

DPI = 90
COLOURS = ("#b5432a", "#e0a100", "#1b6ca8", "#3a7d44", "#7b4fa3", "#5b5b5b", "#12a4a8")
HUMAN_COLOUR = "black"
REMEMBERED_COLOUR = "#999999"
N_COLUMNS = 4
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


def draw(experiment: Experiment, points: pd.DataFrame, metrics: Sequence[str], path: Path) -> None:
    """Draws an experiment.

    Args:
        experiment: Says what the axes are.
        points: Its rows of the table of points.
        metrics: In the order of their colours.
        path: The PNG file.
    """
    listeners = human.read(experiment.id)
    measured = [curve for (curve,), _ in groups(points, ["curve"])]
    curves = list(dict.fromkeys([*measured, *(curve for curve, _ in listeners)]))
    n_columns = min(N_COLUMNS, len(curves))
    n_rows = -(-len(curves) // n_columns)
    size = (3.1 * n_columns + 0.6, 2.6 * n_rows + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    first = None
    for index, curve in enumerate(curves):
        axes = figure.add_subplot(n_rows, n_columns, index + 1, sharey=first)
        first = first or axes
        here = {key: each for key, each in listeners.items() if key[0] == curve}
        _draw_listeners(axes, here, experiment)
        for colour, metric in zip(COLOURS, metrics, strict=False):
            mine = (points["metric"] == metric) & (points["curve"] == curve)
            _draw_metric(axes, points.loc[mine], metric, colour, experiment)
        axes.set_title(curve, fontsize=8)
        if index >= len(curves) - n_columns:
            axes.set_xlabel(experiment.x, fontsize=8)
        if index % n_columns == 0:
            axes.set_ylabel(experiment.y, fontsize=8)
        _finish(axes, experiment)
    figure.suptitle(f"{experiment.title} ({experiment.source})", fontsize=9)
    _legend(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    # The writer's name and version would change the file with every release of matplotlib.
    figure.savefig(path, dpi=DPI, metadata={"Software": None})


def _draw_listeners(axes: Axes, points: Mapping[Key, HumanPoint], experiment: Experiment) -> None:
    for remembered in (False, True):
        chosen = [
            (x, each)
            for (_, x), each in sorted(points.items())
            if (each.confidence == "memory") == remembered
        ]
        if not chosen:
            continue
        values = np.array([each.value for _, each in chosen])
        sd = np.nan_to_num(np.array([each.sd for _, each in chosen]), nan=0.0)
        if experiment.scale is LINEAR:
            below = above = sd
        else:  # the sd is a factor
            below, above = (
                values - values / np.maximum(sd, 1.0),
                values * np.maximum(sd, 1.0) - values,
            )
        axes.errorbar(
            [x for x, _ in chosen],
            values,
            yerr=(below, above),
            fmt="o",
            markersize=3.5,
            linewidth=0.8,
            capsize=2,
            color=REMEMBERED_COLOUR if remembered else HUMAN_COLOUR,
            label="listeners, from memory" if remembered else "listeners",
            zorder=3,
        )


def _draw_metric(
    axes: Axes, points: pd.DataFrame, metric: str, colour: str, experiment: Experiment
) -> None:
    ordered = points.sort_values("x")
    values = ordered["value"].to_numpy(dtype=float)
    if not np.isfinite(values).any():
        return
    if experiment.as_human is not None:
        values = experiment.as_human(values)
    style = {"color": colour, "linewidth": 1.2, "marker": "s", "markersize": 2.5}
    axes.plot(ordered["x"].to_numpy(dtype=float), values, label=metric, **style)


def _finish(axes: Axes, experiment: Experiment) -> None:
    for axis, scale, wanted in (
        (axes.xaxis, axes.set_xscale, experiment.log_x),
        (axes.yaxis, axes.set_yscale, experiment.log_y),
    ):
        if wanted:
            scale("log")
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
            axis.set_major_formatter(PLAIN)
            axis.set_minor_locator(NullLocator())
            axis.set_minor_formatter(NullFormatter())
    axes.tick_params(labelsize=7)
    axes.grid(color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)


def _legend(figure: Figure) -> None:
    """One legend for all panels, below them."""
    named = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if named:
        figure.legend(
            list(named.values()),
            list(named),
            loc="outside lower center",
            ncols=len(named),
            fontsize=7,
            frameon=False,
        )
