"""The peers compute what their own projects publish, and the adapters hand them the right sounds.

| peer | proven on |
|---|---|
| PESQ | torchmetrics' docstring: 1.6805 wide band for two seeded noises |
| STOI | torchmetrics' docstring: -0.084 for the same noises at 8 kHz |
| SI-SDR | torchmetrics' docstring: 18.4030 |
| ViSQOL | google/visqol, conformance_test.cc: 4.7321 for the same sound, 1.3889 and \
2.2502 for two recordings low-passed at 3.5 and 7 kHz, at the recordings' own level |
| Zimtohrli | google/zimtohrli, pyohrli_test.py: spectrogram of silence, channel of a 440 Hz tone, \
distance to opinion score. Its published distances do not hold (0.3207 for two tones, here \
0.0199); the test they stand in cannot fail |
| HAAQI | claritychallenge/clarity, test_haaqi.py: 0.1138 for seeded noises |
| CDPAM | nothing that can be had: its one published distance is of recordings that are \
not in the package. The adapter gives what its own loader and model give |
| MFCC, mel loss, MR-STFT | their formulas, written out here with librosa's mel filters; \
torchaudio and auraloss publish no values |
"""

import importlib
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from scipy import fft, signal

from benchmarks.baselines import cdpam as cdpam_adapter
from benchmarks.baselines import haaqi as haaqi_adapter
from benchmarks.baselines import log_mel, mfcc
from benchmarks.baselines.mel_loss import MelLoss
from benchmarks.baselines.mfcc import Mfcc
from benchmarks.baselines.mr_stft import MultiResolutionStft
from benchmarks.baselines.pesq import BEST_SCORE, Pesq
from benchmarks.baselines.si_sdr import SiSdr
from benchmarks.baselines.stoi import Stoi
from benchmarks.baselines.visqol import Visqol
from benchmarks.baselines.zimtohrli import Zimtohrli
from benchmarks.waveforms import baseline_conditions, resample

# google/visqol, tests/conformance_test.cc: castanets48_stereo against itself.
IDENTITY_SCORE = 4.732101253042348
# There too: recordings against themselves low-passed, cut-off in Hz.
LOW_PASS_SCORES = (
    ("strauss48_stereo", 3500.0, 1.3888791489130758),
    ("steely48_stereo", 7000.0, 2.2501683734385183),
)

# librosa 0.11 imports audioread, and that modules which Python 3.13 has not.
AUDIOREAD_WARNS = pytest.mark.filterwarnings(
    r"ignore:'(aifc|audioop|sunau)' is deprecated and slated for removal:DeprecationWarning"
)


def seeded_noises() -> tuple[np.ndarray, np.ndarray]:
    """Degraded and reference sound of torchmetrics' docstrings, whose seed is 42."""
    torch.manual_seed(42)
    degraded, reference = torch.randn(8000), torch.randn(8000)
    return degraded.numpy(), reference.numpy()


def music(sample_rate: int, *, seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """A decaying chord with a little noise, float32 `(1, time)`."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    chord = sum(np.sin(2 * np.pi * hz * time) for hz in (220.0, 277.2, 329.6, 1760.0))
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return (0.1 * np.exp(-time) * chord + 0.003 * noise)[None].astype(np.float32)


class TestPesq:
    def test_of_the_docstrings_noises(self) -> None:
        pesq = pytest.importorskip("pesq")
        degraded, reference = seeded_noises()
        # The docstring's four decimals.
        score = pesq.pesq(16_000, reference, degraded, "wb")
        assert score == pytest.approx(1.6805, abs=5e-5)
        # One RMS for both changes it no more than this: PESQ aligns levels itself.
        value = Pesq()(reference[None], degraded[None], 16_000)
        assert value == pytest.approx(BEST_SCORE - 1.6805, abs=1e-3)

    def test_adapter_resamples_to_16_khz(self) -> None:
        pesq = pytest.importorskip("pesq")
        a, b = music(44_100), music(44_100, seed=1)
        heard = [resample(x, 44_100, 16_000) for x in baseline_conditions(a, b)]
        score = pesq.pesq(16_000, *heard, "wb")
        assert Pesq()(a, b, 44_100) == pytest.approx(BEST_SCORE - score, abs=1e-9)


def test_stoi_of_the_docstrings_noises() -> None:
    degraded, reference = seeded_noises()
    # The docstring's three decimals. Scale changes nothing.
    value = Stoi()(reference[None], degraded[None], 8000)
    assert value == pytest.approx(1.0 + 0.084, abs=5e-4)


def test_si_sdr_of_the_docstrings_numbers() -> None:
    target = np.array([[3.0, -0.5, 2.0, 7.0]], np.float32)
    estimate = np.array([[2.5, 0.0, 2.0, 8.0]], np.float32)
    own = importlib.import_module("torchmetrics.functional.audio")
    ratio = own.scale_invariant_signal_distortion_ratio(*map(torch.from_numpy, (estimate, target)))
    # The docstring's four decimals.
    assert float(ratio) == pytest.approx(18.4030, abs=5e-5)
    # At an RMS of 0.1, the float32 epsilon that it adds is 2e-4 of four samples' distortion.
    assert SiSdr()(target, estimate, 8000) == pytest.approx(-18.4030, abs=2e-3)


@pytest.mark.slow
def test_visqol_of_a_sound_against_itself_is_googles() -> None:
    pytest.importorskip("visqol")
    value = Visqol()(music(48_000), music(48_000), 48_000)
    assert value == pytest.approx(5.0 - IDENTITY_SCORE, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "cutoff_hz", "published"), LOW_PASS_SCORES)
def test_visqol_of_a_low_passed_recording_is_googles(
    name: str, cutoff_hz: float, published: float
) -> None:
    pytest.importorskip("visqol")
    path = Path(os.environ.get("PAMT_DATA", "")) / f"music/visqol-conformance/{name}.flac"
    if not path.is_file():
        pytest.skip(f"PAMT_DATA has no {path.name}")
    samples, sample_rate = soundfile.read(path, dtype="float32")
    # Google's filter is unknown; this one gave 1.391 and 2.255, a Butterworth 1.377 and 2.346.
    low_pass = signal.ellip(8, 0.1, 60, cutoff_hz, fs=sample_rate, output="sos")
    muffled = signal.sosfiltfilt(low_pass, samples, axis=0).astype(np.float32)
    # At the recordings' own level: at the baselines' RMS of 0.1 the second one has 1.769.
    pair = samples.mean(axis=1), muffled.mean(axis=1)
    score = Visqol()._api.measure_from_arrays(*pair, sample_rate).moslqo
    # visqol-python's own tolerance.
    assert score == pytest.approx(published, abs=0.05)


@pytest.mark.slow
def test_visqol_adapter_resamples_to_48_khz() -> None:
    pytest.importorskip("visqol")
    metric = Visqol()
    a, b = music(32_000), music(32_000, seed=1)
    heard = [resample(x, 32_000, 48_000) for x in baseline_conditions(a, b)]
    score = metric._api.measure_from_arrays(*heard, 48_000).moslqo
    assert 1.0 < score < IDENTITY_SCORE - 0.1
    assert metric(a, b, 32_000) == pytest.approx(5.0 - score, abs=1e-9)


class TestZimtohrli:
    def test_spectrogram_of_silence_is_the_published_one(self) -> None:
        zimtohrli = pytest.importorskip("zimtohrli")
        spectrogram = zimtohrli.Pyohrli().analyze(np.zeros(48_000, np.float32))
        # pyohrli_test.py, to its own 2 and 3 decimals.
        assert spectrogram[0, 92] == pytest.approx(23.8885, abs=5e-3)
        assert spectrogram[:, 0] == pytest.approx(9.36386776, abs=5e-4)

    def test_440_hz_is_in_channel_36(self) -> None:
        zimtohrli = pytest.importorskip("zimtohrli")
        tone = np.sin(2 * np.pi * 440.0 * np.arange(24_000) / 48_000)
        analyze = zimtohrli.Pyohrli().analyze
        rise = analyze(tone) - analyze(np.zeros(24_000))
        assert rise.sum(axis=0).argmax() == 36

    @pytest.mark.parametrize(
        ("distance", "score"),
        [(0.0, 5.0), (0.001, 4.800886631), (0.01, 3.400541544), (0.04, 1.518867970)],
    )
    def test_opinion_score_of_a_distance_is_the_published_one(
        self, distance: float, score: float
    ) -> None:
        zimtohrli = pytest.importorskip("zimtohrli")
        # Its own three decimals.
        assert zimtohrli.mos_from_zimtohrli(distance) == pytest.approx(score, abs=5e-4)

    def test_adapter_resamples_to_48_khz(self) -> None:
        zimtohrli = pytest.importorskip("zimtohrli")
        a, b = music(32_000), music(32_000, seed=1)
        heard = [resample(x, 32_000, 48_000) for x in baseline_conditions(a, b)]
        assert Zimtohrli()(a, b, 32_000) == zimtohrli.Pyohrli().distance(*heard)


class TestHaaqi:
    @AUDIOREAD_WARNS
    def test_of_the_tests_noises(self) -> None:
        haaqi = pytest.importorskip("clarity.evaluator.haaqi")
        audiograms = pytest.importorskip("clarity.utils.audiogram")
        # Its test and the ear model's noise draw from numpy's global generator, in this order.
        np.random.seed(42)  # noqa: NPY002
        processed, reference = (np.random.uniform(-1, 1, 8000) for _ in range(2))  # noqa: NPY002
        score = haaqi.compute_haaqi(
            processed_signal=processed,
            reference_signal=reference,
            processed_sample_rate=16_000,
            reference_sample_rate=16_000,
            audiogram=audiograms.Audiogram(
                levels=np.array([10, 20, 30, 40, 50, 60]),
                frequencies=np.array(haaqi_adapter.AUDIOGRAM_FREQUENCIES),
            ),
        )
        # Published with nine decimals, tested there to 1e-7 of the value or 1e-7.
        assert score == pytest.approx(0.113759275, abs=1e-7)

    def test_adapter_presents_65_db_spl(self) -> None:
        assert pytest.approx(85.0) == haaqi_adapter.FULL_SCALE_DB_SPL


@AUDIOREAD_WARNS
@pytest.mark.slow
def test_cdpam_adapter_equals_the_packages_own_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cdpam: Any = pytest.importorskip("cdpam")
    metric = cdpam_adapter.Cdpam()
    rate = cdpam_adapter.SAMPLE_RATE
    pair = music(rate, seconds=0.1), music(rate, seconds=0.1, seed=1)
    monkeypatch.setattr(np, "float", float, raising=False)
    loaded = []
    for name, heard in zip("ab", baseline_conditions(*pair), strict=True):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, heard, rate, subtype="FLOAT")
        loaded.append(cdpam.load_audio(str(path)))
    with torch.no_grad():
        expected = float(metric._model.forward(*loaded))
    assert expected > 0.0
    assert metric(*pair, rate) == pytest.approx(expected, rel=1e-6)


@AUDIOREAD_WARNS
def test_mfcc_is_its_formula() -> None:
    librosa = pytest.importorskip("librosa")
    a, b = music(22_050), music(22_050, seed=1) * 0.5
    mel = librosa.filters.mel(
        sr=22_050,
        n_fft=log_mel.N_FFT,
        n_mels=log_mel.N_MELS,
        fmin=log_mel.LOWEST_FREQUENCY,
        htk=True,
        norm=None,
    )
    window = signal.get_window("hann", log_mel.N_FFT)
    coefficients = []
    for heard in baseline_conditions(a, b):
        padded = np.pad(heard.astype(np.float64), log_mel.N_FFT // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, log_mel.N_FFT)
        spectrum = np.fft.rfft(frames[:: log_mel.HOP_LENGTH] * window).T
        levels = 10.0 * np.log10(np.maximum(mel @ np.abs(spectrum) ** 2, 1e-10))
        levels = np.maximum(levels, levels.max() - 80.0)
        coefficients.append(fft.dct(levels, axis=0, norm="ortho")[: mfcc.N_MFCC])
    expected = np.linalg.norm(coefficients[0] - coefficients[1], axis=0).mean()
    # float32 against float64 inside the logarithm.
    assert Mfcc()(a, b, 22_050) == pytest.approx(expected, rel=1e-4)


def spectral_loss(
    a: np.ndarray, b: np.ndarray, resolution: tuple[int, int, int], mel: Any
) -> float:
    """Spectral convergence plus L1 of log magnitudes (Yamamoto et al. 2020, eq. 4 and 5)."""
    n_fft, hop_length, win_length = resolution
    magnitudes = []
    for x in (a, b):
        spectrum = torch.stft(
            torch.from_numpy(x),
            n_fft,
            hop_length,
            win_length,
            torch.hann_window(win_length),
            return_complex=True,
        )
        # auraloss's floor of the power, 1e-8.
        magnitudes.append(mel @ np.maximum(spectrum.abs().double().numpy(), 1e-4))
    magnitude_a, magnitude_b = magnitudes
    convergence = np.linalg.norm(magnitude_a - magnitude_b) / np.linalg.norm(magnitude_b)
    return float(convergence + np.abs(np.log(magnitude_a) - np.log(magnitude_b)).mean())


def in_both_orders(a: np.ndarray, b: np.ndarray, resolution: tuple, mel: Any) -> float:
    return (spectral_loss(a, b, resolution, mel) + spectral_loss(b, a, resolution, mel)) / 2


@AUDIOREAD_WARNS
def test_mel_loss_is_its_formula() -> None:
    librosa = pytest.importorskip("librosa")
    a, b = music(22_050), music(22_050, seed=1)
    mel = librosa.filters.mel(sr=22_050, n_fft=1024, n_mels=128).astype(np.float64)
    expected = in_both_orders(*baseline_conditions(a, b), (1024, 256, 1024), mel)
    # float32 against float64.
    assert MelLoss()(a, b, 22_050) == pytest.approx(expected, rel=1e-4)


def test_mr_stft_is_its_formula() -> None:
    a, b = music(22_050), music(22_050, seed=1)
    resolutions = (1024, 120, 600), (2048, 240, 1200), (512, 50, 240)
    heard = baseline_conditions(a, b)
    losses = [
        in_both_orders(*heard, resolution, np.eye(resolution[0] // 2 + 1))
        for resolution in resolutions
    ]
    # float32 against float64.
    assert MultiResolutionStft()(a, b, 22_050) == pytest.approx(math.fsum(losses) / 3, rel=1e-4)
