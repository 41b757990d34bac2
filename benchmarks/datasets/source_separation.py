"""Separated vocals rated against their reference (MUSHRA), for quality and for interference.

Layout: `site/sounds/PAGE/SOUND.flac` with `ref.flac`, and `data/ratings.csv` with one row a
judgement from 0 to 100, higher = better: `is_replicate, page, sound, rating, experiment, subject`.

Two questions on the same pairs, and nearly opposite ones: `quality` asks for sound quality and
`interference` (the public file's `interferer`) for freedom from other sounds. The two anchors
(`Quality`, `Interferer`) are rated sounds like any other and are kept. The hidden reference is not:
that pair is a sound and itself, which every distance answers with 0 by construction.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.datasets.sources import SOURCE_SEPARATION
from benchmarks.datasets.splits import splits
from benchmarks.datasets.table import Reading, groups, judgements_of, make_judgements, make_table

NAME = "source_separation"
SOURCES = (SOURCE_SEPARATION,)
QUESTIONS = {"quality": "quality", "interferer": "interference"}
HIDDEN_REFERENCE = "ref"
BEST_RATING = 100.0


def read(root: Path) -> Reading:
    """Reads both questions of every page whose audio is there; repeated judgements are skipped."""
    folder = root / SOURCE_SEPARATION.folder
    ratings_file = folder / "data" / "ratings.csv"
    if not ratings_file.is_file():
        return Reading(make_table([]), [f"{SOURCE_SEPARATION.folder}/data/ratings.csv is absent"])
    ratings = pd.read_csv(ratings_file)
    ratings = ratings[~ratings["is_replicate"].astype(bool)]
    ratings = ratings[ratings["sound"] != HIDDEN_REFERENCE]
    dataset = splits()[NAME]
    rows: list[dict[str, object]] = []
    judgements: list[dict[str, object]] = []
    missing: dict[str, None] = {}
    for (experiment, page, sound), judged in groups(ratings, ["experiment", "page", "sound"]):
        if page not in dataset.split:
            missing[f"song {page}: splits.toml does not list it"] = None
            continue
        reference, test = (folder / "site/sounds" / page / f"{x}.flac" for x in ("ref", sound))
        if not reference.is_file():
            missing[f"song {page}: its audio is absent"] = None
            continue
        if not test.is_file():
            missing[f"song {page}: {sound}.flac is absent"] = None
            continue
        human = BEST_RATING - judged["rating"].to_numpy(dtype=np.float64)
        pair: dict[str, object] = {
            "dataset": NAME,
            "study": page,
            "group": page,
            "question": QUESTIONS[experiment],
            "reference": str(reference),
            "test": str(test),
            "human": human.mean(),
            "raters": len(human),
            "human_sd": human.std(),
            "split": dataset.split[page],
        }
        rows.append(pair)
        judgements += judgements_of(pair, judged["subject"], human)
    return Reading(make_table(rows), list(missing), make_judgements(judgements))
