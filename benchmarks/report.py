"""REPORT.md and its plots, made from the result files alone: no metric runs, no data is read.

The same files give the same report, byte for byte, and the same plots.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import ceiling, orderings, plots, summary, tables
from benchmarks.agreement import CROSS_VALIDATED
from benchmarks.datasets.splits import HELD_OUT, TRAIN
from benchmarks.datasets.table import groups, records, where
from benchmarks.markdown import image as _image
from benchmarks.markdown import table as _markdown
from benchmarks.psychophysics.section import section as _psychophysics
from benchmarks.results_file import read_results, read_text
from benchmarks.robustness.section import section as _robustness
from benchmarks.sanity import suite
from benchmarks.speed_section import section as _speed

OURS = "pamt"
OUT_OF_FOLD = f", {CROSS_VALIDATED}"
# The part of our comparison that answers a question of the separation study.
PART_OF_QUESTION = {"quality": "pamt-missing", "interference": "pamt-added"}
SPLIT_NOTES = {
    HELD_OUT: "For reporting only: nothing was chosen by these figures.",
    TRAIN: "Our models are chosen and trained on these pairs. Of ours only out-of-fold values are "
    "shown, marked `cross-validated`: each is from a model that had nothing of the pair's group in "
    "training. They guided choices, so they may flatter. No baseline was fitted to these pairs.",
}
PLOTS_FOLDER = "plots"


def write(results: Path, output: Path) -> None:
    """Writes the report, and its plots into `plots/` beside the result files.

    Args:
        results: Folder of agreement.csv, ceilings.csv, listeners.csv, orderings.csv, sanity.csv,
            psychophysics.csv, robustness*.csv, speed.csv and runs.csv; what is missing is said
            to be.
        output: The Markdown file; its images are given relative to it.
    """
    sections = [
        _head(results / "runs.csv"),
        *_agreement(results, output),
        *_orderings(results / "orderings.csv"),
        *_sanity(results, output),
        *_psychophysics(results, output),
        *_robustness(results, output),
        *_speed(results),
    ]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("\n\n".join(sections) + "\n")


def _head(runs: Path) -> str:
    lines = [
        "# Benchmark report",
        "",
        "Made by `python -m benchmarks report` from the files in `results/`; do not edit.",
    ]
    if not runs.is_file():
        return "\n".join([*lines, "", "`runs.csv` is missing: nothing says what was measured."])
    table = read_text(runs)
    packages = ", ".join(sorted(set(table["pamt_metric"])))
    stamp = f"pamt-metric {packages}; newest results of {max(table['date'])} (UTC)."
    rows = []
    for (name, implementation, version), part in groups(
        table.sort_values("metric", kind="stable"), ["metric", "implementation", "version"]
    ):
        measured = (
            " ".join(x for x in key if x) for key, _ in groups(part, ["benchmark", "split"])
        )
        rows.append((name, implementation, f"`{version}`", ", ".join(measured), max(part["date"])))
    head = ("metric", "implementation", "version of its values", "measured in", "date")
    return "\n".join([*lines, "", stamp, "", _markdown(head, rows)])


def _agreement(results: Path, output: Path) -> Iterable[str]:
    yield "## Agreement with listeners"
    path = results / "agreement.csv"
    if not path.is_file():
        yield "Not measured: `python -m benchmarks agreement` does."
        return
    yield (
        "Spearman's coefficient of values and judgements within each study (session, song), then "
        "the mean over studies. Intervals are 95 % bootstrap percentiles, the studies taken as "
        "given: *sounds* draws the rated sounds again (where all pairs of a few sounds were rated, "
        "the sounds and not the pairs, which are not independent), *listeners* draws the listeners "
        "again, where their own ratings are published. A dash: the metric has no value in some "
        "study."
    )
    items = _shown(read_results(path, ["human", "value"]))
    ceilings = _optional(results / "ceilings.csv", ceiling.COLUMNS)
    listeners = _optional(results / "listeners.csv", summary.LISTENER_COLUMNS)
    splits = [split for split in (HELD_OUT, TRAIN) if split in set(items["split"])]
    for split in splits:
        yield f"### {split.capitalize()}\n\n{SPLIT_NOTES[split]}"
        here = _of(items, split=split)
        overall = ceiling.by_dataset(_of(ceilings, split=split))
        means = summary.by_dataset(here)
        folder = results / PLOTS_FOLDER
        bars = folder / f"agreement-{split}.png"
        plots.agreement_bars(means, overall, bars, ours=OURS)
        yield _image(bars, output, f"Mean Spearman of every metric, {split}")
        for (dataset, question), part in groups(here, ["dataset", "question"]):
            which = {"dataset": dataset, "question": question, "split": split}
            yield f"#### {plots.panel_title(dataset, question)}, {split}"
            yield _means(_of(means, **which), _of(listeners, **which))
            yield from _ceiling(_of(overall, **which), len(set(part["study"])))
            for name in _compared(part, question):
                yield from _differences(part, name)
            yield _studies(part)
        name = OURS + OUT_OF_FOLD if split == TRAIN else OURS
        ours = _of(here, metric=name)
        if len(ours):
            scatter = folder / f"scatter-{split}.png"
            plots.human_against_value(ours, scatter, metric=name)
            yield _image(scatter, output, f"{name} against listeners, {split}")


def _shown(items: pd.DataFrame) -> pd.DataFrame:
    """All but values that a model of ours gives to its own training pairs; out-of-fold named so."""
    name = items["metric"]
    out_of_fold = items["origin"] == CROSS_VALIDATED
    seen = (items["split"] == TRAIN) & name.str.startswith(OURS) & ~out_of_fold
    named = items.assign(metric=name.where(~out_of_fold, name + OUT_OF_FOLD))
    return where(named, ~seen)


def _compared(items: pd.DataFrame, question: str) -> list[str]:
    """Which of our metrics are compared with all others: the distance, and the question's part."""
    ours = [OURS, PART_OF_QUESTION.get(question, OURS)]
    names = dict.fromkeys(name + mark for name in ours for mark in ("", OUT_OF_FOLD))
    return [name for name in names if name in set(items["metric"])]


def _means(means: pd.DataFrame, listeners: pd.DataFrame) -> str:
    drawn = {row["metric"]: row for row in records(listeners)}
    rows = []
    for row in records(means.sort_values(["spearman", "metric"], ascending=[False, True])):
        again = drawn.get(row["metric"].removesuffix(OUT_OF_FOLD))
        rows.append(
            (
                row["metric"],
                f"{row['n_items']}"
                + (f" ({row['n_undefined']} without)" * bool(row["n_undefined"])),
                tables.figure(row["spearman"]),
                tables.between(row["low"], row["high"]),
                "-" if again is None else _listener_interval(again, row["n_studies"]),
                tables.figure(row["pearson"]),
                tables.figure(row["kendall"]),
            )
        )
    head = ("metric", "pairs", "Spearman", "sounds", "listeners", "Pearson", "Kendall")
    return _markdown(head, rows)


def _listener_interval(row: dict[str, Any], n_studies: int) -> str:
    found = tables.between(row["low"], row["high"])
    part = (
        "" if row["n_studies"] == n_studies else f" ({row['n_studies']:.0f} of {n_studies} studies)"
    )
    return found + part


def _ceiling(ceilings: pd.DataFrame, n_studies: int) -> Iterable[str]:
    for row in records(ceilings):
        some = (
            "" if row["n_studies"] == n_studies else f" ({row['n_studies']} of {n_studies} studies)"
        )
        yield (
            f"Noise ceiling {row['ceiling']:.2f}{some}; two halves of the listeners agree by "
            f"{row['split_half']:.2f}, one listener with the others by {row['one_listener']:.2f}. "
            f"From {row['basis']}."
        )


def _differences(items: pd.DataFrame, metric: str) -> Iterable[str]:
    compared = summary.differences(items, metric=metric)
    if compared.empty:
        return
    rows = [
        (
            row["baseline"],
            str(row["n_items"]),
            f"{row['difference']:+.2f}",
            tables.between(row["low"], row["high"]),
            f"{row['p']:.3f}",
        )
        for row in records(compared.sort_values(["difference", "baseline"], ascending=False))
        if np.isfinite(row["difference"])
    ]
    head = (f"{metric} minus", "pairs of both", "mean Spearman", "95 % interval", "p")
    note = "Paired bootstrap over sounds; p is two-sided and not corrected for their number."
    yield f"{_markdown(head, rows)}\n\n{note}"


def _studies(items: pd.DataFrame) -> str:
    found = records(summary.by_study(items))
    names = sorted({row["metric"] for row in found}, key=_ours_first)
    spearman = {(row["study"], row["metric"]): row["spearman"] for row in found}
    rows = [
        (study, *(tables.figure(spearman.get((study, name), np.nan)) for name in names))
        for study in dict.fromkeys(row["study"] for row in found)
    ]
    return _markdown(("Spearman in", *names), rows)


def _orderings(path: Path) -> Iterable[str]:
    yield "## Orderings on recordings"
    if not path.is_file():
        yield "Not measured: `python -m benchmarks orderings` does."
        return
    results = read_text(path)
    results["held"] = results["held"] == "True"
    rows = []
    for (name,), part in sorted(groups(results, ["metric"]), key=lambda x: _ours_first(x[0][0])):
        counts = [
            orderings.share_held(part, others=others)
            for others in (orderings.NEAREST_OTHER, orderings.EACH_OTHER)
        ]
        rows.append(
            (name, *(f"{held} of {counted} ({held / counted:.1%})" for held, counted in counts))
        )
    head = ("metric", "held, nearest other recording", "held, each other recording")
    n_recordings = results["recording"].nunique()
    yield (
        f"{n_recordings} recordings. Noise, low-pass and MP3 ladders grow, another recording is "
        "farther than a copy, and inaudible noise nearer than clipping (`orderings.py`)."
    )
    yield _markdown(head, rows)


def _sanity(results: Path, output: Path) -> Iterable[str]:
    yield "## Sanity"
    path = results / "sanity.csv"
    if not path.is_file():
        yield "Not measured: `python -m benchmarks sanity` does."
        return
    table = read_text(path)
    table["held"] = table["held"] == "True"
    held = suite.summarise(table)
    names = sorted(set(held["metric"]), key=_ours_first)
    probes = list(dict.fromkeys(held["probe"]))
    share = {(row["probe"], row["metric"]): row["share"] for row in records(held)}
    shares = [[share.get((probe, name), np.nan) for name in names] for probe in probes]
    heat = results / PLOTS_FOLDER / "sanity.png"
    plots.sanity_map(np.array(shares), probes, names, heat)
    sources = [f"{len(set(part['clip']))} {name}" for (name,), part in groups(table, ["source"])]
    yield (
        f"{len(set(table['clip']))} clips ({', '.join(sources)}). Share of orderings held, in "
        "percent; what each probe asks is in `sanity/probes.py`."
    )
    yield _image(heat, output, "Share of orderings held, probes by metrics")
    rows = [
        (probe, str(len(set(_of(table, probe=probe)["clip"]))), *map(_percent, row))
        for probe, row in zip(probes, shares, strict=True)
    ]
    total = {
        name: float(np.mean(part["held"].to_numpy())) for (name,), part in groups(table, ["metric"])
    }
    rows.append(("all", "", *(_percent(total[name]) for name in names)))
    yield _markdown(("probe", "clips", *names), rows)
    refused = where(held, (held["reasons"] != "") & (held["probe"] != "NaN refused"))
    if len(refused):
        lines = [f"- `{x['metric']}`, {x['probe']}: {x['reasons']}" for x in records(refused)]
        yield "Orderings that failed because a value was missing:\n\n" + "\n".join(lines)


def _of(table: pd.DataFrame, **wanted: str) -> pd.DataFrame:
    """The rows whose columns have these values."""
    chosen = np.ones(len(table), dtype=bool)
    for column, value in wanted.items():
        chosen &= (table[column] == value).to_numpy(dtype=bool)
    return where(table, chosen)


def _optional(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    texts = {"dataset", "question", "split", "study", "metric", "basis"}
    if not path.is_file():
        return pd.DataFrame(columns=list(columns))
    return read_results(path, [column for column in columns if column not in texts])


def _ours_first(name: str) -> tuple[bool, str]:
    return not name.startswith(OURS), name


def _percent(share: float) -> str:
    return "-" if pd.isna(share) else f"{100 * share:.0f}"
