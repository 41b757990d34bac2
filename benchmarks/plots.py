"""The report's figures. Files depend on the results alone: no date, no version is written in."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.datasets.table import groups, records

DPI = 130
OURS_COLOUR = "#b5432a"
OTHERS_COLOUR = "#6b8cae"
STUDY_COLOURS = ("#1b6ca8", "#d1495b", "#3a7d44", "#e0a100", "#7b4fa3", "#5b5b5b", "#12a4a8")
N_COLUMNS = 3
TITLES = {
    "timbre": "Instrument timbre",
    "voice": "Singing technique",
    "source_separation": "Separated vocals",
    "sisec18": "Separated vocals 2018",
}
# Beyond this many studies a legend hides more than it tells.
MAX_LEGEND = 8


def agreement_bars(summary: pd.DataFrame, ceilings: pd.DataFrame, path: Path, *, ours: str) -> None:
    """Mean Spearman of every metric with its interval, one panel a dataset and question.

    Args:
        summary: As `benchmarks.summary.by_dataset` gives it, of one split.
        ceilings: As `benchmarks.ceiling.by_dataset` gives it, of the same split.
        path: The PNG file.
        ours: Metrics whose name starts so are set off by colour.
    """
    known = {
        (row["dataset"], row["question"]): (row["one_listener"], row["ceiling"])
        for row in records(ceilings)
    }
    parts = list(groups(summary, ["dataset", "question"]))
    n_bars = max(len(part) for _, part in parts)
    figure, panels = grid(len(parts), width=4.4, height=0.9 + 0.27 * n_bars)
    for axes, (key, part) in zip(panels, parts, strict=True):
        _bars(axes, part, ours)
        axes.set_title(panel_title(*key), fontsize=10)
        axes.set_xlabel("mean Spearman within studies", fontsize=8)
        if key in known:
            _draw_ceiling(axes, *known[key])
    save(figure, path)


def _bars(axes: Axes, part: pd.DataFrame, ours: str) -> None:
    ordered = part.sort_values(["spearman", "metric"], na_position="first")
    names, mean = ordered["metric"].tolist(), ordered["spearman"].to_numpy()
    places = np.arange(len(names))
    colours = [OURS_COLOUR if name.startswith(ours) else OTHERS_COLOUR for name in names]
    axes.barh(places, np.nan_to_num(mean), color=colours, height=0.7)
    low, high = ordered["low"].to_numpy(), ordered["high"].to_numpy()
    axes.hlines(places, low, high, color="black", linewidth=1.0)
    axes.set_yticks(places, names, fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.axvline(0.0, color="black", linewidth=0.6)
    lowest = min(0.0, *np.nan_to_num(low), *np.nan_to_num(mean))
    axes.set_xlim(1.05 * lowest, 1.02)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_ceiling(axes: Axes, one_listener: float, ceiling: float) -> None:
    axes.axvline(one_listener, color="#444444", linestyle=":", label="one listener")
    axes.axvline(ceiling, color="#444444", linestyle="--", label="noise ceiling")
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)


def human_against_value(items: pd.DataFrame, path: Path, *, metric: str) -> None:
    """Each pair's value over the listeners' judgement, one panel a dataset and question.

    Args:
        items: Per-item values of one metric and one split.
        path: The PNG file.
        metric: What the axis calls it.
    """
    parts = list(groups(items, ["dataset", "question"]))
    figure, panels = grid(len(parts), width=4.4, height=4.6)
    for axes, (key, part) in zip(panels, parts, strict=True):
        studies = list(groups(part, ["study"]))
        for index, ((study,), pairs) in enumerate(studies):
            axes.scatter(
                _within_study(pairs["human"].to_numpy()),
                pairs["value"].to_numpy(),
                s=9,
                alpha=0.6,
                linewidths=0,
                color=STUDY_COLOURS[index % len(STUDY_COLOURS)],
                label=study if len(study) < 26 else f"{study[:24]}...",
            )
        axes.set_title(panel_title(*key), fontsize=10)
        axes.set_xlabel("listeners' distance, 0 to 1 within each study", fontsize=8)
        axes.set_ylabel(metric, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(color="#e5e5e5", linewidth=0.6)
        axes.set_axisbelow(True)
        if len(studies) <= MAX_LEGEND:
            place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "ncols": 2}
            axes.legend(fontsize=6.5, frameon=False, markerscale=1.6, **place)
    save(figure, path)


def sanity_map(
    shares: np.ndarray, probes: Sequence[str], metrics: Sequence[str], path: Path
) -> None:
    """Share of orderings held, probes by metrics.

    Args:
        shares: `(probe, metric)`, from 0 to 1, NaN where not measured.
        probes: Their names.
        metrics: Their names.
        path: The PNG file.
    """
    n_probes, n_metrics = shares.shape
    figure = Figure(figsize=(2.6 + 0.62 * n_metrics, 1.5 + 0.27 * n_probes), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="RdYlBu", vmin=0.0, vmax=1.0, aspect="auto")
    axes.set_xticks(range(n_metrics), metrics, rotation=50, ha="right", fontsize=8)
    axes.set_yticks(range(n_probes), probes, fontsize=8)
    for row, column in np.ndindex(n_probes, n_metrics):
        share = shares[row, column]
        if np.isfinite(share):
            # White on the dark ends of the colour map.
            colour = "white" if share < 0.15 or share > 0.88 else "black"
            text = {"ha": "center", "va": "center", "fontsize": 7}
            axes.text(column, row, f"{100 * share:.0f}", color=colour, **text)
    axes.set_title("orderings held, %", fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.6, format="{x:.0%}").ax.tick_params(labelsize=7)
    save(figure, path)


def panel_title(dataset: str, question: str) -> str:
    """A dataset and question for readers, such as `Separated vocals: quality`."""
    name = TITLES.get(dataset, dataset)
    return f"{name}: {question}" if question else name


def _within_study(human: np.ndarray) -> np.ndarray:
    span = np.ptp(human)
    return (human - human.min()) / span if span > 0 else np.zeros_like(human)


def grid(n_panels: int, *, width: float, height: float) -> tuple[Figure, Sequence[Axes]]:
    """An empty figure of so many panels."""
    n_columns = min(n_panels, N_COLUMNS) if n_panels != 4 else 2
    n_rows = -(-n_panels // n_columns)
    figure = Figure(figsize=(width * n_columns, height * n_rows), layout="constrained")
    panels = [figure.add_subplot(n_rows, n_columns, index + 1) for index in range(n_panels)]
    return figure, panels


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG that depends on what is drawn alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    # The writer's name and version would change the file with every release of matplotlib.
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
