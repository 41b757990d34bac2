"""The whole of it, small: made songs in folders, every attack, the report, and a second run."""

import numpy as np
import pytest
import soundfile

from benchmarks.__main__ import main
from benchmarks.results_file import read_text
from benchmarks.robustness import catalogue, suite
from benchmarks.robustness.catalogue import ATTACKS, CLEAN, CONTROLS, Trial
from benchmarks.robustness.section import section
from pamt_metric import checkpoint

RATE = 48_000
N_SONGS, N_VERSIONS = 10, 3
DURATION_S = 1.2


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Ten chords, each by three instruments."""
    root = tmp_path_factory.mktemp("songs")
    time = np.arange(int(DURATION_S * RATE)) / RATE
    rng = np.random.default_rng(0)
    for song in range(N_SONGS):
        pitches = 60 + rng.choice(24, 3, replace=False)
        for version in range(N_VERSIONS):
            sound = sum(
                np.sin(2.0 * np.pi * k * 440.0 * 2.0 ** ((pitch - 69) / 12.0) * time) / k**power
                for pitch in pitches
                for k in range(1, 6)
                for power in (1.0 + 0.5 * version,)
            )
            path = root / f"song{song}/{version}.wav"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, 0.05 * sound * np.exp(-3.0 * time), RATE)
    return root


def _run(songs, folder, *more):
    main(
        [
            *("robustness", "--data", str(songs), "--task", "shs100k", "--small"),
            *("--seconds", str(DURATION_S), "--processes", "1", "--work", str(folder / "work")),
            *("--results", str(folder / "robustness.csv"), *more),
        ]
    )


@pytest.mark.slow
def test_every_attack_on_every_system_is_in_the_results_and_the_report(songs, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        _run(songs, tmp_path)
    assert ended.value.code == 0
    found = read_text(tmp_path / "robustness.csv")
    assert set(found["attack"]) == {CLEAN, *ATTACKS, *CONTROLS}
    assert set(found["correct"]) <= {"0", "1"}
    counts = found.groupby(["attack", "system"])["item"].nunique()
    assert set(counts) == {2}
    text = "\n".join(section(tmp_path, tmp_path / "REPORT.md"))
    assert "gain over all attacks" in text
    assert "Are gradients hidden?" in text
    assert "encoder-cosine" in text
    assert (tmp_path / "plots/robustness-audibility.png").stat().st_size > 10_000


def test_a_second_run_attacks_only_what_is_missing(songs, tmp_path, monkeypatch):
    attacked = []

    def counted(unit, original=suite.attack):
        attacked.append(unit)
        return original(unit)

    monkeypatch.setattr(suite, "attack", counted)
    options = ("--attack", "noise-40", "--no-evidence", "--items", "1")
    for expected in (4, 4):  # two clips of the small run, by two systems
        with pytest.raises(SystemExit):
            _run(songs, tmp_path, *options)
        assert len(attacked) == expected
    found = read_text(tmp_path / "robustness.csv")
    noisy = found[found["attack"] == "noise-40"]
    assert noisy["snr_db"].astype(float).to_numpy() == pytest.approx(40.0, abs=0.1)
    found.iloc[1:].to_csv(tmp_path / "robustness.csv", index=False)
    with pytest.raises(SystemExit):
        _run(songs, tmp_path, *options)
    assert len(attacked) == 5


def test_an_unknown_attack_is_refused_with_the_choices(songs, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        _run(songs, tmp_path, "--attack", "pgd")
    assert ended.value.code == 2
    assert "unknown attack pgd; there are fgsm-30" in capsys.readouterr().err


def test_an_unknown_system_is_refused_with_the_choices(songs, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        _run(songs, tmp_path, "--system", "pamt-mini")
    assert ended.value.code == 2
    expected = "unknown system pamt-mini; there are encoder, pamt, pamt-sound"
    assert expected in capsys.readouterr().err


def test_masked_and_one_jnd_are_what_they_say(songs):
    metric = checkpoint.load().requires_grad_(False)
    import torch

    sound, _ = soundfile.read(songs / "song0/0.wav", dtype="float32")
    clean = torch.from_numpy(sound)
    weight = torch.randn(clean.shape[0], generator=torch.Generator().manual_seed(0))
    trial = Trial(
        objective=lambda waveform: (waveform - clean) @ weight - 1e6,
        clean=clean,
        other=clean,
        metric=metric,
        effort=catalogue.Effort(steps=3, restarts=1),
        seed=0,
        universal=lambda: torch.zeros_like(clean),
    )
    for name, limit in (("masked", None), ("jnd-1", 1.0)):
        found = ATTACKS[name](trial)
        heard = suite.audibility.measure(metric, clean, clean + found.delta)
        assert found.delta.any()
        if limit is None:
            assert -3.0 <= heard.nmr_db <= 3.0
        else:
            assert 0.5 * limit <= heard.jnd <= 1.02 * limit
