"""What the report says of robustness, from its result files alone."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import markdown
from benchmarks.datasets.table import groups, where
from benchmarks.results_file import read_results
from benchmarks.robustness import chroma, evidence, gains, metric_attack, plots, suite
from benchmarks.robustness.catalogue import ATTACKS, CLEAN
from benchmarks.robustness.systems import ENCODER, PAMT, SOUND

PLOTS_FOLDER = "plots"
CLEAN_COLUMNS = (ENCODER, PAMT, SOUND, chroma.NAME)
AT_30_DB = ("noise-30", "square-30", "universal-30", "pgd-peak-30")
"""From what knows nothing to what knows everything, all of one size."""
TARGET_POINTS, TARGET_LOW = 9.15, 5.0
"""The mean gain that the paper reports, and what its interval has to lie above."""


def section(results: Path, output: Path) -> Iterable[str]:
    """The parts of the section; draws its figures beside the results."""
    yield "## Robustness"
    path = results / suite.FILE_NAME
    if not path.is_file():
        yield "Not measured: `python -m benchmarks robustness` does."
        return
    found = suite.read(path)
    yield (
        "The same probe on the same clips reads either the frozen encoder's hidden states "
        "(averaged over the clip, the layer chosen on validation) or `pamt.embed(kind='harmony')`. "
        "`pamt-sound` is `pamt.embed()`. Attacks are white box through the whole system and stop "
        "where a clip is won; clips that are answered wrongly as they are count as lost. Songs and "
        "tunes never cross a split; but the encoder heard the scores of the tasks in its "
        "pretraining, without labels. The harmony comes from the ear alone: nothing in it is "
        "learned, and the gain says nothing of encoder or head."
    )
    yield _clean(results / suite.CLEAN_NAME)
    yield _gains(found)
    yield _accuracy(found)
    folder = results / PLOTS_FOLDER
    for name, draw, text in (
        ("robustness-attacks", plots.by_attack, "Accuracy under every attack"),
        ("robustness-size", plots.by_size, "Accuracy against the size of a perturbation"),
        ("robustness-audibility", plots.by_audibility, "Accuracy against how audible it is"),
    ):
        picture = folder / f"{name}.png"
        draw(found, picture)
        yield markdown.image(picture, output, text)
    yield from _evidence(results, output, found)
    yield from _metrics(results / metric_attack.FILE_NAME)


def _clean(path: Path) -> str:
    quality = read_results(path, ["seed", "value", "layer", "n_test"])
    rows = []
    for (task, measure), part in groups(quality, ["task", "measure"]):
        cells = []
        for system in CLEAN_COLUMNS:
            values = where(part, part["system"] == system)["value"].to_numpy()
            cells.append(_spread(values))
        rows.append((str(task), str(measure), *cells, f"{part['n_test'].mean():.0f}"))
    head = ("task", "clean, all test clips", *CLEAN_COLUMNS, "clips a seed")
    return markdown.table(head, rows)


def _spread(values: np.ndarray) -> str:
    """Their mean, and where there are several, the least and the most."""
    if len(values) == 0:
        return "-"
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"


def _gains(found: pd.DataFrame) -> str:
    rows = []
    counted = [name for name in ATTACKS if name in set(found["attack"])]
    for task in [*dict.fromkeys(found["task"]), "mean"]:
        part = found if task == "mean" else where(found, found["task"] == task)
        robust = gains.mean_gain(part, counted)
        clean = gains.mean_gain(part, [CLEAN])
        rows.append(
            (
                str(task),
                *(f"{x.points:+.1f} ({x.low:+.1f} to {x.high:+.1f})" for x in (robust, clean)),
            )
        )
    head = ("task", "gain over all attacks, points", "clean, the attacked clips")
    note = (
        f"Target: at least {TARGET_POINTS} points, interval above {TARGET_LOW:g}. What is gained "
        "on clean clips is in it; the second column says how much that is on the same clips."
    )
    return f"{markdown.table(head, rows)}\n\n{note}"


def _accuracy(found: pd.DataFrame) -> str:
    shares = gains.accuracy(found)
    tasks = list(dict.fromkeys(found["task"]))
    asked = gains.present(found)
    rows = []
    for attack in dict.fromkeys(found["attack"]):
        cells = []
        for task in tasks:
            part = where(shares, (shares["attack"] == attack) & (shares["task"] == task))
            by_system = dict(zip(part["system"], part["accuracy"], strict=True))
            shown = [by_system.get(system, np.nan) for system in asked]
            cells.append(" / ".join("-" if np.isnan(x) else f"{x:.0f}" for x in shown))
        mine = gains.perturbed(where(found, found["attack"] == attack))
        heard = [_median(mine[name]) for name in ("snr_db", "nmr_db", "jnd")]
        rows.append((str(attack), *cells, *heard))
    sizes = []
    for (task,), part in groups(found, ["task"]):
        counts = [gains.n_clips(where(part, part["system"] == system)) for system in asked]
        sizes.append(f"{task}, {' / '.join(map(str, counts))} clips")
    head = ("attack", *sizes, "SNR, dB", "NMR, dB", "JND")
    note = (
        f"Answered rightly in percent, {' / '.join(asked)}; medians of what the attacks ended "
        "with, over the clips that needed one."
    )
    return f"{note}\n\n{markdown.table(head, rows)}"


def _median(values: Any) -> str:
    found = gains.median(values)
    return "-" if np.isnan(found) else f"{found:.1f}"


def _evidence(results: Path, output: Path, found: pd.DataFrame) -> Iterable[str]:
    path = results / evidence.FILE_NAME
    if not path.is_file():
        return
    table = read_results(path, ["x", "margin", "correct"])
    yield "### Are gradients hidden?"
    picture = results / PLOTS_FOLDER / "robustness-evidence.png"
    plots.evidence(table, picture)
    yield markdown.image(picture, output, "Margin by steps, accuracy by the size allowed")
    rows = []
    for name in AT_30_DB:
        share = gains.mean_by(where(found, found["attack"] == name), "system", "correct")
        if share:
            cells = [f"{100.0 * share.get(s, np.nan):.0f}" for s in (ENCODER, PAMT)]
            rows.append((f"{name}, all attacked clips", *cells))
    for (kind,), part in groups(table, ["kind"]):
        if kind.startswith("transfer"):
            share = gains.mean_by(part, "system", "correct")
            rows.append((kind, *(f"{100.0 * share[system]:.0f}" for system in (ENCODER, PAMT))))
    head = (f"{evidence.TRANSFER_SNR_DB} dB, answered rightly in percent", ENCODER, PAMT)
    yield markdown.table(head, rows)


def _metrics(path: Path) -> Iterable[str]:
    if not path.is_file():
        return
    table = read_results(path, ["at_threshold", "reached", "nmr_db"])
    yield "### The distances themselves under attack"
    yield (
        "`raise`: how many times as far as random noise at the masked threshold a perturbation "
        "that stays under it can drive the distance. `hide`: the noise-to-mask ratio of the "
        "loudest change that keeps the distance where that noise put it. Medians over clips."
    )
    rows = []
    for (name,), part in groups(table, ["metric"]):
        up = where(part, part["question"] == "raise")
        hidden = where(part, part["question"] == "hide")
        factor = gains.median(up["reached"] / up["at_threshold"])
        loudest = gains.median(hidden["nmr_db"])
        rows.append((str(name), f"{factor:.1f} x", f"{loudest:+.1f} dB", f"{len(up)}"))
    yield markdown.table(("distance", "raise", "hide", "clips"), rows)
