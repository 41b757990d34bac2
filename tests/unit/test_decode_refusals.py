"""Files that cannot be used: absent, empty, no audio, damaged, cut short."""

import io
import shutil

import pytest

from pamt_metric.audio import load
from pamt_metric.errors import InputError
from tests.support.audio_files import N_TIME, RATE, ffmpeg, file_bytes, needs_ffmpeg, noise, tone


def test_missing_file_names_the_path(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.wav.*there is no such file"):
        load(tmp_path / "nothing.wav", target_rate=RATE)


def test_directory(tmp_path):
    with pytest.raises(InputError, match="got a directory"):
        load(tmp_path, target_rate=RATE)


def test_empty_file(tmp_path):
    (tmp_path / "a.wav").touch()
    with pytest.raises(InputError, match=r"a\.wav.*the file is empty"):
        load(tmp_path / "a.wav", target_rate=RATE)


def test_file_object_read_before():
    file = io.BytesIO(file_bytes(tone()))
    load(file, target_rate=RATE)
    with pytest.raises(InputError, match="was a file object read before"):
        load(file, target_rate=RATE)


def test_text_file_object():
    with pytest.raises(InputError, match="text mode"):
        load(io.StringIO("RIFF"), target_rate=RATE)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", ["notes.txt", "notes.wav", "notes.raw"])
def test_not_audio(tmp_path, monkeypatch, name):
    path = tmp_path / name
    path.write_text("no music here\n" * 100)
    if shutil.which("ffmpeg") is not None:
        with pytest.raises(InputError, match=r"notes.*neither soundfile nor ffmpeg.*is it audio"):
            load(path, target_rate=RATE)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="ffmpeg would be needed"):
        load(path, target_rate=RATE)


def test_wav_of_no_samples():
    with pytest.raises(InputError, match="is empty"):
        load(io.BytesIO(file_bytes(tone(0))), target_rate=RATE)


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("RF64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_file_cut_short(tmp_path, container, subtype, share):
    content = file_bytes(noise(2, 48_000).numpy(), container=container, subtype=subtype)
    path = tmp_path / "cut"
    path.write_bytes(content)
    assert load(path, target_rate=RATE).lengths.item() == 48_000
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"'.*cut': the file is (damaged or )?cut short"):
        load(path, target_rate=RATE)


def test_cut_short_message_counts_bytes():
    content = file_bytes(tone(), subtype="PCM_16")
    with pytest.raises(InputError, match=r"declares 48044 bytes and holds 48000"):
        load(io.BytesIO(content[:48_000]), target_rate=RATE)


def test_cut_short_behind_a_chunk_of_odd_size():
    content = file_bytes(tone(), subtype="PCM_16")
    content = content[:12] + b"note" + (5).to_bytes(4, "little") + b"hello\0" + content[12:]
    assert load(io.BytesIO(content), target_rate=RATE).lengths.item() == N_TIME
    with pytest.raises(InputError, match="cut short"):
        load(io.BytesIO(content[:40_000]), target_rate=RATE)


def test_mp3_cut_short_behind_a_long_tag():
    # ID3v2 of 10 + 10 000 bytes; its size comes in bytes of 7 bits.
    tag = b"ID3\4\0\0" + bytes([0, 0, 10_000 >> 7, 10_000 & 127]) + bytes(10_000)
    content = tag + file_bytes(tone(48_000), container="MP3")
    assert load(io.BytesIO(content), target_rate=RATE).lengths.item() == 48_000
    with pytest.raises(InputError, match="cut short"):
        load(io.BytesIO(content[: -len(content) // 8]), target_rate=RATE)


def test_damaged_flac():
    content = bytearray(file_bytes(noise(2, 48_000).numpy(), container="FLAC"))
    content[len(content) // 2 : len(content) // 2 + 2000] = bytes(2000)
    with pytest.raises(InputError, match="damaged or cut short"):
        load(io.BytesIO(bytes(content)), target_rate=RATE)


@needs_ffmpeg
def test_m4a_cut_short(tmp_path):
    source, path = tmp_path / "a.wav", tmp_path / "a.m4a"
    source.write_bytes(file_bytes(noise(1, 48_000).numpy()))
    ffmpeg("-i", source, "-movflags", "+faststart", path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="ffmpeg says"):
        load(path, target_rate=RATE)


def test_file_of_another_rate_than_given():
    with pytest.raises(InputError, match="sample_rate=44100 was given, but the file says 24000 Hz"):
        load(io.BytesIO(file_bytes(tone())), sample_rate=44_100, target_rate=RATE)


def test_file_of_six_channels_names_the_path(tmp_path):
    path = tmp_path / "surround.wav"
    path.write_bytes(file_bytes(tone(n_channels=6)))
    with pytest.raises(InputError, match=r"surround\.wav.*got 6 in shape .*downmix"):
        load(path, target_rate=RATE)


def test_file_takes_no_lengths():
    with pytest.raises(InputError, match="a file has its own length"):
        load(io.BytesIO(file_bytes(tone())), target_rate=RATE, lengths=[100])
