"""How long a file may be: bombs, forged headers, and the caller's own limit."""

import io
import math
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from pamt_metric import ffmpeg as decoder
from pamt_metric.audio import load
from pamt_metric.decode_limits import ALWAYS_ALLOWED_S, LEAST_BYTES_PER_S
from pamt_metric.errors import InputError
from tests.support.audio_files import RATE, ffmpeg, file_bytes, needs_ffmpeg, tone

LOW_RATE = 8_000
LONG_S = 610
# Of a FLAC file: where STREAMINFO keeps 36 bits of its length, after 20 of the rate, 3 and 5.
FLAC_LENGTH = slice(21, 26)


@pytest.fixture(scope="module")
def bomb(tmp_path_factory):
    """Ten minutes and more of digital silence, which FLAC keeps in some kilobytes."""
    path = tmp_path_factory.mktemp("bomb") / "bomb.flac"
    soundfile.write(path, np.zeros(LONG_S * LOW_RATE, np.int16), LOW_RATE)
    assert path.stat().st_size < 100_000
    return path


@pytest.fixture
def nothing_is_decoded(monkeypatch):
    def read(*_, **__):
        raise AssertionError("decoded what is to be refused by its header")

    monkeypatch.setattr(soundfile.SoundFile, "read", read)


def flac_of_declared_length(n_frames):
    content = bytearray(file_bytes(tone(), container="FLAC"))
    kept = content[FLAC_LENGTH.start] & 0xF0
    declared = n_frames.to_bytes(5, "big")
    content[FLAC_LENGTH] = bytes([kept | declared[0], *declared[1:]])
    return io.BytesIO(bytes(content))


class TestBomb:
    def test_is_refused_by_its_header(self, bomb, nothing_is_decoded):
        size = bomb.stat().st_size
        words = rf"bomb\.flac': a file of {size} bytes that lasts 610 s .* up to 600 s;"
        with pytest.raises(InputError, match=words):
            load(bomb, target_rate=LOW_RATE)
        with pytest.raises(InputError, match="decompression bomb"):
            load(io.BytesIO(bomb.read_bytes()), target_rate=LOW_RATE)

    def test_is_read_by_one_who_says_how_long_it_may_be(self, bomb):
        for longest in (LONG_S, math.inf):
            found = load(bomb, target_rate=LOW_RATE, max_duration=longest)
            assert found.lengths.tolist() == [LONG_S * LOW_RATE]

    def test_of_a_declared_length_alone_allocates_nothing(self, nothing_is_decoded):
        with pytest.raises(InputError, match="decompression bomb"):
            load(flac_of_declared_length(2**36 - 1), target_rate=RATE)

    def test_below_the_limit_is_cut_short(self):
        with pytest.raises(InputError, match=r"cut short"):
            load(flac_of_declared_length(10 * RATE), target_rate=RATE)

    def test_counts_memory_of_high_rates(self, tmp_path, nothing_is_decoded):
        """Samples count as many at 192 kHz as at 48 kHz, though they last a quarter of it."""
        path = tmp_path / "high.flac"
        n_frames = round(ALWAYS_ALLOWED_S * 48_000) + 1
        soundfile.write(path, np.zeros(n_frames, np.int16), 192_000)
        with pytest.raises(InputError, match=r"lasts 150 s is refused as a decompression bomb"):
            load(path, target_rate=48_000)

    def test_grows_with_the_file(self, bomb, tmp_path, nothing_is_decoded):
        path = tmp_path / "padded.flac"
        padding = b"\0" * int(LONG_S * LEAST_BYTES_PER_S)
        path.write_bytes(bomb.read_bytes() + padding)
        with pytest.raises(AssertionError, match="decoded what"):  # it got as far as that
            load(path, target_rate=LOW_RATE)

    @needs_ffmpeg
    def test_of_no_stated_length_is_stopped_amid_decoding(self, bomb):
        command = ["ffmpeg", "-v", "error", "-i", bomb, "-f", "flac", "-"]
        content = subprocess.run(command, check=True, capture_output=True).stdout
        with pytest.raises(InputError, match=r"lasts over 600 s is refused as a decompression"):
            load(io.BytesIO(content), target_rate=LOW_RATE)
        found = load(io.BytesIO(content), target_rate=LOW_RATE, max_duration=LONG_S)
        assert found.lengths.tolist() == [LONG_S * LOW_RATE]


class TestMaxDuration:
    def test_refuses_a_file_by_its_header(self, nothing_is_decoded):
        file = io.BytesIO(file_bytes(tone(RATE)))
        with pytest.raises(InputError, match=r"it lasts 1 s, longer than max_duration=0\.99 s"):
            load(file, target_rate=RATE, max_duration=0.99)

    def test_lets_pass_what_is_as_long(self):
        file = io.BytesIO(file_bytes(tone(RATE)))
        assert load(file, target_rate=RATE, max_duration=1).lengths.tolist() == [RATE]

    def test_holds_for_arrays_by_their_lengths(self):
        clips = torch.zeros(2, 1, RATE)
        lengths = [RATE // 2, RATE // 2]
        load(clips, sample_rate=RATE, target_rate=RATE, lengths=lengths, max_duration=0.5)
        with pytest.raises(InputError, match=r"lasts 1 s, longer than max_duration=0\.5 s"):
            load(clips, sample_rate=RATE, target_rate=RATE, max_duration=0.5)

    def test_names_the_item_and_the_file_of_a_list(self, tmp_path):
        for name, n_time in (("a.wav", RATE // 2), ("b.wav", RATE)):
            (tmp_path / name).write_bytes(file_bytes(tone(n_time)))
        files = [tmp_path / "a.wav", tmp_path / "b.wav"]
        with pytest.raises(InputError, match=r"item 1: '.*b\.wav': it lasts 1 s"):
            load(files, target_rate=RATE, max_duration=0.7)

    @needs_ffmpeg
    def test_stops_ffmpeg(self, tmp_path):
        (tmp_path / "a.wav").write_bytes(file_bytes(tone(4 * RATE)))
        ffmpeg("-i", tmp_path / "a.wav", tmp_path / "a.m4a")
        with pytest.raises(InputError, match=r"a\.m4a': it lasts .*, longer than max_duration=3"):
            load(tmp_path / "a.m4a", target_rate=RATE, max_duration=3)
        assert load(tmp_path / "a.m4a", target_rate=RATE, max_duration=5).lengths.item() >= 4 * RATE

    @pytest.mark.parametrize("value", [0, -1, float("nan"), "60", True])
    def test_must_be_seconds(self, value):
        with pytest.raises(InputError, match=f"max_duration must be .* got {value!r}"):
            load(torch.zeros(RATE), sample_rate=RATE, target_rate=RATE, max_duration=value)


class TestHeader:
    def test_of_too_many_channels(self, nothing_is_decoded):
        with pytest.raises(InputError, match="got 8 in shape"):
            load(io.BytesIO(file_bytes(tone(n_channels=8))), target_rate=RATE)

    def test_of_an_implausible_rate(self, nothing_is_decoded):
        with pytest.raises(InputError, match="from 4000 to 384000, got 1000"):
            load(io.BytesIO(file_bytes(tone(), 1_000)), target_rate=RATE)

    @needs_ffmpeg
    def test_of_what_ffmpeg_reads(self, tmp_path):
        (tmp_path / "a.wav").write_bytes(file_bytes(tone(n_channels=6)))
        ffmpeg("-i", tmp_path / "a.wav", tmp_path / "a.m4a")
        with pytest.raises(InputError, match=r"a\.m4a': .*got 6 in shape"):
            load(tmp_path / "a.m4a", target_rate=RATE)


class TestNoHang:
    def test_on_a_pipe(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.wav")
        with pytest.raises(InputError, match=r"pipe\.wav': .*got a pipe or a device"):
            load(tmp_path / "pipe.wav", target_rate=RATE)

    def test_on_a_device(self):
        with pytest.raises(InputError, match="got a pipe or a device"):
            load("/dev/zero", target_rate=RATE)

    def test_of_ffmpeg(self, tmp_path, monkeypatch):
        fake = tmp_path / "ffmpeg"
        fake.write_text("#!/bin/sh\nexec sleep 60\n")
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        monkeypatch.setattr(decoder, "PATIENCE_S", 0.2)
        with pytest.raises(InputError, match="ffmpeg says: nothing, and ends with code -9"):
            load(io.BytesIO(b"no audio at all"), target_rate=RATE)


class TestChange:
    """A file that another process writes to while it is read."""

    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "a.wav"
        path.write_bytes(file_bytes(tone()))
        os.utime(path, (0, 0))
        return path

    @pytest.mark.parametrize("change", ["grows", "shrinks", "is written to", "is replaced"])
    def test_is_noticed(self, path, monkeypatch, change):
        read = soundfile.SoundFile.read

        def change_and_read(file, *n_frames, **options):
            if change == "grows":
                with path.open("ab") as stream:
                    stream.write(b"more")
            elif change == "shrinks":
                os.truncate(path, path.stat().st_size // 2)
            elif change == "is written to":
                with path.open("r+b") as stream:
                    stream.seek(1000)
                    stream.write(b"else")
            else:
                other = Path(f"{path}.new")
                other.write_bytes(file_bytes(0.5 * tone()))
                other.replace(path)
            return read(file, *n_frames, **options)

        monkeypatch.setattr(soundfile.SoundFile, "read", change_and_read)
        if change == "is replaced":  # the open file is what it was
            assert load(path, target_rate=RATE).waveform.abs().max() > 0.45
            return
        with pytest.raises(InputError, match=r"a\.wav': the file (changed while|is cut short)"):
            load(path, target_rate=RATE)

    @needs_ffmpeg
    def test_is_noticed_under_ffmpeg(self, path, tmp_path, monkeypatch):
        ffmpeg("-i", path, tmp_path / "a.m4a")
        (tmp_path / "bin").mkdir()
        program = decoder.shutil.which("ffmpeg")
        wrapper = tmp_path / "bin" / "ffmpeg"
        wrapper.write_text(
            f'#!/bin/sh\ncp {tmp_path}/a.m4a {tmp_path}/b.m4a\n{program} "$@"\n'
            f"mv {tmp_path}/b.m4a {tmp_path}/a.m4a\n"
        )
        wrapper.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
        with pytest.raises(InputError, match="the file changed while it was read"):
            load(tmp_path / "a.m4a", target_rate=RATE)


@pytest.mark.parametrize("name", ["a" * 5_000 + ".wav", "a\0b.wav", "text.txt/a.wav"])
def test_a_name_that_no_file_can_have(tmp_path, name):
    (tmp_path / "text.txt").touch()
    with pytest.raises(InputError, match=r"there is no such file|cannot be opened: File name too"):
        load(str(tmp_path / name), target_rate=RATE)
