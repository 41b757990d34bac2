"""Noise at the masked threshold, and ladders that a seed makes again."""

import shutil
from functools import partial

import mido
import numpy as np
import pytest
import torch

from benchmarks.masked_noise import add_masked_noise
from pamt_metric.errors import ConfigError
from pamt_metric.psychoacoustics import Ear
from tests.support import signals
from training.data import adversarial, ladders, sources
from training.data.corpus import Clip, _make_clip, rearranged
from training.data.families import FAMILIES
from training.head_config import LadderConfig
from training.pretrain_config import CorpusConfig

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


def test_same_seed_same_ladders(ear):
    # Codecs need ffmpeg and would take seconds.
    families = ("noise", "clipping", "packet loss")

    def build(seed):
        config = LadderConfig(
            seed=seed, n_clips=2, clip_s=0.4, families_per_clip=2, families=families
        )
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


def test_strengths_are_recorded(ear):
    config = LadderConfig(n_clips=1, clip_s=0.4, families=("clipping",), families_per_clip=1)
    copies = ladders.build_ladders(config, FakeCorpus(), ear).copies
    found = [(copy.family, copy.strength) for copy in copies]
    masked = [(ladders.MASKED_NOISE, level) for level in ladders.MASKED_LEVELS_DB]
    same = [("resampled", 44_100.0), ("louder", 0.5), ("delayed", 2.0)]
    assert found == [*masked, *same, ("clipping", 0.7), ("clipping", 0.4), ("clipping", 0.2)]


def test_an_unknown_family_is_refused(ear):
    with pytest.raises(ConfigError, match=r"no families of degradation \['hum'\]"):
        ladders.build_ladders(LadderConfig(families=("hum",)), FakeCorpus(), ear)


def test_another_place_of_the_same_song_is_a_hard_negative(ear):
    config = LadderConfig(n_clips=2, clip_s=0.3, families_per_clip=0, hard_negatives=True)
    made = ladders.build_ladders(config, FakeCorpus(), ear)
    (negative, *more) = [
        c for c in made.copies if c.family == ladders.ANOTHER_PLACE and c.clip == 0
    ]
    assert not more
    whole = np.concatenate(
        [
            FakeCorpus().waveform(clip, sample_rate=48_000, first_frame=0, n_frames=75)
            for clip in FakeCorpus().select(held_aside=False, recordings=False)
        ]
    )
    clip, other = made.clips[0].numpy(), negative.waveform.numpy()
    assert abs(_place(clip, whole) - _place(other, whole)) >= len(clip)
    assert np.sqrt(np.mean(other**2)) == pytest.approx(ladders.LISTENING_RMS, rel=1e-3)


def _place(part, whole):
    """Where a part of a recording, at another gain, was taken from it."""
    steps = range(0, len(whole) - len(part) + 1, 640)
    return 640 * int(np.argmax([np.corrcoef(part, whole[i : i + len(part)])[0, 1] for i in steps]))


# Codecs, pitch and tempo in their own ways: ffmpeg.
NEEDS_FFMPEG = {"mp3", "opus", "aac", "vorbis", "pitch", "tempo"}


@pytest.mark.parametrize("name", FAMILIES)
def test_rungs_of_every_family_grow_in_strength(tiny_metric, name):
    if name in NEEDS_FFMPEG and shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    clip = signals.piece(1.0, seed=4).numpy()[None]
    other = signals.piece(1.0, seed=5).numpy()[None]
    changes = []
    for rung in FAMILIES[name]:
        generator = np.random.default_rng(0)
        attack = partial(adversarial.attack, metric=tiny_metric)
        copy = rung(clip, generator=generator, other=other, attack=attack)
        assert copy.dtype == np.float32
        assert copy.shape[1] <= clip.shape[1]
        spectra = [np.log(np.abs(np.fft.rfft(x[0, :40_000])) + 1.0) for x in (clip, copy)]
        changes.append(np.abs(spectra[0] - spectra[1]).mean())
    assert changes[0] > 0.0
    assert changes == sorted(changes)


def test_same_notes_in_another_arrangement(tmp_path, monkeypatch):
    score = tmp_path / "music" / "nottingham" / "tune.mid"
    score.parent.mkdir(parents=True)
    track = mido.MidiTrack()
    for key in (60, 67, 62, 69) * 4:
        track.append(mido.Message("note_on", note=key, velocity=80))
        track.append(mido.Message("note_off", note=key, time=240))
    mido.MidiFile(ticks_per_beat=480, tracks=[track]).save(score)
    played = []

    def render(midi, soundfont, *, sample_rate, n_samples):
        played.append((list(midi.tracks[0]), soundfont))
        return np.zeros((2, n_samples), np.float32)

    monkeypatch.setattr("benchmarks.rendering.render", render)
    monkeypatch.setattr("benchmarks.rendering.find_soundfont", lambda name: name)
    config = CorpusConfig(soundfonts=("a", "b", "c"), drum_probability=0.0)
    name = "music/nottingham/tune.mid"
    clip = Clip("nottingham", name, 0, 150, 7, held_aside=False, low_pass_hz=None)
    _make_clip(clip, sources.scores("nottingham", tmp_path), config)
    for seed in (1, 1, 2):
        assert rearranged(clip, config, tmp_path, seed=seed).shape == (96_000,)
    _, one, again, _ = played
    assert one == again
    keys = [[(m.time, m.note) for m in track if m.type == "note_on"] for track, _ in played]
    assert len(keys[0]) > 1
    assert all(found == keys[0] for found in keys)
    programs = [[m.program for m in track if m.type == "program_change"] for track, _ in played]
    assert programs[0] != programs[1] != programs[3]


def test_an_attack_moves_the_encoder_more_than_noise_of_its_level(tiny_metric):
    clip = signals.piece(0.5, seed=6).numpy()[None]
    copy = adversarial.attack(clip, tiny_metric, snr_db=30.0)
    noise = np.random.default_rng(0).standard_normal(clip.shape).astype(np.float32)
    noisy = clip + noise * np.linalg.norm(copy - clip) / np.linalg.norm(noise)
    ratio = 20 * np.log10(np.linalg.norm(clip) / np.linalg.norm(copy - clip))
    assert ratio == pytest.approx(30.0, abs=0.01)
    length = torch.tensor([clip.shape[1]])
    target, attacked, other = (
        tiny_metric.hidden_states(torch.from_numpy(x)[None], length) for x in (clip, copy, noisy)
    )
    moved = [(x - target).square().mean().item() for x in (attacked, other)]
    assert moved[0] > 2.0 * moved[1]
