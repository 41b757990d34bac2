"""The 15 recordings, without ratings, on which orderings are checked.

Layouts: google/visqol's `testdata/conformance_testdata_subset/*.wav` and librosa/data's
`audio/*.hq.ogg`, or the same files directly in the folder, in any format soundfile reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.datasets.sources import LIBROSA, VISQOL, Source

SOURCES = (VISQOL, LIBROSA)
SUFFIXES = (".flac", ".wav", ".hq.ogg", ".ogg")
PLACES = {
    VISQOL: (".", "testdata/conformance_testdata_subset"),
    LIBROSA: (".", "audio"),
}
NAMES = {
    VISQOL: (
        "castanets48_stereo",
        "contrabassoon48_stereo",
        "glock48_stereo",
        "guitar48_stereo",
        "harpsichord48_stereo",
        "moonlight48_stereo",
        "ravel48_stereo",
        "sopr48_stereo",
        "steely48_stereo",
        "strauss48_stereo",
    ),
    LIBROSA: (
        "Hungarian_Dance_number_5_-_Allegro_in_F_sharp_minor_(string_orchestra)",
        "Karissa_Hobbs_-_Lets_Go_Fishin",
        "Kevin_MacLeod_-_P_I_Tchaikovsky_Dance_of_the_Sugar_Plum_Fairy",
        "Kevin_MacLeod_-_Vibe_Ace",
        "sorohanro_-_solo-trumpet-06",
    ),
}


@dataclass(frozen=True)
class Recordings:
    """Name of each recording to its file, and one line about each that is not there."""

    paths: dict[str, Path]
    missing: list[str] = field(default_factory=list)


def read(root: Path) -> Recordings:
    """Finds the recordings below a data root."""
    found = {
        name: find(root, source, name, PLACES[source])
        for source, names in NAMES.items()
        for name in names
    }
    missing = [f"recording {name} is absent" for name, path in found.items() if path is None]
    return Recordings({name: path for name, path in found.items() if path}, missing)


def find(root: Path, source: Source, name: str, places: Sequence[str]) -> Path | None:
    """A sound file of a repository in the first of these folders that has it."""
    folders = (root / source.folder / place for place in places)
    candidates = (folder / f"{name}{suffix}" for folder in folders for suffix in SUFFIXES)
    return next((path.resolve() for path in candidates if path.is_file()), None)
