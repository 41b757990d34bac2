"""Sample audio of the degradations, by the command."""

import csv
import shutil
import sys

import numpy as np
import pytest
import soundfile

from training import __main__ as stages
from training import degradations
from training.data.families import FAMILIES
from training.data.ladders import MASKED_LEVELS_DB


def test_every_degradation_is_written_with_its_strength(tmp_path, monkeypatch):
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    # Each rung is tested by itself; these are of every kind: chance, ffmpeg, shorter, the encoder.
    kept = ("packet loss", "mp3", "tempo", "leakage", "adversarial")
    families = {name: FAMILIES[name][-1:] for name in kept}
    monkeypatch.setattr(degradations, "FAMILIES", families)
    monkeypatch.setattr(degradations, "_NOTE_S", 0.1)
    output = tmp_path / "samples"
    monkeypatch.setattr(sys, "argv", ["training", "degradations", "--output", str(output)])
    stages.main()
    rows = list(csv.DictReader((output / degradations.TABLE_FILE).read_text().splitlines()))
    assert len(rows) == len(MASKED_LEVELS_DB) + sum(map(len, families.values()))
    clip, rate = soundfile.read(output / "clip.flac")
    assert rate == 48_000
    for row in rows:
        assert row["file"].endswith(f"_{row['knob']}={float(row['strength']):g}.flac")
        copy, _ = soundfile.read(output / row["file"])
        n = min(len(copy), len(clip))
        assert np.abs(copy[:n] - clip[:n]).max() > 0.0
    assert {path.name for path in output.glob("*_*.flac")} == {row["file"] for row in rows}


def test_a_clip_that_is_none_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "clip.wav").write_bytes(b"nothing")
    arguments = ["--output", str(tmp_path / "out"), "--clip", str(tmp_path / "clip.wav")]
    monkeypatch.setattr(sys, "argv", ["training", "degradations", *arguments])
    with pytest.raises(SystemExit) as stopped:
        stages.main()
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("training: ")
    assert said.count("\n") == 1
    assert "clip.wav" in said
