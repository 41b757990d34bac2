"""Stage 1: teachers, masks, mixtures, schedule, configuration, and exact resuming."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import HubertModel

from pamt_metric.encoders.windows import HOP_LENGTH
from pamt_metric.errors import CheckpointError, ConfigError, InputError
from training import masked_prediction, targets, teachers, window_sampler, windows
from training.config import load_config
from training.data.corpus import FRAME_RATE, SAMPLE_RATES, Corpus, build_corpus
from training.pretrain_config import (
    CorpusConfig,
    EncoderConfig,
    ObjectiveConfig,
    PretrainConfig,
    TeacherConfig,
)
from training.pretraining import Pretraining, Schedule
from training.windows import CachedWindows

TINY = PretrainConfig(
    teacher=TeacherConfig(n_centroids=8, n_fit_frames=200, n_iterations=3),
    encoder=EncoderConfig(
        conv_width=8, hidden_size=32, n_layers=1, n_heads=2, intermediate_size=32, dropout=0.1
    ),
    batch_size=2,
    window_s=1.0,
    n_steps=5,
    n_warmup_steps=2,
    n_cooldown_steps=2,
    compile=False,
)


def sinusoid(frequency_hz: float, *, seconds: float = 2.0) -> Tensor:
    """A sinusoid of unit RMS at the teachers' rate."""
    time = torch.arange(round(seconds * teachers.SAMPLE_RATE)) / teachers.SAMPLE_RATE
    return math.sqrt(2) * torch.sin(2 * math.pi * frequency_hz * time)


@pytest.fixture(scope="module")
def constant_q() -> teachers.ConstantQ:
    """Built once: its kernels take a second."""
    return teachers.ConstantQ()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Four clips of 4 s of filtered noise: rendered and recorded, trained on and held aside."""
    folder = tmp_path_factory.mktemp("corpus")
    n_frames = 4 * FRAME_RATE
    kinds = ("pop909", "pop909", "voice", "voice")
    clips = [
        {
            "kind": kind,
            "name": kind,
            "start_frame": number * n_frames,
            "n_frames": n_frames,
            "seed": number,
            "held_aside": number % 2 == 1,
            "low_pass_hz": None,
        }
        for number, kind in enumerate(kinds)
    ]
    rng = np.random.default_rng(0)
    for rate in SAMPLE_RATES:
        noise = np.cumsum(rng.normal(size=len(clips) * n_frames * rate // FRAME_RATE))
        samples = 8000 * np.sin(noise / 10)
        np.save(folder / f"audio-{rate}.npy", samples.astype(np.int16))
    (folder / "index.json").write_text(json.dumps({"clips": clips}))
    return Corpus(folder)


@pytest.fixture(scope="module")
def sampler(corpus: Corpus) -> window_sampler.WindowSampler:
    cached = CachedWindows(corpus, targets.build_targets(corpus, TINY.teacher), TINY)
    return window_sampler.WindowSampler(TINY, cached)


# --- teachers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bin_number", [12, 45, 83])
def test_constant_q_of_a_sinusoid_peaks_in_its_bin(
    constant_q: teachers.ConstantQ, bin_number: int
) -> None:
    frequency = teachers.CQT_LOWEST_HZ * 2 ** (bin_number / 12)
    cqt = constant_q(sinusoid(frequency))
    middle = cqt[len(cqt) // 2]
    assert middle.argmax().item() == bin_number
    # The kernel has unit gain at its centre; the floor adds 4e-6 dB.
    assert middle[bin_number].item() == pytest.approx(0.0, abs=0.01)
    # A semitone away is inside Hann's main lobe, an octave away is below its side lobes (-31 dB).
    assert middle[bin_number - 12].item() < -31


def test_teacher_frames_are_centred_on_the_encoders(constant_q: teachers.ConstantQ) -> None:
    frame = 60
    click = torch.zeros(teachers.SAMPLE_RATE)
    click[teachers.FIRST_CENTER + HOP_LENGTH * frame] = 1000.0
    assert teachers.LogMel()(click).sum(-1).argmax().item() == frame
    assert constant_q(click)[:, -1].argmax().item() == frame


def test_teachers_give_a_frame_per_hop(constant_q: teachers.ConstantQ) -> None:
    waveform = sinusoid(440.0, seconds=1.0)
    assert teachers.LogMel()(waveform).shape == (75, teachers.N_MELS)
    assert constant_q(waveform).shape == (75, teachers.CQT_N_BINS)


def test_residual_k_means_is_deterministic_and_each_stage_explains_more() -> None:
    features = torch.randn(400, 6, generator=torch.Generator().manual_seed(1))
    quantisers = [teachers.ResidualKMeans(2, 16, 6) for _ in range(2)]
    for quantiser in quantisers:
        quantiser.fit(features, n_iterations=5, seed=3)
    codes = quantisers[0](features)
    assert codes.shape == (400, 2)
    assert codes.unique().numel() == 16
    torch.testing.assert_close(codes, quantisers[1](features), rtol=0, atol=0)
    first = quantisers[0].centroids[0][codes[:, 0]]
    both = first + quantisers[0].centroids[1][codes[:, 1]]
    errors = [(features - guess).square().mean() for guess in (features.mean(0), first, both)]
    assert errors[0] > errors[1] > errors[2]


def test_targets_are_cached_and_equal(corpus: Corpus) -> None:
    made = targets.build_targets(corpus, TINY.teacher)
    again = targets.build_targets(corpus, TINY.teacher)
    assert made.codes.shape == (corpus.n_frames, 2)
    assert made.cqt.shape == (corpus.n_frames, teachers.CQT_N_BINS)
    assert 0 <= made.codes.min() <= made.codes.max() < TINY.teacher.n_centroids
    np.testing.assert_array_equal(made.codes, again.codes)


# --- corpus -----------------------------------------------------------------------------------


def test_clip_reads_the_same_span_at_both_rates(corpus: Corpus) -> None:
    clip = corpus.clips[1]
    for rate in SAMPLE_RATES:
        whole = corpus.waveform(clip, sample_rate=rate)
        part = corpus.waveform(clip, sample_rate=rate, first_frame=75, n_frames=150)
        assert len(whole) == 4 * rate
        np.testing.assert_array_equal(part, whole[rate : 3 * rate])
    with pytest.raises(InputError, match="frames 299 to 301"):
        corpus.waveform(clip, sample_rate=24000, first_frame=299, n_frames=2)


def test_corpus_without_material_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training material"):
        build_corpus(CorpusConfig(), tmp_path, tmp_path / "work")


# --- masks and mixtures -----------------------------------------------------------------------


def test_mask_is_made_of_whole_spans_and_has_its_share() -> None:
    objective = ObjectiveConfig(mask_probability=0.8, mask_length=10)
    mask = window_sampler.mask_spans(64, 224, objective, np.random.default_rng(0))
    edges = np.diff(np.pad(mask.astype(int), ((0, 0), (1, 1))), axis=1)
    runs = np.where(edges.ravel() == -1)[0] - np.where(edges.ravel() == 1)[0]
    assert runs.min() >= 10
    assert mask.mean() == pytest.approx(0.57, abs=0.03)  # 1 - (1 - 0.08)^10; edges take a little


def test_mixture_adds_only_a_quieter_span() -> None:
    objective = ObjectiveConfig(
        mixture_probability=1.0, mixture_level_db=(-6.0, -6.0), mixture_s=(0.5, 0.5)
    )
    clean = np.random.default_rng(1).normal(size=(3, 24000)).astype(np.float32)
    mixtures = window_sampler.draw_mixtures(3, 24000, objective, np.random.default_rng(2))
    assert list(mixtures) == [0, 1, 2]
    for item, mixture in mixtures.items():
        assert mixture.other != item
        row = window_sampler.mix(clean[item], clean[mixture.other], mixture) - clean[item]
        (places,) = np.nonzero(row)
        assert 11990 < np.ptp(places) + 1 <= 12000
        # 12000 normal samples: their level is -6 dB to within 0.2 dB.
        assert 20 * np.log10(row[places].std()) == pytest.approx(-6.0, abs=0.2)


def test_mixture_probability_zero_mixes_nothing() -> None:
    objective = ObjectiveConfig(mixture_probability=0.0)
    assert window_sampler.draw_mixtures(3, 24000, objective, np.random.default_rng(2)) == {}


def test_batches_depend_on_the_step_alone(sampler: window_sampler.WindowSampler) -> None:
    first, again, other = (sampler.training_batch(step) for step in (4, 4, 5))
    torch.testing.assert_close(first.waveform, again.waveform, rtol=0, atol=0)
    torch.testing.assert_close(first.mask, again.mask, rtol=0, atol=0)
    assert not torch.equal(first.waveform, other.waveform)
    assert first.waveform.var(-1, unbiased=False) == pytest.approx([1.0, 1.0], abs=1e-3)


def test_a_streamed_window_has_the_targets_of_its_own_frames(
    sampler: window_sampler.WindowSampler, corpus: Corpus
) -> None:
    targets.build_targets(corpus, TINY.teacher, with_teacher=True)
    teacher = targets.Teacher(targets.targets_folder(corpus, TINY.teacher))

    class Stream:
        def validation(self, n_windows: int, n_samples: int) -> list[np.ndarray]:
            click = np.random.default_rng(0).normal(0.0, 1e-4, n_samples).astype(np.float32)
            first = windows.CONTEXT_FRAMES * HOP_LENGTH
            click[first + teachers.FIRST_CENTER + HOP_LENGTH * 40] = 1.0
            return [click]

    streamed = windows.StreamedWindows(Stream(), teacher, TINY)  # type: ignore[arg-type]
    (place,) = streamed.held_aside()
    window = place.window()
    assert window.waveform.shape == (24000,)
    assert window.waveform.argmax() == teachers.FIRST_CENTER + HOP_LENGTH * 40
    assert window.codes.shape == (74, 2)
    assert window.cqt[:, -1].argmax().item() == 40
    batch = next(iter(window_sampler.WindowSampler(TINY, None, streamed).validation_batches()))
    np.testing.assert_array_equal(batch.codes[0].numpy(), window.codes.numpy())


def test_a_teacher_gives_the_codes_that_were_cached(corpus: Corpus) -> None:
    made = targets.build_targets(corpus, TINY.teacher, with_teacher=True)
    teacher = targets.Teacher(targets.targets_folder(corpus, TINY.teacher))
    clip = corpus.clips[1]
    codes, cqt = teacher.targets(corpus.waveform(clip, sample_rate=teachers.SAMPLE_RATE))
    span = slice(clip.start_frame, clip.start_frame + clip.n_frames)
    np.testing.assert_array_equal(codes, made.codes[span])
    np.testing.assert_allclose(cqt, made.cqt[span], atol=0.05)  # kept in half precision


def test_targets_without_their_teacher_are_made_again(corpus: Corpus) -> None:
    targets.build_targets(corpus, TINY.teacher)
    path = targets.targets_folder(corpus, TINY.teacher) / targets.CENTROIDS_FILE
    path.unlink()
    targets.build_targets(corpus, TINY.teacher)
    assert not path.is_file()
    targets.build_targets(corpus, TINY.teacher, with_teacher=True)
    assert path.is_file()


def test_a_checkpoint_of_an_earlier_version_is_taken_up(
    sampler: window_sampler.WindowSampler, tmp_path: Path
) -> None:
    run = Pretraining(TINY, sampler, tmp_path)
    run.train_step()
    run.save()
    state = torch.load(run.checkpoint_path, weights_only=True)
    del state["scaler"]
    assert set(state) == {
        "step",
        "cooldown_start",
        "n_cooldown",
        "elapsed_s",
        "encoder",
        "model",
        "optimizer",
    }
    torch.save(state, run.checkpoint_path)
    again = Pretraining(TINY, sampler, tmp_path)
    again.resume(n_steps=None, n_cooldown=None)
    assert again.step == 1
    torch.testing.assert_close(_weights(again), _weights(run), rtol=0, atol=0)


def test_a_run_may_start_from_an_encoder_that_was_trained_before(
    sampler: window_sampler.WindowSampler, tmp_path: Path
) -> None:
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
    before = Pretraining(TINY, sampler, tmp_path / "before")
    before.train_step()
    before.save()
    run = Pretraining(TINY, sampler, tmp_path / "after")
    run.start_from(tmp_path / "before" / "encoder")
    trained, started = before.model.encoder.state_dict(), run.model.encoder.state_dict()
    torch.testing.assert_close(started, trained, rtol=0, atol=0)
    run.train_step()
    run.save()
    run.start_from(tmp_path / "before" / "encoder")  # a checkpoint of its own goes first
    assert not torch.equal(
        run.model.encoder.state_dict()["masked_spec_embed"], trained["masked_spec_embed"]
    )
    with pytest.raises(CheckpointError, match="holds no encoder"):
        Pretraining(TINY, sampler, tmp_path / "other").start_from(tmp_path / "nothing")


# --- configuration and schedule -----------------------------------------------------------------


def test_unknown_key_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("encoder:\n  hiden_size: 3\n")
    with pytest.raises(ConfigError, match="hiden_size"):
        load_config(path, PretrainConfig)


def test_a_bare_no_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("mixed_precision: no\n")
    with pytest.raises(ConfigError, match="got False; put the word in quotes"):
        load_config(path, PretrainConfig)
    path.write_text('mixed_precision: "no"\n')
    assert load_config(path, PretrainConfig).mixed_precision == "no"


@pytest.mark.parametrize(
    "text", ["learning_rate: 1e-3", "betas: 0.9", "n_steps: 1.5", "encoder: 3"]
)
def test_wrong_type_is_an_error(tmp_path: Path, text: str) -> None:
    # YAML 1.1 reads 1e-3, without a point, as a string.
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="expected"):
        load_config(path, PretrainConfig)


@pytest.mark.parametrize("name", ["pretrain-mini", "pretrain-mini-further"])
def test_shipped_configuration_loads(name: str) -> None:
    path = Path(__file__).parents[2] / "training" / "configs" / f"{name}.yaml"
    config = load_config(path, PretrainConfig)
    assert config.encoder.hidden_size // config.encoder.n_heads >= 32


def test_schedule_is_a_trapezoid() -> None:
    schedule = Schedule(n_warmup=4, n_cooldown=3, cooldown_start=10)
    assert [schedule.factor(step) for step in (0, 3, 9)] == [0.25, 1.0, 1.0]
    assert [schedule.factor(step) for step in (10, 11, 12)] == [0.75, 0.5, 0.25]
    assert schedule.end == 13


# --- the run ------------------------------------------------------------------------------------


def _weights(run: Pretraining) -> Tensor:
    return torch.cat([p.detach().flatten() for p in run.model.parameters()])


def test_resumed_run_equals_an_uninterrupted_one(
    sampler: window_sampler.WindowSampler, tmp_path: Path
) -> None:
    straight = Pretraining(TINY, sampler, tmp_path / "straight")
    for _ in range(3):
        straight.train_step()

    (tmp_path / "broken").mkdir()
    before = Pretraining(TINY, sampler, tmp_path / "broken")
    for _ in range(2):
        before.train_step()
    before.save()
    before.train_step()  # lost, as after a kill
    after = Pretraining(TINY, sampler, tmp_path / "broken")
    after.resume(n_steps=None, n_cooldown=None)
    assert after.step == 2
    after.train_step()
    torch.testing.assert_close(_weights(after), _weights(straight), rtol=0, atol=0)


def test_validation_without_windows_says_nothing(
    sampler: window_sampler.WindowSampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Pretraining(TINY, sampler, tmp_path)
    assert run.validate()["loss"] > 0.0
    monkeypatch.setattr(sampler, "validation_batches", lambda: iter(()))
    assert run.validate() == {}


def test_visible_frames_count_with_their_weight(sampler: window_sampler.WindowSampler) -> None:
    model = masked_prediction.MaskedPrediction(
        TINY.encoder, ObjectiveConfig(visible_weight=0.25), 2, TINY.teacher.n_centroids
    ).eval()
    with torch.no_grad():
        results = model(sampler.training_batch(0))
    expected = results["masked_loss"] + 0.25 * results["visible_loss"]
    torch.testing.assert_close(results["loss"], expected)
    assert results["masked_loss"] != results["visible_loss"]


def test_exported_encoder_loads_strictly(
    sampler: window_sampler.WindowSampler, tmp_path: Path
) -> None:
    run = Pretraining(TINY, sampler, tmp_path)
    run.save()
    loaded, report = HubertModel.from_pretrained(tmp_path / "encoder", output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    waveform = sampler.training_batch(0).waveform
    run.model.eval()
    unmasked = torch.zeros(2, 74, dtype=torch.bool)
    with torch.no_grad():
        expected = run.model.encode(waveform, unmasked)
        torch.testing.assert_close(loaded.eval()(waveform).last_hidden_state, expected)
    preprocessor = json.loads((tmp_path / "encoder" / "preprocessor_config.json").read_text())
    assert preprocessor["do_normalize"] is True
    assert preprocessor["sampling_rate"] == 24000


def test_finish_cools_down_from_the_checkpoint(
    sampler: window_sampler.WindowSampler, tmp_path: Path
) -> None:
    run = Pretraining(replace(TINY, n_steps=1000), sampler, tmp_path)
    run.train_step()
    run.save()
    again = Pretraining(replace(TINY, n_steps=1000), sampler, tmp_path)
    again.resume(n_steps=None, n_cooldown=None)
    again.cool_down()
    assert (again.schedule.cooldown_start, again.schedule.end) == (1, 3)


def test_checkpoint_of_other_dimensions_is_refused(
    sampler: window_sampler.WindowSampler, tmp_path: Path
) -> None:
    Pretraining(TINY, sampler, tmp_path).save()
    wider = replace(TINY, encoder=replace(TINY.encoder, hidden_size=64))
    with pytest.raises(CheckpointError, match="hidden_size"):
        Pretraining(wider, sampler, tmp_path).resume(n_steps=None, n_cooldown=None)


def test_training_lowers_the_loss(sampler: window_sampler.WindowSampler, tmp_path: Path) -> None:
    run = Pretraining(replace(TINY, n_steps=60, learning_rate=3e-3), sampler, tmp_path)
    before = run.validate()["loss"]
    for _ in range(30):
        run.train_step()
    assert run.validate()["loss"] < 0.95 * before
