"""Figures of the robustness benchmark; files depend on the results alone."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.datasets.table import groups, where
from benchmarks.plots import OTHERS_COLOUR, OURS_COLOUR, grid, save
from benchmarks.robustness import gains
from benchmarks.robustness.catalogue import CLEAN, CONTROLS, PEAK_SNRS_DB
from benchmarks.robustness.systems import ENCODER, PAMT, SOUND

COLOURS = {ENCODER: OTHERS_COLOUR, PAMT: OURS_COLOUR, SOUND: "tab:purple"}
CLEAN_AT_DB = 60
"""Where the clean accuracy is drawn on the axis of ratios."""


def by_attack(found: pd.DataFrame, path: Path) -> None:
    """Accuracy under every attack, a panel for each task."""
    shares = gains.accuracy(found)
    tasks, names = list(dict.fromkeys(found["task"])), list(dict.fromkeys(found["attack"]))
    figure, panels = grid(len(tasks), width=4.4, height=1.0 + 0.27 * len(names))
    places = np.arange(len(names))[::-1]
    asked = gains.present(found)
    height = 0.8 / len(asked)
    for axes, task in zip(panels, tasks, strict=True):
        for rank, system in enumerate(asked):
            part = where(shares, (shares["task"] == task) & (shares["system"] == system))
            by_name = dict(zip(part["attack"], part["accuracy"], strict=True))
            values = [by_name.get(name, np.nan) for name in names]
            offset = (0.5 * (len(asked) - 1) - rank) * height
            axes.barh(places + offset, values, height, color=COLOURS[system], label=system)
        axes.set_yticks(places, names, fontsize=7)
        axes.set_title(task, fontsize=10)
        axes.set_xlabel("answered rightly, %", fontsize=8)
        axes.set_xlim(0, 100)
    panels[-1].legend(fontsize=7, loc="lower right")
    save(figure, path)


def by_size(found: pd.DataFrame, path: Path) -> None:
    """Accuracy against signal-to-noise ratio, under PGD and under random noise."""
    shares = gains.accuracy(found)
    tasks = list(dict.fromkeys(found["task"]))
    figure, panels = grid(len(tasks), width=3.6, height=3.0)
    controls = {name: float(name.rpartition("-")[2]) for name in CONTROLS}
    ladder = {CLEAN: float(CLEAN_AT_DB), **{f"pgd-peak-{snr}": float(snr) for snr in PEAK_SNRS_DB}}
    for axes, task in zip(panels, tasks, strict=True):
        for system in gains.present(found):
            part = where(shares, (shares["task"] == task) & (shares["system"] == system))
            by_name = dict(zip(part["attack"], part["accuracy"], strict=True))
            for places, style, kind in ((ladder, "o-", "PGD"), (controls, "x:", "noise")):
                shown = {x: by_name[name] for name, x in places.items() if name in by_name}
                label = f"{system}, {kind}"
                axes.plot(
                    list(shown), list(shown.values()), style, color=COLOURS[system], label=label
                )
        ticks = [CLEAN_AT_DB, *PEAK_SNRS_DB]
        axes.set_xticks(ticks, ["clean", *map(str, PEAK_SNRS_DB)])
        axes.invert_xaxis()
        axes.set_ylim(0, 100)
        axes.set_title(task, fontsize=10)
        axes.set_xlabel("signal-to-noise ratio, dB", fontsize=8)
        axes.set_ylabel("answered rightly, %", fontsize=8)
    panels[0].legend(fontsize=7)
    save(figure, path)


def by_audibility(found: pd.DataFrame, path: Path) -> None:
    """Accuracy under every attack against how audible its perturbations were."""
    measures = {"nmr_db": "noise-to-mask ratio, dB", "jnd": "distance, JND"}
    figure, panels = grid(len(measures), width=6.0, height=4.4)
    attacked = gains.perturbed(where(found, found["attack"] != CLEAN))
    for axes, (measure, label) in zip(panels, measures.items(), strict=True):
        for (system,), part in groups(attacked, ["system"]):
            right = gains.mean_by(where(found, found["system"] == system), "attack", "correct")
            for (name,), rows in groups(part, ["attack"]):
                x = gains.median(rows[measure])
                y = 100.0 * right[name]
                axes.plot([x], [y], "o", color=COLOURS[system], alpha=0.8)
                if system == PAMT and np.isfinite(x):
                    axes.annotate(name, (x, y), (3, 3), textcoords="offset points", fontsize=6)
        axes.set_xlabel(f"median {label}", fontsize=8)
        axes.set_ylabel("answered rightly, %", fontsize=8)
        axes.set_ylim(0, 100)
    for system in gains.present(found):
        panels[0].plot([], [], "o", color=COLOURS[system], label=system)
    panels[0].legend(fontsize=7)
    save(figure, path)


def evidence(table: pd.DataFrame, path: Path) -> None:
    """Margin by steps, and accuracy by the size of the perturbation."""
    figure, (left, right) = grid(2, width=4.4, height=3.2)
    for (system,), part in groups(table, ["system"]):
        steps = gains.mean_by(where(part, part["kind"] == "steps"), "x", "margin")
        left.plot(list(steps), list(steps.values()), "o-", color=COLOURS[system], label=str(system))
        budget = gains.mean_by(where(part, part["kind"] == "budget"), "x", "correct")
        shares = [100.0 * share for share in budget.values()]
        right.plot(list(budget), shares, "o-", color=COLOURS[system], label=str(system))
    left.set_xscale("log")
    left.set_xlabel("gradient steps", fontsize=8)
    left.set_ylabel("mean margin of the best wrong answer", fontsize=8)
    right.invert_xaxis()
    right.set_xlabel("signal-to-noise ratio, dB", fontsize=8)
    right.set_ylabel("answered rightly, %", fontsize=8)
    right.set_ylim(bottom=0)
    left.legend(fontsize=7)
    save(figure, path)
