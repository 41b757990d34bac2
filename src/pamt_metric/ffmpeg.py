"""ffmpeg as a decoder, in a process that is stopped where it gives too much or takes too long."""

import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import IO, Any, cast

import soundfile

from pamt_metric.decode_limits import check_declared, most_frames, refuse_length
from pamt_metric.errors import InputError

Stream = io.BytesIO | io.BufferedReader

PATIENCE_S = 600.0
"""Seconds after which ffmpeg is stopped: it decodes hours in them."""
# More than the header of the WAV stream that ffmpeg writes.
_HEAD_BYTES = 2**12
_CHUNK_BYTES = 2**20
# Bytes of the WAV stream that are held in memory: three minutes of stereo. More go to a file.
_MOST_IN_MEMORY = 2**26
_BYTES_PER_SAMPLE = 4


@contextmanager
def decode(
    path: str | None, content: Stream, *, n_bytes: int, max_duration: float | None
) -> Iterator[soundfile.SoundFile]:
    """Decode what soundfile cannot, to a WAV file of float32 samples at the file's own rate.

    Args:
        path: of the file; None for what is in memory alone.
        content: the same as a stream.
        n_bytes: its size.
        max_duration: as for `decode_limits.check_declared`.

    Raises:
        InputError: ffmpeg is missing, cannot read all of it, or it is longer than it may be.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise InputError(
            "soundfile cannot read all of this file; if it is audio (m4a, wma, a video, a stream "
            "of no stated length ...), ffmpeg would be needed: install it, or convert to wav"
        )
    with tempfile.SpooledTemporaryFile(_MOST_IN_MEMORY) as wav:
        with _as_file(path, content) as name:
            _run(_command(program, name), wav, n_bytes=n_bytes, max_duration=max_duration)
        with soundfile.SoundFile(cast("Any", wav)) as file:
            yield file


@contextmanager
def _as_file(path: str | None, content: Stream) -> Iterator[str]:
    """A file of the content. A pipe will not do: the index of an MP4 may stand at its end."""
    if path is not None:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "source")
        content.seek(0)
        with copy.open("wb") as file:
            shutil.copyfileobj(content, file)
        yield str(copy)


def _command(program: str, path: str) -> list[str]:
    command = [program, "-nostdin", "-v", "error", "-xerror"]
    # 'file:' and the whitelist: a name or a playlist must not make ffmpeg open a network address.
    command += ["-protocol_whitelist", "file,pipe", "-i", f"file:{path}"]
    command += ["-map", "0:a:0", "-map_metadata", "-1"]
    return [*command, "-f", "wav", "-c:a", "pcm_f32le", "pipe:1"]


def _run(
    command: Sequence[str], wav: IO[bytes], *, n_bytes: int, max_duration: float | None
) -> None:
    """Put the WAV stream that ffmpeg writes, whole, into a file.

    Raises:
        InputError: ffmpeg fails, takes too long, or writes more than the file may hold.
    """
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said) as process,
    ):
        patience = Timer(PATIENCE_S, process.kill)
        patience.daemon = True
        patience.start()
        try:
            pipe = cast("io.BufferedReader", process.stdout)
            _read(pipe, wav, n_bytes=n_bytes, max_duration=max_duration)
            code = process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            patience.cancel()
        if code != 0:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
            raise InputError(
                "neither soundfile nor ffmpeg can read all of it; is it audio, and complete? "
                f"ffmpeg says: {lines[-1] if lines else f'nothing, and ends with code {code}'}"
            )
    wav.seek(0)


def _read(
    pipe: io.BufferedReader, wav: IO[bytes], *, n_bytes: int, max_duration: float | None
) -> None:
    """Copy what comes through the pipe, if its rate, its channels and its length can be used."""
    wav.write(pipe.read(_HEAD_BYTES))
    wav.seek(0)
    try:
        with soundfile.SoundFile(cast("Any", wav)) as file:
            rate, n_channels = file.samplerate, file.channels
    except soundfile.LibsndfileError:  # ffmpeg gave up before it had a header
        return
    check_declared(
        rate=rate, n_channels=n_channels, n_frames=None, n_bytes=n_bytes, max_duration=max_duration
    )
    n_allowed = most_frames(rate, n_bytes, max_duration)
    most = n_allowed * n_channels * _BYTES_PER_SAMPLE + _HEAD_BYTES
    wav.seek(0, os.SEEK_END)
    while chunk := pipe.read(_CHUNK_BYTES):
        if wav.tell() + len(chunk) > most:
            refuse_length(f"over {n_allowed / rate:.6g} s", n_bytes, max_duration)
        wav.write(chunk)
