"""Files to samples: every format, whole or not at all."""

import io
import subprocess

import pytest
import soundfile
import torch

from pamt_metric.audio import load
from tests.support.audio_files import N_TIME, RATE, ffmpeg, file_bytes, needs_ffmpeg, noise, tone


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        ("wav", "PCM_16", 2**-15),  # half a step, rounded up for soundfile's truncation
        ("wav", "PCM_24", 2**-23),
        ("wav", "FLOAT", 0.0),
        ("flac", "PCM_16", 2**-15),
        ("aiff", "PCM_16", 2**-15),
        ("ogg", "VORBIS", 0.05),  # lossy: 10 % of the peak, away from the ends
        ("mp3", "MPEG_LAYER_III", 0.05),
    ],
)
def test_formats_keep_rate_length_and_values(tmp_path, suffix, subtype, tolerance):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone().T, RATE, subtype=subtype)
    audio = load(path, target_rate=RATE)
    assert audio.sample_rate == RATE
    assert audio.lengths.tolist() == [N_TIME]
    assert not audio.is_batch
    assert audio.waveform.dtype == torch.float32
    assert audio.waveform.shape == (1, 2, N_TIME)
    error = (audio.waveform[0] - torch.from_numpy(tone())).abs()
    # A codec smears the tone's abrupt ends; a shift of one sample would be an error of 0.058.
    kept = slice(1_500, -1_500) if suffix in {"ogg", "mp3"} else slice(None)
    assert error[:, kept].max() <= tolerance


def test_path_string_and_file_object_agree(tmp_path):
    path = tmp_path / "tone.wav"
    path.write_bytes(file_bytes(tone()))
    expected = load(path, target_rate=RATE).waveform
    assert torch.equal(load(str(path), target_rate=RATE).waveform, expected)
    assert torch.equal(load(io.BytesIO(path.read_bytes()), target_rate=RATE).waveform, expected)
    with path.open("rb") as file:
        assert torch.equal(load(file, target_rate=RATE).waveform, expected)
    assert load(path, target_rate=RATE, sample_rate=RATE).sample_rate == RATE


def test_mono_file_stays_mono():
    assert load(io.BytesIO(file_bytes(tone(n_channels=1))), target_rate=RATE).waveform.shape == (
        1,
        1,
        N_TIME,
    )


@pytest.mark.parametrize(
    ("rate", "n_time", "expected"),
    [
        (44_100, 12_001, 6532),  # of 6531.16: soxr by itself gives 6531
        (48_000, 12_001, 6001),
        (16_000, 12_001, 18_002),
    ],
)
def test_file_resamples_to_ceiled_length(rate, n_time, expected):
    audio = load(io.BytesIO(file_bytes(tone(n_time, rate=rate), rate)), target_rate=RATE)
    assert audio.lengths.tolist() == [expected]
    assert audio.waveform.shape[-1] == expected
    ideal = torch.from_numpy(tone(expected))
    # Away from the ends, where the tone starts and stops: 16-bit rounding and the filter's ripple.
    assert (audio.waveform[0] - ideal)[:, 500:-500].abs().max() < 1e-4


def test_file_and_its_samples_resample_alike():
    samples = noise(1, 44_100)
    file = io.BytesIO(file_bytes(samples.numpy(), 44_100, subtype="FLOAT"))
    from_file = load(file, target_rate=RATE).waveform
    from_tensor = load(samples, sample_rate=44_100, target_rate=RATE).waveform
    # White noise to the Nyquist frequency is the hardest case: -45 dB; julius' defaults: -24 dB.
    error_db = 10 * torch.log10((from_file - from_tensor).square().mean() / samples.var())
    assert error_db < -42


@needs_ffmpeg
@pytest.mark.parametrize(("suffix", "codec"), [("m4a", "aac"), ("mka", "libopus")])
def test_ffmpeg_decodes_the_rest(tmp_path, suffix, codec):
    source, path = tmp_path / "tone.wav", tmp_path / f"tone.{suffix}"
    source.write_bytes(file_bytes(tone(48_000, rate=48_000), 48_000))
    ffmpeg("-i", source, "-c:a", codec, "-b:a", "192k", path)
    audio = load(path, target_rate=48_000)
    # AAC comes in blocks of 1024 samples, the last filled up.
    assert 48_000 <= audio.lengths.item() <= 48_000 + 2 * 1024
    middle = slice(10_000, 40_000)
    expected = torch.from_numpy(tone(48_000, rate=48_000))
    assert (audio.waveform[0, :, middle] - expected[:, middle]).abs().max() < 0.05  # lossy
    again = load(io.BytesIO(path.read_bytes()), target_rate=48_000)
    assert torch.equal(again.waveform, audio.waveform)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["-x.m4a", "http:x.m4a"])
def test_ffmpeg_takes_odd_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tone.wav").write_bytes(file_bytes(tone()))
    ffmpeg("-i", "tone.wav", tmp_path / "x.m4a")
    (tmp_path / "x.m4a").rename(tmp_path / name)
    assert load(name, target_rate=RATE).waveform.shape[1] == 2


@needs_ffmpeg
def test_variable_rate_mp3_without_header_is_read_whole(tmp_path):
    # libsndfile estimates the length from the first frames' bit rate, here too short by half.
    loud_first = noise(1, 3 * 44_100).numpy()
    loud_first[:, 44_100:] *= 1e-6
    source, path = tmp_path / "a.wav", tmp_path / "a.mp3"
    source.write_bytes(file_bytes(loud_first, 44_100))
    ffmpeg("-i", source, "-q:a", 2, "-write_xing", 0, path)
    assert soundfile.info(path).frames < 2 * 44_100
    assert load(path, target_rate=44_100).lengths.item() >= 3 * 44_100


@needs_ffmpeg
def test_constant_rate_mp3_without_header_needs_no_ffmpeg(tmp_path, monkeypatch):
    source, path = tmp_path / "a.wav", tmp_path / "a.mp3"
    source.write_bytes(file_bytes(tone(44_100, rate=44_100), 44_100))
    ffmpeg("-i", source, "-b:a", "128k", "-write_xing", 0, path)
    monkeypatch.setenv("PATH", "")
    assert load(path, target_rate=44_100).lengths.item() >= 44_100


@needs_ffmpeg
def test_streamed_files_of_no_stated_length(tmp_path):
    source = tmp_path / "a.wav"
    source.write_bytes(file_bytes(tone()))
    for container in ("wav", "flac"):
        command = ["ffmpeg", "-v", "error", "-i", source, "-f", container, "-"]
        stream = subprocess.run(command, check=True, capture_output=True).stdout
        audio = load(io.BytesIO(stream), target_rate=RATE)
        assert torch.equal(audio.waveform, load(source, target_rate=RATE).waveform)
