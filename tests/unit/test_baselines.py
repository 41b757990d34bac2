"""Baselines: the conditions they hear, their values, and what happens where they have none."""

import json
import math
import re
import textwrap
from types import SimpleNamespace

import auraloss
import numpy as np
import pytest
import torch

import pamt_metric
from benchmarks.baselines.encoder_cosine import EncoderCosine
from benchmarks.baselines.log_mel import LogMelL1
from benchmarks.baselines.mel_loss import MelLoss
from benchmarks.baselines.mfcc import Mfcc
from benchmarks.baselines.mr_stft import MultiResolutionStft
from benchmarks.baselines.pamt import Pamt
from benchmarks.baselines.pesq import Pesq
from benchmarks.baselines.si_sdr import SiSdr
from benchmarks.baselines.stoi import Stoi
from benchmarks.baselines.zimtohrli import Zimtohrli
from benchmarks.guard import Guarded
from benchmarks.metrics import (
    DEFAULT_METRICS,
    REGISTRY,
    MissingPackageError,
    UndefinedError,
    distribution,
    implementation,
    make,
    measure,
    register,
    source_version,
)
from benchmarks.waveforms import TARGET_RMS, baseline_conditions, match_channels
from pamt_metric.comparison import ModelInfo
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.errors import ConfigError, InputError
from pamt_metric.metric import UNTRAINED

SAMPLE_RATE = 24_000


def noise(n_samples: int = 8192, *, n_channels: int = 1, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (0.1 * generator.standard_normal((n_channels, n_samples))).astype(np.float32)


class LinearEncoder(torch.nn.Module):
    """Two layers of two values a frame: the mean of the frame's samples, and a constant."""

    def __init__(self, constant: float = 0.0) -> None:
        super().__init__()
        self.constant = torch.nn.Parameter(torch.tensor(constant))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        frames = waveform.unfold(-1, 320, 320).mean(-1)
        states = torch.stack([frames, self.constant.expand_as(frames)], dim=-1)
        return torch.stack([states, 2.0 * states], dim=1)


class TestConditions:
    def test_are_mono_one_rms_and_one_length(self) -> None:
        a, b = baseline_conditions(noise(1000, n_channels=2), 0.01 * noise(700))
        assert a.shape == b.shape == (1000,)
        assert a.dtype == b.dtype == np.float32
        assert np.sqrt(np.mean(a**2)) == pytest.approx(TARGET_RMS, rel=1e-5)
        assert np.sqrt(np.mean(b[:700] ** 2)) == pytest.approx(TARGET_RMS, rel=1e-5)
        assert not b[700:].any()

    def test_silence_stays_silent(self) -> None:
        a, b = baseline_conditions(np.zeros((1, 10), np.float32), noise(10))
        assert not a.any()
        assert np.isfinite(b).all()

    def test_mono_is_repeated_and_other_counts_refused(self) -> None:
        a, b = match_channels(noise(5), noise(5, n_channels=2))
        assert a.shape == b.shape == (2, 5)
        assert np.array_equal(a[0], a[1])
        with pytest.raises(InputError, match="cannot match 2 channels to 3"):
            match_channels(noise(5, n_channels=2), noise(5, n_channels=3))


@pytest.mark.parametrize("metric", [LogMelL1(), MultiResolutionStft()], ids=lambda m: m.name)
class TestSpectralBaselines:
    def test_are_zero_for_the_same_at_another_level(self, metric: LogMelL1) -> None:
        a = noise()
        # float32 rounding of the two gains, inside a logarithm.
        assert metric(a, 0.25 * a, SAMPLE_RATE) == pytest.approx(0.0, abs=1e-4)

    def test_are_symmetric_and_grow_with_noise(self, metric: LogMelL1) -> None:
        time = np.arange(8192) / SAMPLE_RATE
        a = np.sin(2 * np.pi * 440.0 * time)[None].astype(np.float32)
        near, far = (a + level * noise(seed=1) for level in (0.01, 1.0))
        assert 0.0 < metric(a, near, SAMPLE_RATE) < metric(a, far, SAMPLE_RATE)
        forth, back = metric(a, far, SAMPLE_RATE), metric(far, a, SAMPLE_RATE)
        assert forth == pytest.approx(back, rel=1e-6)


class TestMultiResolutionStft:
    def test_is_auralosss_own_value_in_both_orders(self) -> None:
        a, b = noise(), noise(seed=1)
        heard = [torch.from_numpy(x)[None, None] for x in baseline_conditions(a, b)]
        loss = auraloss.freq.MultiResolutionSTFTLoss()
        forth, back = float(loss(*heard)), float(loss(*reversed(heard)))
        assert forth != back
        value = MultiResolutionStft()(a, b, SAMPLE_RATE)
        assert value == pytest.approx((forth + back) / 2, rel=1e-6)

    def test_has_no_value_for_less_than_half_a_window(self) -> None:
        measured = measure(MultiResolutionStft(), noise(1024), noise(1024), SAMPLE_RATE)
        assert math.isnan(measured.value)
        assert measured.reason == "1024 samples are too short: it needs 1025"
        assert measure(MultiResolutionStft(), noise(1025), noise(1025), SAMPLE_RATE).value == 0.0


class TestLogMel:
    def test_of_tones_apart_is_more_than_of_tones_close(self) -> None:
        time = np.arange(8192) / SAMPLE_RATE
        tones = [np.sin(2 * np.pi * f * time)[None].astype(np.float32) for f in (440, 445, 2000)]
        metric = LogMelL1()
        close, apart = (metric(tones[0], tone, SAMPLE_RATE) for tone in tones[1:])
        assert 0.0 < close < apart

    def test_counts_the_length_of_the_longer(self) -> None:
        a = noise()
        assert LogMelL1()(a, a[:, :4096], SAMPLE_RATE) > 1.0


def music(n_samples: int = 66_150, sample_rate: int = 44_100) -> np.ndarray:
    """A decaying chord in a little noise, long and lively enough for the speech metrics."""
    time = np.arange(n_samples) / sample_rate
    chord = sum(np.sin(2 * np.pi * hz * time) for hz in (220.0, 277.2, 329.6, 1760.0))
    beats = 1.0 + np.sin(2 * np.pi * 4.0 * time)
    return (0.05 * beats * chord)[None].astype(np.float32) + 0.01 * noise(n_samples, seed=7)


# librosa 0.11 imports audioread, and that modules which Python 3.13 has not.
@pytest.mark.filterwarnings(
    r"ignore:'(aifc|audioop|sunau)' is deprecated and slated for removal:DeprecationWarning"
)
@pytest.mark.parametrize("make_metric", [MelLoss, Mfcc, Pesq, SiSdr, Stoi, Zimtohrli])
class TestPeers:
    def test_grow_with_noise_from_the_same_sound(self, make_metric) -> None:
        metric = make_present(make_metric)
        a = music()
        copies = [a + level * noise(a.shape[-1], seed=1) for level in (0.0, 0.005, 0.05, 0.5)]
        values = [metric(a, b, 44_100) for b in copies]
        assert values == sorted(values)
        assert len(set(values)) == len(values)

    def test_hear_neither_level_nor_channels(self, make_metric) -> None:
        metric = make_present(make_metric)
        a, b = music(), music() + 0.05 * noise(66_150, seed=1)
        value = metric(a, b, 44_100)
        louder = metric(np.repeat(a, 2, axis=0), 0.25 * np.repeat(b, 2, axis=0), 44_100)
        # float32 rounding of the two gains.
        assert louder == pytest.approx(value, rel=1e-3)

    def test_name_their_package_and_its_version(self, make_metric) -> None:
        assert re.fullmatch(r"[\w-]+ \d+\.\d+[\w.]*", implementation(make_present(make_metric)))


def make_present(make_metric):
    """The metric; the test is skipped where the extra `peers` is not installed."""
    try:
        return make_metric()
    except MissingPackageError as error:
        pytest.skip(str(error))


class TestEdgesOfPeers:
    def test_stoi_has_no_value_for_less_than_its_segment(self) -> None:
        reason = measure(Stoi(), music(8000), music(8000), 44_100).reason
        assert reason == "fewer than 30 frames are loud enough for STOI"

    def test_si_sdr_has_no_value_for_silence(self) -> None:
        assert measure(SiSdr(), music(), 0 * music(), 44_100).reason == "silence has no SI-SDR"

    def test_mel_loss_has_no_value_for_less_than_half_a_window(self) -> None:
        measured = measure(MelLoss(), noise(512), noise(512), SAMPLE_RATE)
        assert measured.reason == "512 samples are too short: it needs 513"

    def test_a_missing_package_is_named_with_its_extra(self) -> None:
        with pytest.raises(MissingPackageError, match=r"'pamt-metric\[peers\]'"):
            distribution("no-such-package", extra="peers")

    def test_default_metrics_are_registered_and_peers_guarded(self) -> None:
        assert set(DEFAULT_METRICS) <= set(REGISTRY)
        assert all(isinstance(make(name), Guarded) for name in ("mr-stft", "si-sdr", "stoi"))


class TestEncoderCosine:
    def test_is_one_minus_the_cosine_of_the_means_over_time(self) -> None:
        # Means of +-TARGET_RMS beside a constant of TARGET_RMS: vectors at right angles.
        a = np.full((1, 3200), 0.3, np.float32)
        metric = EncoderCosine(LinearEncoder(TARGET_RMS))
        assert metric(a, -a, SAMPLE_RATE) == pytest.approx(1.0, abs=1e-6)
        assert metric(a, 0.5 * a, SAMPLE_RATE) == pytest.approx(0.0, abs=1e-6)

    def test_of_a_sound_with_itself_is_exactly_zero(self) -> None:
        # The samples themselves as 64 values a frame: a plain cosine is off by rounding.
        metric = EncoderCosine(lambda waveform: waveform.reshape(1, 2, -1, 64))
        for seed in range(20):
            waveform = noise(seed=seed)
            assert metric(waveform, waveform.copy(), SAMPLE_RATE) == 0.0

    def test_pads_nothing(self) -> None:
        a = np.full((1, 3200), 0.3, np.float32)
        metric = EncoderCosine(LinearEncoder(TARGET_RMS))
        # With padding, b's mean would halve and the vectors would turn apart.
        assert metric(a, a[:, :1600], SAMPLE_RATE) == pytest.approx(0.0, abs=1e-6)

    def test_resamples_to_the_encoders_rate(self) -> None:
        lengths = []

        def encoder(waveform: torch.Tensor) -> torch.Tensor:
            lengths.append(waveform.shape[-1])
            return torch.ones(1, 1, 2, 3)

        EncoderCosine(encoder)(noise(4800), noise(9600), 48_000)
        assert lengths == [2400, 4800]

    @pytest.mark.parametrize(
        ("test", "reason"),
        [
            (np.zeros((1, 4000), np.float32), "silence has no direction"),
            (noise(300), "300 samples at 24 kHz are too short"),
        ],
    )
    def test_has_no_value_for_silence_and_clicks(self, test: np.ndarray, reason: str) -> None:
        with pytest.raises(UndefinedError, match=reason):
            EncoderCosine(LinearEncoder(1.0))(noise(), test, SAMPLE_RATE)

    def test_version_follows_the_weights(self) -> None:
        versions = [EncoderCosine(LinearEncoder(value)).version for value in (0.0, 0.0, 1.0)]
        assert versions[0] == versions[1] != versions[2]

    def test_takes_the_bundled_models_encoder_unless_given_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bundled, given = LinearEncoder(0.0), LinearEncoder(1.0)
        monkeypatch.setattr(pamt_metric, "load", lambda: SimpleNamespace(encoder=bundled))
        monkeypatch.setattr(MertEncoder, "from_pretrained", lambda _folder: given)
        first, second = make("encoder-cosine"), make("encoder-cosine@runs/tiny")
        assert (first.name, second.name) == ("encoder-cosine", "encoder-cosine@tiny")
        assert first.version == EncoderCosine(bundled).version
        assert second.version == EncoderCosine(given).version


class FakeMetric(torch.nn.Module):
    """Looks like `pamt_metric.Metric` and remembers what it was given."""

    def __init__(self, info: ModelInfo = UNTRAINED) -> None:
        super().__init__()
        self.info = info
        self.weight = torch.nn.Parameter(torch.zeros(2))
        self.calls: list[tuple[torch.Size, torch.Size, int]] = []

    def distance(self, a: torch.Tensor, b: torch.Tensor, *, sample_rate: int) -> torch.Tensor:
        self.calls.append((a.shape, b.shape, sample_rate))
        return torch.tensor(3.0)

    def compare(self, a: torch.Tensor, b: torch.Tensor, *, sample_rate: int) -> SimpleNamespace:
        return SimpleNamespace(fidelity=1.0, added=2.0)


class TestPamt:
    def test_gets_native_channels_rate_and_lengths(self) -> None:
        metric = FakeMetric()
        assert Pamt(metric)(noise(10, n_channels=2), noise(7, n_channels=2), 44_100) == 3.0
        assert metric.calls == [((2, 10), (2, 7), 44_100)]

    def test_answers_with_a_part_of_the_comparison(self) -> None:
        assert Pamt(FakeMetric(), part="added")(noise(), noise(), SAMPLE_RATE) == 2.0

    def test_loads_the_bundled_model_unless_given_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[str, ...]] = []

        def load(*arguments: str) -> FakeMetric:
            asked.append(arguments)
            return FakeMetric()

        monkeypatch.setattr(pamt_metric, "load", load)
        names = [make(name).name for name in ("pamt", "pamt@runs/tiny", "pamt-added")]
        assert names == ["pamt", "pamt@tiny", "pamt-added"]
        assert asked == [(), ("runs/tiny",), ()]

    def test_version_follows_the_weights(self) -> None:
        changed = FakeMetric()
        with torch.no_grad():
            changed.weight[0] = 1.0
        versions = [Pamt(metric).version for metric in (FakeMetric(), FakeMetric(), changed)]
        assert versions[0] == versions[1] != versions[2]

    def test_is_stamped_with_the_hash_of_its_file(self) -> None:
        info = ModelInfo(name="pamt-mini", version="0.1.0", sha256="0123456789abcdef" * 4)
        stamp = implementation(Pamt(FakeMetric(info)))
        assert stamp.endswith(", pamt-mini 0.1.0, sha256 0123456789abcdef")
        assert ", untrained, no file, state " in implementation(Pamt(FakeMetric()))

    def test_of_the_bundled_model_is_stamped_as_its_comparisons_are(self) -> None:
        metric = pamt_metric.load()
        assert Pamt(metric).implementation.endswith(f"sha256 {metric.info.sha256[:16]}")
        assert len(metric.info.sha256) == 64


class TestRegister:
    def test_hands_over_what_follows_the_at_sign(self) -> None:
        given = []
        register("remembers")(lambda argument: given.append(argument) or LogMelL1())
        make("remembers@a/folder")
        make("remembers")
        assert given == ["a/folder", None]

    def test_names_what_there_is(self) -> None:
        with pytest.raises(ConfigError, match=r"unknown metric 'nope'; there are .*mr-stft"):
            make("nope")

    def test_version_follows_code_and_settings(self) -> None:
        versions = {
            source_version(module, settings=settings)
            for module in (json, textwrap)
            for settings in (1, 2)
        }
        assert len(versions) == 4


class TestMeasure:
    def test_names_whatever_goes_wrong(self) -> None:
        def broken(a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
            raise ZeroDivisionError("no luck\nat all")

        measured = measure(broken, noise(), noise(), SAMPLE_RATE)
        assert math.isnan(measured.value)
        assert measured.reason == "ZeroDivisionError: no luck"

    def test_gives_a_reason_for_a_value_that_is_none(self) -> None:
        measured = measure(lambda *_: math.inf, noise(), noise(), SAMPLE_RATE)
        assert measured.reason == "the metric returned inf"
