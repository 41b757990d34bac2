"""Long pairs, compared block by block: the same as at once; files that are read in parts."""

import io

import numpy as np
import pytest
import soundfile
import torch

from pamt_metric import audio, clip_pair, long_clip, long_pair, recording
from pamt_metric.errors import InputError
from pamt_metric.resample import resample
from pamt_metric.spool import Spool
from tests.support import signals
from tests.support.audio_files import ffmpeg, needs_ffmpeg

RATE = signals.SAMPLE_RATE
# The same sums in another order.
TOLERANCE = 1e-4
SECONDS = 21.0
NUMBERS = ("distance", "fidelity", "content", "added", "missing", "same_content", "coverage")


@pytest.fixture
def small_pieces(monkeypatch):
    """Clips over 3 s are long and go through in blocks of 5 s."""
    for module in (recording, clip_pair):
        monkeypatch.setattr(module, "LONG_S", 3.0)
    monkeypatch.setattr(recording, "BLOCK_FRAMES", 10_000)
    monkeypatch.setattr(long_pair, "BLOCK_FRAMES", long_clip.WINDOW_FRAMES)
    monkeypatch.setattr(long_clip, "READ_SAMPLES", 10 * long_clip.SEGMENT_LENGTH)


def stereo():
    return torch.stack([signals.piece(SECONDS, seed=seed) for seed in (1, 2)])


def pairs():
    a = stereo()
    noisy = a + 0.01 * signals.noise(SECONDS, rms=1.0)
    clicked = a.clone()
    clicked[:, 9 * RATE : 9 * RATE + 100] += 0.5
    silent_inside = noisy.clone()
    silent_inside[:, 5 * RATE : 12 * RATE] = 0.0
    return {
        "noise": (a, noisy),
        "lag": (a, noisy[:, 4000:]),
        "lag the other way": (a[:, 7001:], noisy),
        "shorter by blocks": (a, noisy[:, : 8 * RATE]),
        "silence inside": (a, silent_inside),
        "a click": (a, clicked),
        "another pitch": (a, resample(a, 48_000, 47_500)),
        "mono": (a, noisy[:1]),
        "another piece": (a[:1], signals.piece(SECONDS, seed=7)[None]),
        "silence": (a, torch.zeros_like(a)),
    }


@pytest.fixture(scope="module")
def at_once(tiny_metric):
    return {name: tiny_metric.compare(*pair, sample_rate=RATE) for name, pair in pairs().items()}


@pytest.mark.parametrize("name", pairs())
def test_says_what_a_comparison_at_once_says(tiny_metric, at_once, small_pieces, name):
    a, b = pairs()[name]
    found, expected = tiny_metric.compare(a, b, sample_rate=RATE), at_once[name]
    for number in NUMBERS:
        assert getattr(found, number) == pytest.approx(
            getattr(expected, number), rel=TOLERANCE, abs=1e-7
        ), number
    assert found.lag_ms == expected.lag_ms
    assert found.gain_db == pytest.approx(expected.gain_db, abs=1e-4)
    assert found.warnings == expected.warnings
    assert found.ci == pytest.approx(expected.ci, rel=TOLERANCE)
    largest = expected.band_map.max().item()
    assert torch.allclose(
        found.band_map, expected.band_map, rtol=TOLERANCE, atol=TOLERANCE * largest
    )
    alone = tiny_metric.distance(a, b, sample_rate=RATE)
    assert alone == pytest.approx(found.distance, rel=1e-6)


def test_is_zero_for_the_same_and_symmetric_to_the_bit(tiny_metric, small_pieces):
    a, b = pairs()["lag"]
    assert tiny_metric.distance(a, a, sample_rate=RATE) == 0.0
    assert tiny_metric.distance(a, b, sample_rate=RATE) == tiny_metric.distance(
        b, a, sample_rate=RATE
    )


def test_at_its_own_level_and_without_a_lag(tiny_metric, monkeypatch):
    a, b = pairs()["lag"]
    options = {"sample_rate": RATE, "level": "absolute", "align": "none"}
    expected = tiny_metric.distance(a, 0.5 * b, **options)
    for module in (recording, clip_pair):
        monkeypatch.setattr(module, "LONG_S", 3.0)
    monkeypatch.setattr(long_pair, "BLOCK_FRAMES", long_clip.WINDOW_FRAMES)
    assert tiny_metric.distance(a, 0.5 * b, **options) == pytest.approx(expected, rel=TOLERANCE)


def test_a_batch_of_long_clips_goes_pair_by_pair(tiny_metric, at_once, small_pieces):
    (a, noisy), (_, short) = pairs()["noise"], pairs()["shorter by blocks"]
    found = tiny_metric.distance(a, [noisy, short], sample_rate=RATE)
    expected = [at_once[name].distance for name in ("noise", "shorter by blocks")]
    assert found.tolist() == pytest.approx(expected, rel=TOLERANCE)


def test_a_gradient_takes_the_whole_clip(tiny_metric, small_pieces):
    a = stereo()[:, : 4 * RATE]
    b = (a + 0.01).requires_grad_()
    (slope,) = torch.autograd.grad(tiny_metric.distance(a, b, sample_rate=RATE), b)
    assert slope.isfinite().all()
    assert slope.any()


class TestFiles:
    @pytest.fixture
    def files(self, tmp_path):
        rate = 44_100
        a = torch.stack([signals.piece(9.0, seed=seed, sample_rate=rate) for seed in (1, 2)])
        paths = []
        for name, sound in (("a.wav", a), ("b.flac", a + 0.01 * signals.noise(9.0)[: a.shape[1]])):
            soundfile.write(tmp_path / name, sound.T.numpy(), rate)
            paths.append(tmp_path / name)
        return paths

    def test_come_in_parts_as_at_once(self, files, small_pieces):
        whole = audio.load(files[0], target_rate=RATE).waveform[0]
        parts = recording.load(files[0], target_rate=RATE)
        assert isinstance(parts, recording.OnDisk)
        assert (parts.n_channels, parts.length) == whole.shape
        assert torch.allclose(parts.read(0, parts.length), whole, atol=1e-6)
        assert torch.equal(
            parts.read(70_000, 90_000), parts.read(0, parts.length)[:, 70_000:90_000]
        )
        assert parts.read(parts.length - 5, parts.length + 5).shape == (2, 5)

    def test_give_the_distance_of_whole_clips(self, tiny_metric, files, monkeypatch, small_pieces):
        found = tiny_metric.distance(*files)
        monkeypatch.setattr(clip_pair, "LONG_S", 60.0)
        monkeypatch.setattr(recording, "LONG_S", 60.0)
        assert found == pytest.approx(tiny_metric.distance(*files), rel=TOLERANCE)
        assert found > 0.0

    @needs_ffmpeg
    def test_that_ffmpeg_reads(self, files, small_pieces):
        path = files[0].with_suffix(".m4a")
        ffmpeg("-i", files[0], path)
        whole = audio.load(path, target_rate=RATE).waveform[0]
        parts = recording.load(path, target_rate=RATE)
        assert isinstance(parts, recording.OnDisk)
        assert torch.allclose(parts.read(0, parts.length), whole, atol=1e-6)

    def test_that_are_short_come_in_memory(self, files):
        assert isinstance(recording.load(files[0], target_rate=RATE), audio.AudioBatch)

    def test_with_a_value_that_is_no_number(self, tmp_path, small_pieces):
        sound = signals.noise(9.0).numpy()
        sound[8 * RATE] = np.nan
        soundfile.write(tmp_path / "bad.wav", sound, RATE, subtype="FLOAT")
        with pytest.raises(InputError, match=r"bad.wav.*after 7\.9.* s: .*NaN"):
            recording.load(tmp_path / "bad.wav", target_rate=RATE)

    def test_longer_than_they_may_be(self, files, small_pieces):
        with pytest.raises(InputError, match="longer than max_duration=5 s"):
            recording.load(files[0], target_rate=RATE, max_duration=5)

    def test_of_another_rate_than_was_said(self, files, small_pieces):
        with pytest.raises(InputError, match="the file says 44100 Hz"):
            recording.load(files[0], sample_rate=RATE, target_rate=RATE)

    def test_that_are_cut_short(self, files, small_pieces):
        content = files[1].read_bytes()
        with pytest.raises(InputError, match="damaged or cut short"):
            recording.load(io.BytesIO(content[: len(content) // 2]), target_rate=RATE)


def test_no_room_for_a_long_clip_is_said(monkeypatch):
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    with pytest.raises(InputError, match="No space left on device; set TMPDIR"):
        Spool(2).write(np.zeros((5, 2), np.float32))
