"""The examples run, and show what they say they show."""

import importlib.util
from pathlib import Path

import pytest
import soundfile
import torch

from tests.support import signals

EXAMPLES = Path(__file__).parents[1] / "examples"
RATE = 24_000


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    return example


def test_recover_eq():
    example = load("recover_eq")
    true = torch.tensor(example.TRUE_GAINS_DB)
    dry = signals.piece(0.3, seed=1, sample_rate=RATE)
    found, values = example.recover(dry, example.equalise(dry, true, RATE), RATE, 16)
    assert values[-1] < 0.3 * values[0]
    assert (found - true).abs().max() < 0.5 * true.abs().max()


def test_train_denoiser():
    found = load("train_denoiser").main(steps=8)
    assert found["trained with PerceptualLoss"] < found["noisy"]


@pytest.mark.slow
def test_perceptual_denoiser_leaves_less_over_the_mask():
    found = load("train_denoiser").main(steps=40)
    assert found["trained with PerceptualLoss"] < found["trained with mse_loss"]


def test_rank_codecs(tmp_path):
    example = load("rank_codecs")
    if len(example.available()) < len(example.SETTINGS):
        pytest.skip("needs ffmpeg with libmp3lame and libopus")
    path = tmp_path / "piece.wav"
    soundfile.write(path, signals.piece(1.0, seed=1).numpy(), signals.SAMPLE_RATE)
    ranked = [name for name, _ in example.rank(path)]
    for codec, better, worse in (("mp3", 192, 64), ("mp3", 64, 32), ("opus", 96, 16)):
        assert ranked.index(f"{codec} {better} kbit/s") < ranked.index(f"{codec} {worse} kbit/s")


def test_near_duplicates(tmp_path):
    first, second = (signals.piece(0.5, seed=seed, sample_rate=RATE) for seed in (1, 2))
    sounds = {"a": first, "b": second, "c": signals.with_noise(first, 35.0)}
    for name, sound in sounds.items():
        soundfile.write(tmp_path / f"{name}.flac", sound.numpy(), RATE)
    (tmp_path / "notes.txt").write_text("not a sound")
    (group,) = load("near_duplicates").near_duplicates(tmp_path)
    assert [path.stem for path in group] == ["a", "c"]
