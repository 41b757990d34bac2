"""Tasks on audio that users have, by the folder layouts in which it is published.

Of every file the middle is taken. A file that cannot be read costs its own row alone, see
`clips.waveforms`. Published layouts:

    Ellis 2007, Covers80:           `covers32k/Abracadabra/steve_miller_band+....mp3`
    Xu et al. 2018, SHS100K:        a folder for each work, its versions inside
    Yesiler et al. 2019, Da-TACOS:  `W_163992/P_547131.mp3`
    Tzanetakis and Cook 2002:       `genres/blues/blues.00000.au`
    Defferrard et al. 2017, FMA:    `fma_small/000/000002.mp3`, `fma_metadata/tracks.csv`
"""

import re
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.robustness.clips import SAMPLE_RATE, Item, Task, fit, spread
from pamt_metric import audio
from pamt_metric.errors import InputError

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aif", ".aiff", ".au"})
GTZAN_NAME = re.compile(r"(?P<genre>[a-z]+)\.\d{5}\.(wav|au|mp3)$")
FMA_NAME = re.compile(r"(?P<start>\d{3})/(?P=start)\d{3}\.mp3$")
FMA_TRACKS = "fma_metadata/tracks.csv"


def song_folders(root: Path, *, duration_s: float, limit: int | None = None) -> Task:
    """A folder for each song, at least two versions inside: SHS100K, Da-TACOS, one's own."""
    by_song: dict[str, list[Path]] = {}
    for path in _audio(root):
        by_song.setdefault(path.parent.relative_to(root).as_posix(), []).append(path)
    songs = [song for song, paths in sorted(by_song.items()) if len(paths) > 1]
    items = [
        Item(path.relative_to(root).as_posix(), song, song, version, _reader(path, duration_s))
        for song in spread(songs, limit)
        for version, path in enumerate(by_song[song])
    ]
    return Task("covers", "retrieval", tuple(items), f"folders {duration_s}")


def covers80(root: Path, *, duration_s: float, limit: int | None = None) -> Task:
    """Covers80 as its archive unpacks: the songs' folders lie in `covers32k`."""
    inner = root / "covers32k"
    return song_folders(inner if inner.is_dir() else root, duration_s=duration_s, limit=limit)


def gtzan(root: Path, *, duration_s: float, limit: int | None = None) -> Task:
    """GTZAN; the genre is in the file's name. `limit` files of each genre."""
    by_genre: dict[str, list[Path]] = {}
    for path in _audio(root):
        if found := GTZAN_NAME.search(path.name):
            by_genre.setdefault(found["genre"], []).append(path)
    return _genres(root, by_genre, duration_s=duration_s, limit=limit)


def fma(root: Path, *, duration_s: float, limit: int | None = None) -> Task:
    """FMA; the top genre of a track is in its metadata. `limit` tracks of each genre.

    Raises:
        InputError: the metadata's archive is not unpacked beside the audio's.
    """
    table = root / FMA_TRACKS
    if not table.is_file():
        raise InputError(
            f"no {FMA_TRACKS} in {root}: the genres of FMA are in its archive fma_metadata.zip; "
            "unpack it beside fma_small (or any other size)"
        )
    tracks = pd.read_csv(table, index_col=0, header=[0, 1], low_memory=False)
    genres = tracks["track", "genre_top"].dropna().to_dict()
    by_genre: dict[str, list[Path]] = {}
    for path in _audio(root):
        genre = genres.get(int(path.stem)) if FMA_NAME.search(path.as_posix()) else None
        if genre is not None:
            by_genre.setdefault(str(genre), []).append(path)
    return _genres(root, by_genre, duration_s=duration_s, limit=limit)


def _genres(
    root: Path, by_genre: dict[str, list[Path]], *, duration_s: float, limit: int | None
) -> Task:
    items = []
    for genre, paths in sorted(by_genre.items()):
        for path in spread(paths, limit):
            name = path.relative_to(root).as_posix()
            items.append(Item(name, name, genre, 0, _reader(path, duration_s)))
    if len(Counter(item.label for item in items)) == 1:
        raise InputError(f"only the genre {items[0].label!r} lies in {root}: nothing to tell apart")
    return Task("genres", "classification", tuple(items), f"files {duration_s}")


def _audio(root: Path) -> list[Path]:
    if not root.is_dir():
        raise InputError(f"the folder {root} does not exist")
    return sorted(path for path in root.rglob("*.*") if path.suffix.lower() in SUFFIXES)


def _reader(path: Path, duration_s: float) -> partial[np.ndarray]:
    return partial(_middle, path, duration_s)


def _middle(path: Path, duration_s: float) -> np.ndarray:
    clip = audio.load(path, sample_rate=None, target_rate=SAMPLE_RATE)
    mono = clip.waveform[0].mean(0).numpy()
    n_sample = round(duration_s * SAMPLE_RATE)
    start = max(0, (mono.shape[0] - n_sample) // 2)
    return fit(mono[start:], n_sample)
