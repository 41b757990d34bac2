"""A folder of sounds with their scores, and one process of the command for all its tests."""

import csv

import pytest
import soundfile
import torch

from tests.support import shell, signals

RATE = 48_000
DURATION_S = 1.5
HOSTILE_NAME = '<img src=x onerror="window.hacked=1">.wav'
HOSTILE_CELL = "</script><script>window.hacked=1</script>{{ 7 * 7 }}=cmd|calc!A1"
ROWS = [
    ["take", "rate", "reference", "test"],
    ["a", "10", "piece.wav", "noisy.wav"],
    ["b", "9", "piece.wav", HOSTILE_NAME],
    [HOSTILE_CELL, "", "piece.wav", "gone.wav"],
    ["=1+1", "100", "piece.wav", "late.wav"],
]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Sounds, one of a name that is code, and the list `pairs.csv`; the fourth file is missing."""
    path = tmp_path_factory.mktemp("pictures")
    piece = signals.piece(DURATION_S, seed=1)
    sounds = {
        "piece.wav": piece,
        "noisy.wav": signals.with_noise(piece, 20.0),
        HOSTILE_NAME: signals.low_passed(piece, 2000.0),
        "late.wav": torch.cat([signals.silence(0.1), 0.5 * piece]),
    }
    for name, sound in sounds.items():
        soundfile.write(path / name, sound.numpy(), RATE, subtype="FLOAT")
    (path / "text.wav").write_text("not a sound")
    with (path / "pairs.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(ROWS)
    return path


@pytest.fixture(scope="session")
def pamt(folder):
    with shell.server(folder) as run:
        yield run


@pytest.fixture(scope="session")
def scores(folder, pamt):
    """`out.csv` in the folder."""
    done = pamt("score", "--manifest", "pairs.csv", "-o", "out.csv")
    assert "1 of 4 pairs failed" in done.stderr
    return folder / "out.csv"
