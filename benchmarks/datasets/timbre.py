"""Pairwise dissimilarity of instrument tones, from published timbre-space studies.

Layout: `timbremetrics/sounds/STUDY/*.aiff` and `timbremetrics/data/STUDY_dissimilarity_matrix.txt`,
the upper triangle of a matrix whose rows are the study's sounds sorted by file name.
"""

from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.datasets.sources import LAKATOS_RAW, TIMBRE
from benchmarks.datasets.splits import splits
from benchmarks.datasets.table import Reading, judgements_of, make_judgements, make_table
from pamt_metric.errors import InputError

NAME = "timbre"
SOURCES = (TIMBRE, LAKATOS_RAW)
SOUND_SUFFIXES = (".aiff", ".aif", ".wav")

LAKATOS_PERC = "Lakatos2000_Perc"
LAKATOS_RAW_FILE = "ext/python/sounds/Lakatos2000_Perc/0.Perc.raw.txt"
LAKATOS_N_SOUNDS = 18
# Each listener's record has 160 values; the first 153 = 18 * 17 / 2 are judgements of pairs.
LAKATOS_RECORD = 160


def read(root: Path) -> Reading:
    """Reads every study of splits.toml that is there.

    Raises:
        InputError: A matrix and the number of its study's sounds do not fit each other.
    """
    if not TIMBRE.present(root):
        return Reading(make_table([]), [f"{TIMBRE.folder} is absent"])
    rows: list[dict[str, object]] = []
    judgements: list[dict[str, object]] = []
    missing: list[str] = []
    for study in splits()[NAME].split:
        try:
            pairs, said = _read_study(root, study)
        except FileNotFoundError as error:
            missing.append(f"study {study}: {error}")
            continue
        rows += pairs
        judgements += said
    return Reading(make_table(rows), missing, make_judgements(judgements))


Rows = list[dict[str, object]]


def _read_study(root: Path, study: str) -> tuple[Rows, Rows]:
    """Its pairs and, where they are published, what each listener said of them."""
    sounds = _sounds(root, study)
    matrices = _ratings(root, study)
    expected = (len(sounds), len(sounds))
    if matrices.shape[1:] != expected:
        raise InputError(
            f"{study}: expected a matrix of {len(sounds)} x {len(sounds)} for its sounds, got "
            f"{matrices.shape[1:]}; is a sound missing or is the repository at another commit?"
        )
    dataset = splits()[NAME]
    own = study == LAKATOS_PERC
    rows: Rows = []
    judgements: Rows = []
    for i, j in combinations(range(len(sounds)), 2):
        said = matrices[:, i, j]
        pair: dict[str, object] = {
            "dataset": NAME,
            "study": study,
            "group": dataset.group(study),
            "question": "",
            "reference": str(sounds[i]),
            "test": str(sounds[j]),
            "human": said.mean(),
            "raters": len(said) if own else None,
            "human_sd": said.std() if own else np.nan,
            "split": dataset.split[study],
        }
        rows.append(pair)
        if own:
            judgements += judgements_of(pair, range(len(said)), said)
    return rows, judgements


def _sounds(root: Path, study: str) -> list[Path]:
    folder = root / TIMBRE.folder / "timbremetrics" / "sounds" / study
    if not folder.is_dir():
        raise FileNotFoundError("its folder of sounds is absent")
    sounds = (path for path in folder.iterdir() if path.suffix.lower() in SOUND_SUFFIXES)
    return sorted(sounds, key=lambda path: path.name)


def _ratings(root: Path, study: str) -> np.ndarray:
    """Matrices `(listener, sound, sound)`; their mean alone where no more is published."""
    if study == LAKATOS_PERC:
        return _lakatos_percussive(root / LAKATOS_RAW.folder / LAKATOS_RAW_FILE)
    path = root / TIMBRE.folder / "timbremetrics" / "data" / f"{study}_dissimilarity_matrix.txt"
    if not path.is_file():
        raise FileNotFoundError("its dissimilarity matrix is absent")
    return np.loadtxt(path, ndmin=2)[None]


def _lakatos_percussive(path: Path) -> np.ndarray:
    """One matrix a listener, from their own records: the packaged matrix is mis-parsed."""
    if not path.is_file():
        raise FileNotFoundError(
            f"its raw ratings {LAKATOS_RAW.folder}/{LAKATOS_RAW_FILE} are absent"
        )
    values = np.array(path.read_text().split(), dtype=np.float64)
    if values.size % LAKATOS_RECORD:
        raise InputError(f"{path} has {values.size} values, not a multiple of {LAKATOS_RECORD}")
    records = values.reshape(-1, LAKATOS_RECORD)
    rows, columns = np.tril_indices(LAKATOS_N_SOUNDS, k=-1)
    matrices = np.zeros((len(records), LAKATOS_N_SOUNDS, LAKATOS_N_SOUNDS))
    matrices[:, rows, columns] = records[:, : rows.size]
    return matrices + matrices.transpose(0, 2, 1)
