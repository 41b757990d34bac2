"""Files to samples, whole or not at all: soundfile first, ffmpeg for what it cannot read.

libsndfile clamps a header that declares more than the file holds, and returns what is left of a
damaged stream: a clip cut short would then count as a shorter clip. Every such case is refused.
"""

import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import numpy as np
import soundfile
from jaxtyping import Float

from pamt_metric.errors import InputError

Samples = Float[np.ndarray, "time channel"]
Stream = io.BytesIO | io.BufferedReader
if TYPE_CHECKING:  # what a caller should give
    FileSource = str | os.PathLike | IO[bytes]
else:  # what may come: any object with a `read`
    FileSource = Any

# Chunk sizes that writers to a pipe put where they cannot know the size (ffmpeg, SoX).
_STREAMED_SIZES = frozenset({0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF})
# libsndfile's SF_COUNT_MAX: the stream does not say its length (FLAC from a pipe).
_UNKNOWN_FRAMES = 2**63 - 1
# Largest Ogg page: a 27-byte header, 255 segment sizes, 255 segments of 255 bytes (RFC 3533).
_OGG_HEADER_BYTES = 27
_OGG_PAGE_BYTES = _OGG_HEADER_BYTES + 255 + 255 * 255
# Bytes after an MP3's ID3v2 tag in which its first frame, with a Xing or Info header, must lie.
_MP3_FIRST_FRAME_BYTES = 4096


def decode(source: FileSource) -> tuple[Samples, int]:
    """Decode a file to float32 samples at its own rate.

    Args:
        source: A path, or a binary file object, which is read from where it stands to its end.

    Returns:
        Samples of shape (time, channel), full scale 1.0, and the sample rate in Hz.

    Raises:
        InputError: No such file, no audio, damaged or cut short, or ffmpeg is needed and missing.
    """
    with _open(source) as stream:
        _refuse_cut_chunks(stream)
        _refuse_cut_ogg(stream)
        stream.seek(0)
        decoded = _by_soundfile(stream)
        if decoded is None:
            decoded = _by_ffmpeg(source, stream)
    return decoded


@contextmanager
def _open(source: FileSource) -> Iterator[Stream]:
    """A seekable stream that starts at byte 0 and holds something."""
    if isinstance(source, (str, os.PathLike)):
        stream = _open_path(Path(os.fsdecode(source)))
    else:
        content = source.read()
        if not isinstance(content, bytes):
            raise InputError("a file object must give bytes; was it opened in text mode?")
        stream = io.BytesIO(content)
    with stream:
        if not stream.read(1):
            raise InputError("the file is empty (0 bytes left); was a file object read before?")
        stream.seek(0)
        yield stream


def _open_path(path: Path) -> Stream:
    if path.is_dir():
        raise InputError("expected an audio file, got a directory; give a list of its files")
    if not path.exists():
        raise InputError(f"there is no such file; is it relative to {str(Path.cwd())!r}?")
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"the file cannot be opened: {error.strerror}") from error


def _by_soundfile(stream: Stream) -> tuple[Samples, int] | None:
    """Samples and rate, or None where another decoder is needed to get all of them."""
    try:
        file = soundfile.SoundFile(stream)
    except (soundfile.LibsndfileError, TypeError):  # TypeError: a name that ends in .raw
        return None
    with file:
        declared = file.frames
        if declared == _UNKNOWN_FRAMES:
            return None
        try:
            samples = file.read(dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            reason = str(error).removeprefix("Error : ").rstrip(".")
            raise InputError(
                f"the file is damaged or cut short ({reason}); get it again"
            ) from error
        rate = file.samplerate
        length_is_estimate = file.format == "MP3" and not _mp3_states_length(stream)
    if length_is_estimate:
        # libsndfile stops at its estimate. Fewer frames: the stream ended first, all is read.
        return (samples, rate) if len(samples) < declared else None
    if len(samples) < declared:
        _raise_cut_short(f"{declared} frames", f"{len(samples)}")
    return samples, rate


def _mp3_states_length(stream: Stream) -> bool:
    """Whether the first frame is a Xing or Info header, which holds the number of frames."""
    stream.seek(0)
    head = stream.read(10)
    if head[:3] == b"ID3":
        # ID3v2.4, section 3.1: four bytes of 7 bits each, without the header itself.
        size = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        stream.seek(size, os.SEEK_CUR)
    else:
        stream.seek(0)
    first_frame = stream.read(_MP3_FIRST_FRAME_BYTES)
    return b"Xing" in first_frame or b"Info" in first_frame


def _by_ffmpeg(source: FileSource, stream: Stream) -> tuple[Samples, int]:
    program = shutil.which("ffmpeg")
    if program is None:
        raise InputError(
            "soundfile cannot read all of this file; if it is audio (m4a, wma, a video, a stream "
            "of no stated length ...), ffmpeg would be needed: install it, or convert to wav"
        )
    if isinstance(source, (str, os.PathLike)):
        return _run_ffmpeg(program, os.fsdecode(source))
    # A pipe will not do: the index of an MP4 may stand at its end.
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "source")
        stream.seek(0)
        with copy.open("wb") as file:
            shutil.copyfileobj(stream, file)
        return _run_ffmpeg(program, str(copy))


def _run_ffmpeg(program: str, path: str) -> tuple[Samples, int]:
    command = [program, "-nostdin", "-v", "error", "-xerror"]
    # 'file:' and the whitelist: a name or a playlist must not make ffmpeg open a network address.
    command += ["-protocol_whitelist", "file,pipe", "-i", f"file:{path}"]
    command += ["-map", "0:a:0", "-f", "wav", "-c:a", "pcm_f32le", "pipe:1"]
    result = subprocess.run(command, capture_output=True, check=False)
    if result.returncode != 0:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise InputError(
            "neither soundfile nor ffmpeg can read all of it; is it audio, and complete? "
            f"ffmpeg says: {lines[-1]}"
        )
    with soundfile.SoundFile(io.BytesIO(result.stdout)) as file:
        return file.read(dtype="float32", always_2d=True), file.samplerate


def _refuse_cut_chunks(stream: Stream) -> None:
    """Refuse a WAV or AIFF file whose sample chunk is declared to reach beyond the file's end."""
    stream.seek(0)
    head = stream.read(12)
    if head[8:] == b"WAVE" and head[:4] in (b"RIFF", b"RF64", b"RIFX"):
        end = _chunk_end(stream, b"data", "big" if head[:4] == b"RIFX" else "little")
    elif head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        end = _chunk_end(stream, b"SSND", "big")
    else:
        return
    size = stream.seek(0, os.SEEK_END)
    if end is not None and end > size:
        _raise_cut_short(f"{end} bytes", f"{size}")


def _chunk_end(stream: Stream, name: bytes, order: str) -> int | None:
    """Byte at which the chunk ends by its own account; None where it is absent or streamed."""
    long_size = None
    while len(header := stream.read(8)) == 8:
        size = int.from_bytes(header[4:], order)  # pyright: ignore[reportArgumentType]
        start = stream.tell()
        if header[:4] == b"ds64":  # RF64 (EBU Tech 3306): sizes of 64 bits, the data's second
            long_size = int.from_bytes(stream.read(16)[8:], "little")
        if header[:4] == name:
            size = long_size if long_size and size in _STREAMED_SIZES else size
            return None if size in _STREAMED_SIZES else start + size
        stream.seek(start + size + size % 2)
    return None


def _refuse_cut_ogg(stream: Stream) -> None:
    """Refuse an Ogg file that ends inside a page: libsndfile reads up to the page before."""
    stream.seek(0)
    if stream.read(4) != b"OggS":
        return
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - 2 * _OGG_PAGE_BYTES))
    tail = stream.read()
    page = tail[tail.rfind(b"OggS\0") :]
    n_segments = page[26] if len(page) >= _OGG_HEADER_BYTES else 0
    expected = _OGG_HEADER_BYTES + n_segments
    expected += sum(page[_OGG_HEADER_BYTES : _OGG_HEADER_BYTES + n_segments])
    if len(page) < expected:
        _raise_cut_short(f"at least {size - len(page) + expected} bytes", f"{size}")


def _raise_cut_short(declared: str, found: str) -> NoReturn:
    raise InputError(
        f"the file is cut short: it declares {declared} and holds {found}; "
        "was a download or a recording broken off?"
    )
