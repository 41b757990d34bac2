"""A tiny rated data folder that the project makes itself, in the layouts of the public ones.

For tests and for trying the commands without the public data. The sounds are harmonic tones that
differ in brightness, and the made-up listeners judge the difference in brightness.
"""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from benchmarks.datasets import recordings
from benchmarks.datasets.sources import (
    LAKATOS_RAW,
    LIBROSA,
    SISEC18,
    SOURCE_SEPARATION,
    TIMBRE,
    VISQOL,
    VOICE,
)
from benchmarks.datasets.timbre import LAKATOS_N_SOUNDS, LAKATOS_RAW_FILE, LAKATOS_RECORD

SAMPLE_RATE = 44_100
DURATION_S = 0.2
RECORDING_S = 1.0
N_PARTIALS = 20
N_TONES = 4
STUDIES = ("Grey1977", "Siedenburg2016_e2set1", "Barthet2010")
SESSIONS = ("f2highPitch", "f5lowPitch")
PAGE = "vocals-10-SIR"
SONG = "Georgia Wonder - Siren"


def write(root: Path) -> None:
    """Writes `ratings/` and `music/` below a folder."""
    _write_timbre(root)
    _write_lakatos(root)
    _write_voice(root)
    _write_source_separation(root)
    _write_sisec18(root)
    _write_recordings(root)


def tone(brightness: float, frequency: float, *, duration_s: float = DURATION_S) -> np.ndarray:
    """A harmonic tone `(time,)`; brightness 0 is dull, 1 is bright."""
    time = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    partials = np.arange(1, N_PARTIALS + 1)
    amplitudes = partials ** (-3.0 + 2.5 * brightness)
    waveform = amplitudes @ np.sin(2.0 * np.pi * frequency * partials[:, None] * time)
    fade = np.minimum(1.0, np.minimum(time, time[::-1]) / 0.01)
    return 0.5 * waveform / np.abs(waveform).max() * fade


def _write_sound(path: Path, waveform: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, waveform, SAMPLE_RATE)


def _brightness(n_sounds: int) -> np.ndarray:
    """Unevenly spaced, so that no two differences are alike."""
    return np.linspace(0.0, 1.0, n_sounds) ** 1.3


def _write_timbre(root: Path) -> None:
    folder = root / TIMBRE.folder / "timbremetrics"
    (folder / "data").mkdir(parents=True)
    for index, study in enumerate(STUDIES):
        brightness = _brightness(N_TONES)
        for number, value in enumerate(brightness):
            path = folder / "sounds" / study / f"{number:02d}.aiff"
            _write_sound(path, tone(value, 220.0 + 20.0 * index))
        matrix = np.triu(np.abs(brightness[:, None] - brightness))
        np.savetxt(folder / "data" / f"{study}_dissimilarity_matrix.txt", matrix)


def _write_lakatos(root: Path) -> None:
    brightness = _brightness(LAKATOS_N_SOUNDS)
    for number, value in enumerate(brightness):
        sounds = root / TIMBRE.folder / "timbremetrics/sounds/Lakatos2000_Perc"
        _write_sound(sounds / f"{number:02d}.aiff", tone(value, 330.0))
    rows, columns = np.tril_indices(LAKATOS_N_SOUNDS, k=-1)
    record = np.zeros(LAKATOS_RECORD)
    record[: rows.size] = np.abs(brightness[rows] - brightness[columns])
    # Two listeners around that mean, as wrapped lines of numbers.
    records = np.concatenate([0.9 * record, 1.1 * record])
    path = root / LAKATOS_RAW.folder / LAKATOS_RAW_FILE
    path.parent.mkdir(parents=True)
    np.savetxt(path, records.reshape(-1, 8), fmt="%.6f")


def _write_voice(root: Path) -> None:
    folder = root / VOICE.folder
    rows = []
    for index, session in enumerate(SESSIONS):
        brightness = _brightness(N_TONES)
        names = [f"audio/{session[:2]}/{session[2:]}/{number}.mp3" for number in range(N_TONES)]
        for name, value in zip(names, brightness, strict=True):
            _write_sound(folder / name, tone(value, 440.0 + 30.0 * index))
        for i, j in combinations(range(N_TONES), 2):
            human = brightness[j] - brightness[i]
            rows.append((session, names[i], names[j], human, 5, 0.1))
    columns = ["session", "a", "b", "dissimilarity_mean", "n_raters", "dissimilarity_sd"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "ratings.csv", index=False)


def _write_source_separation(root: Path) -> None:
    folder = root / SOURCE_SEPARATION.folder
    sounds = {"ref": 0.0, "Quality": 1.0, "Interferer": 0.2, "KAM1": 0.4, "HUA": 0.6}
    for sound, brightness in sounds.items():
        _write_sound(folder / "site/sounds" / PAGE / f"{sound}.flac", tone(brightness, 550.0))
    rows = []
    for experiment, sign in (("quality", -1.0), ("interferer", 1.0)):
        for sound, brightness in sounds.items():
            rating = 50.0 + sign * 40.0 * brightness
            # Two listeners, and a repeated judgement that must be skipped.
            for subject, is_replicate, given in (
                ("A", False, rating - 2),
                ("B", False, rating + 2),
                ("B", True, 0.0),
            ):
                rows.append((is_replicate, PAGE, given, sound, experiment, subject))
    columns = ["is_replicate", "page", "rating", "sound", "experiment", "subject"]
    (folder / "data").mkdir()
    pd.DataFrame(rows, columns=columns).to_csv(folder / "data/ratings.csv", index=False)


def _write_sisec18(root: Path) -> None:
    folder = root / SISEC18.folder
    _write_sound(folder / "site/sounds" / SONG / "ref_vocals.flac", tone(0.0, 660.0))
    rows = []
    # Of ten listeners, the first 4 picked the first sound, the next 3 the second, and so on.
    picked = [0] * 4 + [1] * 3 + [2] * 2 + [3]
    for number, algorithm in enumerate(("JY3", "MDL1", "STL1", "TAK2")):
        url = f"sounds/{SONG}/{algorithm}_vocals.flac"
        _write_sound(folder / "site" / url, tone(0.1 + 0.3 * number, 660.0))
        rows += [(algorithm, url, pick == number, False, i) for i, pick in enumerate(picked)]
    columns = ["sound", "url", "value", "is_replicate", "submission_id"]
    (folder / "results").mkdir()
    pd.DataFrame(rows, columns=columns).to_csv(folder / "results/dataset.csv", index=False)


def _write_recordings(root: Path) -> None:
    """Two recordings where the first repository has them, one where the second does."""
    generator = np.random.default_rng(0)
    places = {
        root / VISQOL.folder / "testdata/conformance_testdata_subset": [
            f"{name}.wav" for name in recordings.NAMES[VISQOL][:2]
        ],
        root / LIBROSA.folder / "audio": [f"{recordings.NAMES[LIBROSA][0]}.hq.ogg"],
    }
    files = [folder / name for folder, names in places.items() for name in names]
    for path, frequency in zip(files, (110.0, 196.0, 523.0), strict=True):
        stereo = [tone(0.9, f, duration_s=RECORDING_S) for f in (frequency, 1.5 * frequency)]
        hiss = 0.02 * generator.standard_normal((2, len(stereo[0])))
        _write_sound(path, (np.stack(stereo) + hiss).T)
