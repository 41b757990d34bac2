"""Pairwise dissimilarity of sung tones by singing technique.

Layout: `audio/SINGER/REGISTER/*.mp3`, and `ratings.csv` with one row a pair: `session, a, b,
dissimilarity_mean, n_raters, dissimilarity_sd`, a session being one singer in one register, such as
`f5highPitch`, a and b paths below the folder, and the deviation divided by the number of raters.
"""

import re
from pathlib import Path

import pandas as pd

from benchmarks.datasets.sources import VOICE
from benchmarks.datasets.splits import splits
from benchmarks.datasets.table import Reading, make_table, records
from pamt_metric.errors import InputError

NAME = "voice"
SOURCES = (VOICE,)
RATING_COLUMNS = ("session", "a", "b", "dissimilarity_mean", "n_raters", "dissimilarity_sd")
SESSION = re.compile(r"(?P<singer>[fm]\d+)(?:high|low)Pitch")


def read(root: Path) -> Reading:
    """Reads every session whose singer splits.toml lists.

    Raises:
        InputError: ratings.csv has other columns or sessions than described above.
    """
    folder = root / VOICE.folder
    ratings_file = folder / "ratings.csv"
    if not ratings_file.is_file():
        return Reading(make_table([]), [f"{VOICE.folder}/ratings.csv is absent"])
    ratings = pd.read_csv(ratings_file)
    lacking = [column for column in RATING_COLUMNS if column not in ratings]
    if lacking:
        raise InputError(f"{ratings_file} lacks the columns {lacking}")
    dataset = splits()[NAME]
    rows: list[dict[str, object]] = []
    missing: dict[str, None] = {}
    for pair in records(ratings):
        singer = singer_of(pair["session"])
        if singer not in dataset.split:
            missing[f"session {pair['session']}: splits.toml does not list singer {singer}"] = None
            continue
        absent = [sound for sound in (pair["a"], pair["b"]) if not (folder / sound).is_file()]
        missing.update(dict.fromkeys(f"session {pair['session']}: {sound}" for sound in absent))
        if absent:
            continue
        rows.append(
            {
                "dataset": NAME,
                "study": pair["session"],
                "group": singer,
                "question": "",
                "reference": str(folder / pair["a"]),
                "test": str(folder / pair["b"]),
                "human": pair["dissimilarity_mean"],
                "raters": pair["n_raters"],
                "human_sd": pair["dissimilarity_sd"],
                "split": dataset.split[singer],
            }
        )
    return Reading(make_table(rows), list(missing))


def singer_of(session: str) -> str:
    """`f5highPitch` -> `f5`."""
    match = SESSION.fullmatch(session)
    if match is None:
        raise InputError(f"a session reads like 'f5highPitch', got {session!r}")
    return match["singer"]
