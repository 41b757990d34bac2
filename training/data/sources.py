"""Where the training material lies in the data folder, and how one item of it is read.

Only the train split of the rated audio is listed (the data folder's README gives the splits); the
folders `librosa-data` and `visqol-conformance` stay unseen too, as test recordings.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import soxr

from benchmarks import rendering
from pamt_metric.errors import InputError

TIMBRE_TRAIN_STUDIES = (
    "Grey1977",
    "Iverson1993_Whole",
    "Lakatos2000_Harm",
    "McAdams1995",
    "Patil2012_A3",
    "Patil2012_DX4",
    "Patil2012_GD4",
    "Siedenburg2016_e2set1",
    "Siedenburg2016_e2set2",
)
VOICE_TRAIN_SINGERS = ("f2", "f3", "m1", "m2")

SCORE_KINDS = ("pop909", "nottingham", "chorales")
_SCORE_PATTERNS = {
    # The first arrangement of each song; the numbered alternatives stay free for cover pairs.
    "pop909": "music/pop909/*/???.mid",
    "nottingham": "music/nottingham/*.mid",
}
_CHORALES = "music/jsb-chorales/Jsb16thSeparated.json"

_RECORDING_PATTERNS = {
    "philharmonia": ("music/philharmonia/*/*.mp3",),
    "sonic-pi": ("music/sonic-pi/*.flac",),
    "timbre": tuple(
        f"ratings/timbre-dissimilarity-metrics/timbremetrics/sounds/{study}/*.aiff"
        for study in TIMBRE_TRAIN_STUDIES
    ),
    "voice": tuple(
        f"ratings/voice-perception/audio/{singer}/*/*.mp3" for singer in VOICE_TRAIN_SINGERS
    ),
    "separation": ("ratings/perceptual-study-source-separation/site/sounds/*/*.flac",),
}
RECORDING_KINDS = tuple(_RECORDING_PATTERNS)


def scores(kind: str, root: Path) -> dict[str, Callable[[], list[rendering.Note]]]:
    """Readers of all pieces of a kind, by name; empty where the folder has none."""
    if kind == "chorales":
        path = root / _CHORALES
        pieces = json.loads(path.read_text()) if path.is_file() else {}
        return {
            f"{_CHORALES}#{part}/{number}": partial(rendering.chorale_notes, steps)
            for part in sorted(pieces)
            for number, steps in enumerate(pieces[part])
        }
    paths = sorted(root.glob(_SCORE_PATTERNS[kind]))
    return {str(path.relative_to(root)): partial(rendering.read_midi, path) for path in paths}


def recordings(kind: str, root: Path, *, sample_rate: int) -> dict[str, Callable[[], np.ndarray]]:
    """Readers of all recordings of a kind, as mono waveforms at one rate, by name."""
    paths = sorted(path for pattern in _RECORDING_PATTERNS[kind] for path in root.glob(pattern))
    return {str(path.relative_to(root)): partial(_read_mono, path, sample_rate) for path in paths}


def _read_mono(path: Path, sample_rate: int) -> np.ndarray:
    try:
        waveform, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise InputError(f"cannot decode {path}: {error}") from error
    return soxr.resample(waveform.mean(axis=1), rate, sample_rate)
