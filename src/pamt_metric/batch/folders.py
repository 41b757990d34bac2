"""Sound files of folders, and the pairs that two folders make by the names of their files."""

import os
from pathlib import Path

from pamt_metric.batch import table
from pamt_metric.batch.pairs import Pair, PairList, of_files
from pamt_metric.errors import InputError

SUFFIXES = frozenset({
    ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".m4a", ".m4b", ".mka",
    ".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".w64",
    ".wav", ".webm", ".wma", ".wv",
})  # fmt: skip
"""Files of a folder that count as sound; the others (notes, covers) are passed over."""


def sound_files(folder: Path) -> list[Path]:
    """Sound files in a folder and below, hidden ones aside, as sorted paths relative to it.

    Raises:
        InputError: it is no folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    below = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return [
        path
        for path in below
        if path.suffix.lower() in SUFFIXES and not any(x.startswith(".") for x in path.parts)
    ]


def pair(reference_dir: Path, test_dir: Path) -> PairList:
    """Pairs of two folders, matched by path below the folder without the suffix.

    A file without a counterpart, or with several, is a row with that reason.

    Raises:
        InputError: one of the two is no folder, or neither holds a sound.
    """
    references, tests = _by_name(reference_dir), _by_name(test_dir)
    pairs = []
    for name in sorted(references.keys() | tests.keys()):
        pairs += _match(references.get(name, []), tests.get(name, []), reference_dir, test_dir)
    if not pairs:
        raise InputError(f"neither {reference_dir} nor {test_dir} holds a sound file")
    return PairList(["reference", "test"], pairs, f"{reference_dir} and {test_dir}", Path())


def _by_name(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for below in sound_files(folder):
        found.setdefault(below.with_suffix("").as_posix(), []).append(below)
    return found


def _match(
    references: list[Path], tests: list[Path], reference_dir: Path, test_dir: Path
) -> list[Pair]:
    """Pairs of the files of one name: one of each, or several told apart by their suffix."""
    if len(references) == len(tests) == 1:
        return [of_files(_join(reference_dir, references[0]), _join(test_dir, tests[0]))]
    both = [below for below in references if below in tests]
    unique = not (references and tests)
    return [
        *(of_files(_join(reference_dir, below), _join(test_dir, below)) for below in both),
        *(
            _unmatched("reference", reference_dir, below, test_dir, unique=unique)
            for below in references
            if below not in both
        ),
        *(
            _unmatched("test", test_dir, below, reference_dir, unique=unique)
            for below in tests
            if below not in both
        ),
    ]


def _unmatched(side: str, folder: Path, below: Path, other: Path, *, unique: bool) -> Pair:
    cells = {"reference": "", "test": "", side: table.path_cell(_join(folder, below))}
    name = below.with_suffix("").as_posix()
    reason = f"{other} has none" if unique else f"{folder} or {other} has several"
    return Pair(cells, problem=f"no counterpart: of files called {name}, {reason}")


def _join(folder: Path, below: Path) -> str:
    return os.path.join(folder, below)  # noqa: PTH118 (a Path drops the './')
