"""The tables that the commands print."""

from collections.abc import Mapping, Sequence

import pandas as pd
from rich.table import Table

from benchmarks import orderings
from benchmarks.datasets.table import groups, records


def figure(value: float) -> str:
    """Two decimals, or a dash where there is no number."""
    return "-" if pd.isna(value) else f"{value:.2f}"


def between(low: float, high: float) -> str:
    """An interval, or a dash."""
    return "-" if pd.isna(low) else f"{low:.2f} to {high:.2f}"


def plain(result: pd.DataFrame, *, title: str) -> Table:
    """A table as it is, with four digits of each number."""
    table = Table(*result.columns, title=title)
    for row in records(result):
        cells = (f"{x:.4g}" if isinstance(x, float) else str(x) for x in row.values())
        table.add_row(*cells)
    return table


def datasets(summary: pd.DataFrame) -> Table:
    """Agreement of each metric with each dataset's listeners."""
    table = Table(
        *("dataset", "question", "split", "metric", "studies", "pairs"),
        *("Spearman", "95 % interval", "Pearson", "Kendall"),
        title="mean over studies; interval over sounds",
    )
    for row in records(summary):
        names = (row[key] for key in ("dataset", "question", "split", "metric"))
        counts = str(row["n_studies"]), str(row["n_items"])
        interval = between(row["low"], row["high"])
        others = figure(row["pearson"]), figure(row["kendall"])
        table.add_row(*names, *counts, figure(row["spearman"]), interval, *others)
    return table


def studies(summary: pd.DataFrame) -> Table:
    """Agreement within each study."""
    table = Table(
        "dataset", "question", "study", "metric", "pairs", "Spearman", "Pearson", "Kendall"
    )
    for row in records(summary):
        coefficients = (figure(row[x]) for x in ("spearman", "pearson", "kendall"))
        names = row["dataset"], row["question"], row["study"][:32], row["metric"]
        table.add_row(*names, str(row["n_items"]), *coefficients)
    return table


def ceilings(summary: pd.DataFrame) -> Table:
    """How well listeners agree with each other."""
    table = Table(
        *("dataset", "question", "split", "studies", "split half", "one listener", "ceiling"),
        "basis",
        title="noise ceiling, over the studies that publish enough",
    )
    for row in records(summary):
        names = (row[key] for key in ("dataset", "question", "split"))
        numbers = (figure(row[x]) for x in ("split_half", "one_listener", "ceiling"))
        table.add_row(*names, str(row["n_studies"]), *numbers, row["basis"])
    return table


def differences(summary: pd.DataFrame, metric: str) -> Table:
    """One metric's Spearman minus each other's."""
    table = Table(
        *("dataset", "question", "split", f"{metric} minus", "difference", "95 % interval", "p"),
        title="paired bootstrap over sounds; p not corrected for the number of comparisons",
    )
    for row in records(summary):
        names = (row[key] for key in ("dataset", "question", "split", "baseline"))
        p = "-" if pd.isna(row["p"]) else f"{row['p']:.3f}"
        table.add_row(*names, figure(row["difference"]), between(row["low"], row["high"]), p)
    return table


def orderings_held(name: str, result: pd.DataFrame) -> Table:
    """Orderings held and counted, for each recording and kind."""
    summary = orderings.summarise(result)
    kinds = list(dict.fromkeys(summary["kind"]))
    table = Table("recording", *kinds, title=name)
    for (recording,), part in groups(summary, ["recording"]):
        table.add_row(recording[:30], *(f"{r['held']}/{r['counted']}" for r in records(part)))
    sums = [part[["held", "counted"]].sum() for _, part in groups(summary, ["kind"])]
    table.add_row("all", *(f"{total['held']}/{total['counted']}" for total in sums))
    return table


def sanity(summary: pd.DataFrame, metrics: Sequence[str]) -> Table:
    """Orderings held and counted, for each probe and metric."""
    table = Table("probe", "clips", *metrics, title="orderings held")
    for (probe,), part in groups(summary, ["probe"]):
        held = {row["metric"]: f"{row['held']}/{row['counted']}" for row in records(part)}
        n_clips = str(max(part["n_clips"]))
        table.add_row(probe, n_clips, *(held.get(metric, "-") for metric in metrics))
    return table


def thresholds(results: pd.DataFrame) -> Table:
    """Each metric's threshold beside the listeners', of those that can be compared."""
    table = Table(
        *("experiment", "condition", "metric", "threshold", "listeners", "SD", "z", "status"),
        title="thresholds with one internal noise a metric",
    )
    for row in records(results):
        if row["tier"] == "threshold":
            names = row["experiment"], row["condition"], row["metric"]
            numbers = (figure(row[key]) for key in ("value", "human", "sd", "z"))
            table.add_row(*names, *numbers, row["status"])
    return table


def psychophysics(counts: pd.DataFrame) -> Table:
    """What held of each metric in each tier."""
    table = Table(*counts.columns, title="listening experiments")
    for row in records(counts):
        table.add_row(*(str(cell) for cell in row.values()))
    return table


def ear_speed(times: pd.DataFrame, duration_s: int) -> Table:
    """Seconds by contestant, and how many times the ear's forward pass they are."""
    table = Table("", "s, median", "times real time", "over ear, forward", title="speed of the ear")
    ratios = times.div(times.iloc[:, 0], axis=0).median()
    for name, value in times.median().items():
        table.add_row(str(name), f"{value:.3f}", f"{duration_s / value:.0f}", f"{ratios[name]:.2f}")
    return table


def ear_memory(peaks: Mapping[int, float]) -> Table:
    """Peak memory by length, and what each second takes beyond the process without sound."""
    table = Table("sound, s", "peak, MiB", "MiB a second", title="memory, forward and backward")
    for length, peak in peaks.items():
        slope = (peak - peaks[0]) / length if length else float("nan")
        table.add_row(str(length), f"{peak:.0f}", figure(slope))
    return table


def loss_cost(result: pd.DataFrame) -> Table:
    """CPU time and peak memory of a training step, plain and with checkpointing."""
    table = Table(
        *("clip", "batch", "CPU s", "MB", "CPU s, checkpoint", "MB, checkpoint"),
        title="one step with PerceptualLoss on one thread",
    )
    for (seconds, batch), part in groups(result, ["seconds", "batch"]):
        figures = [
            text
            for row in records(part.sort_values("checkpoint"))
            for text in (f"{row['cpu_s']:.1f}", f"{row['peak_mb']:.0f}")
        ]
        table.add_row(f"{seconds:g} s", str(batch), *figures)
    return table
