"""A folder of clips for the commands that take many files: some alike, some not, one no sound."""

from pathlib import Path

import torch

from tests.support import signals

RATE = 24_000
FILES = ("a.wav", "noisy.wav", "long.wav", "wide.wav")


def write(folder: Path) -> Path:
    """Clips of several lengths, one in stereo, and something that is no audio."""
    piece = signals.piece(0.4, seed=1, sample_rate=RATE)
    noisy = signals.with_noise(piece, 10.0)
    long = signals.piece(0.7, seed=2, sample_rate=RATE)
    wide = torch.stack([long, 0.5 * long])
    for name, sound in zip(FILES, (piece, noisy, long, wide), strict=True):
        signals.write(folder / name, sound, sample_rate=RATE)
    (folder / "text.wav").write_text("not a sound")
    return folder
