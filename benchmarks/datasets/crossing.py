"""Finds what is on both sides of the split and must not be: audio, songs, singers, experiments."""

import hashlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.cache import content_hash
from benchmarks.datasets.table import records
from benchmarks.waveforms import read


def crossings(table: pd.DataFrame, *, decode: bool = False) -> list[str]:
    """One line for each group or audio file that is both trained on and held out.

    Args:
        table: As `benchmarks.datasets.load` gives it.
        decode: Also compare what the files sound like, so that one sound in two containers or with
            other silence around it is found. Reads every file.
    """
    sides: dict[str, set[str]] = defaultdict(set)
    for row in records(table[["group", "split"]].drop_duplicates()):
        sides[f"group {row['group']}"].add(row["split"])
    lines = [f"{group} is on both sides" for group, found in sides.items() if len(found) > 1]
    lines += _audio_crossings(table, content_hash, "file")
    return lines + (_audio_crossings(table, sound_hash, "sound") if decode else [])


def sound_hash(path: str) -> str:
    """SHA-256 of the 16-bit samples between the silences at both ends."""
    waveform, _ = read(path)
    samples = np.round(waveform * 2.0**15).astype("<i4")
    sounding = np.flatnonzero(samples.any(axis=0))
    if sounding.size:
        samples = samples[:, sounding[0] : sounding[-1] + 1]
    return hashlib.sha256(samples.tobytes()).hexdigest()


def _audio_crossings(table: pd.DataFrame, identify: Callable[[str], str], kind: str) -> list[str]:
    files: dict[str, dict[str, str]] = defaultdict(dict)
    known: dict[str, str] = {}
    for row in records(table[["reference", "test", "split"]]):
        for path in (row["reference"], row["test"]):
            if path not in known:
                known[path] = identify(path)
            files[known[path]][row["split"]] = path
    return [
        f"one {kind} is on both sides: {' and '.join(Path(path).name for path in found.values())}"
        for found in files.values()
        if len(found) > 1
    ]
