"""The two tasks on rendered scores: covers of pop songs, and six styles.

A cover is the same passage of another arrangement of the song, played by other instruments of
another soundfont, faster or slower by up to a quarter, and up to five semitones higher or lower.
A style's pieces are played by instruments drawn at random, so that timbre tells nothing.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import rendering
from benchmarks.rendering import Note
from benchmarks.robustness.clips import SAMPLE_RATE, Item, Task, seeded, spread

SOUNDFONTS = ("FluidR3_GM.sf2", "TimGM6mb.sf2", "MuseScore_General_Lite.sf3")
COVER_SONGS = 240
COVER_VERSIONS = 8
COVER_START = 0.3
"""Where in the song the passage begins, as a share of its length: past the introduction."""
STYLE_PATTERNS = {
    "pop": "music/pop909/*/???.mid",
    "jig": "music/nottingham/jigs*.mid",
    "reel": "music/nottingham/reels*.mid",
    "hornpipe": "music/nottingham/hpps*.mid",
    "waltz": "music/nottingham/waltzes*.mid",
}
STYLE_CLIPS = 200
STYLE_PIECES = 100
"""Of each style: clips, of at most so many pieces; where there are fewer, each is played more."""
DRUM_PROBABILITY = 0.3
FEWEST_NOTES = 4
_CHORALES = "music/jsb-chorales/Jsb16thSeparated.json"
_RECIPE = 2
"""To be raised when the same names would give other sound."""


def covers(root: Path, *, duration_s: float, limit: int | None = None) -> Task:
    """Songs of POP909 in eight versions each, of the song's score and of other arrangements."""
    folders = sorted(path for path in (root / "music/pop909").glob("*") if path.is_dir())
    items = []
    for folder in spread(folders, limit or COVER_SONGS):
        main = folder / f"{folder.name}.mid"
        others = sorted(folder.glob(f"{folder.name}-v*.mid"))
        scores = ([main, main, *others, *others] * COVER_VERSIONS)[:COVER_VERSIONS]
        if not others or not main.is_file():
            continue
        for version, score in enumerate(scores):
            read = partial(_cover, main, score, version, duration_s)
            items.append(Item(f"{folder.name}/{version}", folder.name, folder.name, version, read))
    return Task("covers", "retrieval", tuple(items), f"pop909 {_RECIPE} {duration_s}")


def styles(root: Path, *, duration_s: float, limit: int | None = None) -> Task:
    """Six styles, as many clips of each."""
    pieces: dict[str, dict[str, Callable[[], list[Note]]]] = {}
    for label, pattern in STYLE_PATTERNS.items():
        paths = spread(sorted(root.glob(pattern)), limit or STYLE_PIECES)
        pieces[label] = {path.stem: partial(rendering.read_midi, path) for path in paths}
    chorales = root / _CHORALES
    if chorales.is_file():
        scores = spread(json.loads(chorales.read_text())["train"], limit or STYLE_PIECES)
        pieces["chorale"] = {
            f"chorale{number}": partial(rendering.chorale_notes, steps)
            for number, steps in enumerate(scores)
        }
    items = []
    for label, scores in pieces.items():
        n_renders = math.ceil((2 * limit if limit else STYLE_CLIPS) / max(1, len(scores)))
        items += [
            Item(f"{piece}/{version}", piece, label, version, read)
            for piece, score in scores.items()
            for version in range(n_renders)
            for read in (partial(_style, piece, version, duration_s, score),)
        ]
    return Task("genres", "classification", tuple(items), f"styles {_RECIPE} {duration_s}")


def _cover(main: Path, score: Path, version: int, duration_s: float) -> np.ndarray:
    rng = seeded(main.stem, version)
    tempo = rng.uniform(*rendering.TEMPO_FACTORS)
    notes, reference = rendering.read_midi(score), rendering.read_midi(main)
    start_s = COVER_START * max(note.onset_s + note.duration_s for note in reference)
    passage = rendering.excerpt(notes, start_s, duration_s * tempo)
    if len(passage) < FEWEST_NOTES:  # an arrangement that is shorter than the song
        passage = rendering.excerpt(reference, start_s, duration_s * tempo)
    played = [
        replace(note, onset_s=note.onset_s / tempo, duration_s=note.duration_s / tempo)
        for note in passage
    ]
    # The versions of one song never share a soundfont with the version before.
    return _play(played, duration_s, rng, SOUNDFONTS[version % len(SOUNDFONTS)])


def _style(
    piece: str, version: int, duration_s: float, score: Callable[[], list[Note]]
) -> np.ndarray:
    rng = seeded(piece, version)
    notes = rendering.random_excerpt(score(), duration_s, rng)
    while len(notes) < FEWEST_NOTES:
        notes = rendering.random_excerpt(score(), duration_s, rng)
    return _play(notes, duration_s, rng, SOUNDFONTS[int(rng.integers(len(SOUNDFONTS)))])


def _play(
    notes: Sequence[Note], duration_s: float, rng: np.random.Generator, soundfont: str
) -> np.ndarray:
    midi = rendering.arrange(
        notes,
        duration_s,
        rng,
        shift=rendering.random_key(rng),
        drum_probability=DRUM_PROBABILITY,
    )
    sound = rendering.render(
        midi,
        rendering.find_soundfont(soundfont),
        sample_rate=SAMPLE_RATE,
        n_samples=round(duration_s * SAMPLE_RATE),
    )
    return sound.mean(axis=0)
