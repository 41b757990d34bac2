"""Sample audio of every degradation at every strength, to be listened to.

    python -m training degradations --output DIR [--clip FILE] [--other FILE]

Each copy is a FLAC file named by its family, its knob and the strength, and a row of
`degradations.csv`. Without a clip, a made-up tune is degraded.
"""

import argparse
import csv
import logging
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch

from benchmarks.datasets import synthetic
from benchmarks.masked_noise import add_masked_noise
from pamt_metric import audio
from pamt_metric.checkpoint import load
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE
from training.data import adversarial
from training.data.families import FAMILIES
from training.data.ladders import MASKED_LEVELS_DB, MASKED_NOISE, at_listening_level
from training.progress import set_up_logging

TABLE_FILE = "degradations.csv"
COLUMNS: tuple[str, ...] = ("file", "family", "rung", "knob", "strength")
LONGEST_S = 10.0
MODEL = "pamt-mini"
"""Whose ear says what is masked, and whose encoder is attacked."""
_TUNE = ((0.7, 220.0), (0.3, 277.2), (0.9, 329.6), (0.5, 440.0), (0.2, 329.6), (0.8, 277.2))
"""Brightness and frequency in Hz of the notes of a made-up tune."""
_NOTE_S = 0.4
_SEED = 0

_log = logging.getLogger(__name__)


def write_samples(clip: np.ndarray, other: np.ndarray, output: Path) -> list[dict[str, object]]:
    """Write the clip and all its copies; returns the rows of the table.

    Args:
        clip: mono at 48 kHz, at the level at which it is heard.
        other: what leaks into it, as long.
        output: the folder.
    """
    output.mkdir(parents=True, exist_ok=True)
    soundfile.write(output / "clip.flac", clip, SAMPLE_RATE)
    rows: list[dict[str, object]] = []

    def write(family: str, rung: int, knob: str, strength: float, copy: np.ndarray) -> None:
        name = f"{family.replace(' ', '-')}_{rung}_{knob}={strength:g}.flac"
        # Louder than full scale only in noise as loud as the clip: turned down, not clipped.
        soundfile.write(output / name, copy / max(1.0, float(np.abs(copy).max())), SAMPLE_RATE)
        rows.append(dict(zip(COLUMNS, (name, family, rung, knob, strength), strict=True)))

    metric = load(MODEL)
    ear, attack = metric.ear, partial(adversarial.attack, metric=metric)
    for rung, level_db in enumerate(MASKED_LEVELS_DB):
        generator = torch.Generator().manual_seed(_SEED)
        noisy = add_masked_noise(
            torch.from_numpy(clip), ear, level_db=level_db, generator=generator
        )
        write(MASKED_NOISE, rung, "level_db", level_db, noisy.numpy())
    for family, rungs in FAMILIES.items():
        for number, rung in enumerate(rungs):
            generator = np.random.default_rng(_SEED)
            copy = rung(clip[None], generator=generator, other=other[None], attack=attack)[0]
            write(family, number, rung.knob, rung.strength, copy)
    with (output / TABLE_FILE).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(rows)
    return rows


def _read(path: Path) -> np.ndarray:
    waveform = audio.load(path, target_rate=SAMPLE_RATE).waveform[0].mean(0).numpy()
    return at_listening_level(waveform[: round(LONGEST_S * SAMPLE_RATE)])


def _tune() -> np.ndarray:
    notes = [synthetic.tone(*note, duration_s=_NOTE_S) for note in _TUNE]
    return at_listening_level(
        soxr.resample(np.concatenate(notes), synthetic.SAMPLE_RATE, SAMPLE_RATE)
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write sample audio of every degradation.")
    parser.add_argument("--output", type=Path, required=True, help="folder of the samples")
    parser.add_argument("--clip", type=Path, help="audio file whose beginning is degraded")
    parser.add_argument("--other", type=Path, help="audio file that leaks into it")
    arguments = parser.parse_args()
    set_up_logging()
    clip = _read(arguments.clip) if arguments.clip else _tune()
    other = _read(arguments.other) if arguments.other else clip[::-1]
    rows = write_samples(clip, np.resize(other, clip.shape), arguments.output)
    _log.info("%d samples and %s are in %s", len(rows), TABLE_FILE, arguments.output)


if __name__ == "__main__":
    main()
