"""Tables of the robustness benchmark for a terminal."""

from collections.abc import Sequence

import pandas as pd
from rich.table import Table

from benchmarks.datasets.table import groups, where
from benchmarks.robustness import gains


def clean(quality: pd.DataFrame) -> Table:
    """Figures on whole clean test splits, averaged over seeds."""
    table = Table("task", "system", "measure", "mean", "least", "most", "layers", title="Clean")
    for key, part in groups(quality, ["task", "system", "measure"]):
        values = part["value"]
        layers = ", ".join(str(layer) for layer in sorted(set(part["layer"])) if layer >= 0)
        numbers = [f"{x:.3f}" for x in (values.mean(), values.min(), values.max())]
        table.add_row(*key, *numbers, layers)
    return table


def accuracy(found: pd.DataFrame) -> Table:
    """Accuracy in percent under every attack by system, and how audible the attack was."""
    shares = gains.accuracy(found)
    tasks = list(dict.fromkeys(found["task"]))
    asked = gains.present(found)
    title = f"Accuracy, {' / '.join(asked)}"
    table = Table("attack", *tasks, "SNR dB", "NMR dB", "JND", title=title)
    for attack in dict.fromkeys(found["attack"]):
        cells = []
        for task in tasks:
            part = where(shares, (shares["attack"] == attack) & (shares["task"] == task))
            by_system = part.set_index("system")["accuracy"]
            cells.append(" / ".join(f"{by_system.get(s, float('nan')):.0f}" for s in asked))
        rows = gains.perturbed(where(found, found["attack"] == attack))
        heard = [f"{gains.median(rows[name]):.1f}" for name in ("snr_db", "nmr_db", "jnd")]
        table.add_row(attack, *cells, *heard)
    return table


def gain(found: pd.DataFrame, names: Sequence[str]) -> Table:
    """Mean gain over attacks for each task and for all."""
    table = Table("task", "gain in points", "95 % interval", title="Robust accuracy gained")
    for task in [*dict.fromkeys(found["task"]), "all"]:
        part = found if task == "all" else where(found, found["task"] == task)
        mean = gains.mean_gain(part, names)
        table.add_row(str(task), f"{mean.points:+.1f}", f"{mean.low:+.1f} to {mean.high:+.1f}")
    return table
