"""Separated vocals of which listeners picked the one most similar to the reference.

Layout: `site/sounds/SONG/ALGORITHM_vocals.flac` with `ref_vocals.flac`, and `results/dataset.csv`
with one row each time a sound was shown: `sound, url, value, is_replicate, submission_id`, value
being whether it was picked, and a submission one listener's. The human distance is 1 - the share of
times it was picked when shown, within a song.
"""

from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from benchmarks.datasets.sources import SISEC18
from benchmarks.datasets.splits import splits
from benchmarks.datasets.table import Reading, groups, judgements_of, make_judgements, make_table

NAME = "sisec18"
SOURCES = (SISEC18,)
REFERENCE = "ref_vocals.flac"


def read(root: Path) -> Reading:
    """Reads every song of splits.toml whose audio is there."""
    folder = root / SISEC18.folder
    results_file = folder / "results" / "dataset.csv"
    if not results_file.is_file():
        return Reading(make_table([]), [f"{SISEC18.folder}/results/dataset.csv is absent"])
    shown = pd.read_csv(results_file)
    shown = shown[~shown["is_replicate"].astype(bool)]
    dataset = splits()[NAME]
    rows: list[dict[str, object]] = []
    judgements: list[dict[str, object]] = []
    missing: dict[str, None] = {}
    for (url,), times in groups(shown, ["url"]):
        song, file_name = PurePosixPath(url).parts[-2:]
        if song not in dataset.split:
            missing[f"song {song}: splits.toml does not list it"] = None
            continue
        reference, test = (folder / "site/sounds" / song / x for x in (REFERENCE, file_name))
        if not reference.is_file():
            missing[f"song {song}: its audio is absent"] = None
            continue
        if not test.is_file():
            missing[f"song {song}: {file_name} is absent"] = None
            continue
        human = 1.0 - times["value"].to_numpy(dtype=np.float64)
        pair: dict[str, object] = {
            "dataset": NAME,
            "study": song,
            "group": song,
            "question": "",
            "reference": str(reference),
            "test": str(test),
            "human": human.mean(),
            "raters": len(human),
            "human_sd": human.std(),
            "split": dataset.split[song],
        }
        rows.append(pair)
        judgements += judgements_of(pair, times["submission_id"], human)
    return Reading(make_table(rows), list(missing), make_judgements(judgements))
