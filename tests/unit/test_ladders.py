"""Noise at the masked threshold, and ladders that a seed makes again."""

import numpy as np
import pytest
import torch

from pamt_metric.psychoacoustics import Ear
from tests.support import signals
from training.config import LadderConfig
from training.data import ladders
from training.data.corpus import Clip
from training.data.masked_noise import add_masked_noise

# The shaping filter has no finer grid than the bands, whose neighbours leak into each other.
LEVEL_TOLERANCE_DB = 2.0


@pytest.fixture(scope="module")
def ear():
    return Ear().requires_grad_(False)


@pytest.mark.parametrize("level_db", [-6.0, 12.0])
def test_masked_noise_lies_at_its_level_over_the_threshold(ear, level_db):
    waveform = signals.tone(1.0, frequency=150.0, n_partials=40)
    generator = torch.Generator().manual_seed(0)
    noisy = add_masked_noise(waveform, ear, level_db=level_db, generator=generator)
    length = torch.tensor([len(waveform)])
    threshold = ear(waveform[None, None], length).threshold[0, 10:-10].mean(0)
    noise = ear((noisy - waveform)[None, None], length).excitation[0, 10:-10].mean(0)
    over_db = 10.0 * (noise / threshold).log10()
    assert over_db.mean().item() == pytest.approx(level_db, abs=LEVEL_TOLERANCE_DB)


def test_masked_noise_follows_its_generator(ear):
    waveform = signals.tone(0.3)

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return add_masked_noise(waveform, ear, level_db=0.0, generator=generator)

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


class FakeCorpus:
    """Two clips of a second, one of them a recording."""

    def select(self, *, held_aside, recordings):
        assert not held_aside
        kind = "recording" if recordings else "rendered"
        return [Clip(kind, kind, 0, 75, 0, held_aside=False, low_pass_hz=None)]

    def waveform(self, clip, *, sample_rate, first_frame, n_frames):
        seed = 1 if clip.kind == "recording" else 2
        whole = signals.piece(1.0, seed=seed, sample_rate=sample_rate).numpy()
        hop = sample_rate // 75
        return whole[first_frame * hop : (first_frame + n_frames) * hop]


def test_same_seed_same_ladders(ear, monkeypatch):
    # Codecs need ffmpeg and would take seconds.
    kept = {name: ladders.FAMILIES[name] for name in ("noise", "clipping", "packet loss")}
    monkeypatch.setattr(ladders, "FAMILIES", kept)

    def build(seed):
        config = LadderConfig(seed=seed, n_clips=2, clip_s=0.4, families_per_clip=2)
        return ladders.build_ladders(config, FakeCorpus(), ear)

    one, two, other = build(0), build(0), build(1)
    assert len(one.clips) == 2
    assert all(map(torch.equal, one.clips, two.clips))
    assert [(c.clip, c.family, c.rung) for c in one.copies] == [
        (c.clip, c.family, c.rung) for c in two.copies
    ]
    assert all(torch.equal(a.waveform, b.waveform) for a, b in zip(one.copies, two.copies))  # noqa: B905 (lengths are equal by the line above)
    assert not torch.equal(one.clips[0], other.clips[0])
    masked = [c.rung for c in one.copies if c.family == ladders.MASKED_NOISE and c.clip == 0]
    assert masked == [0, 1, 2, 3]
    rms = np.sqrt(np.mean(one.clips[0].numpy() ** 2))
    assert rms == pytest.approx(ladders.LISTENING_RMS, rel=1e-3)
