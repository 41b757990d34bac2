"""Files to samples, whole or not at all: soundfile first, ffmpeg for what it cannot read.

libsndfile clamps a header that declares more than the file holds, and returns what is left of a
damaged stream: a clip cut short would then count as a shorter clip. Every such case is refused.
"""

import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np
import soundfile
from jaxtyping import Float

from pamt_metric import ffmpeg
from pamt_metric.cut_short import Stream, raise_cut_short, refuse_cut_chunks, refuse_cut_ogg
from pamt_metric.decode_limits import check_declared, check_length
from pamt_metric.errors import InputError

Samples = Float[np.ndarray, "time channel"]
if TYPE_CHECKING:  # what a caller should give
    FileSource = str | os.PathLike | IO[bytes]
else:  # what may come: any object with a `read`
    FileSource = Any

# libsndfile's SF_COUNT_MAX: the stream does not say its length (FLAC from a pipe).
_UNKNOWN_FRAMES = 2**63 - 1
# Bytes after an MP3's ID3v2 tag in which its first frame, with a Xing or Info header, must lie.
_MP3_FIRST_FRAME_BYTES = 4096


def decode(source: FileSource, *, max_duration: float | None = None) -> tuple[Samples, int]:
    """Decode a file to float32 samples at its own rate.

    Args:
        source: A path, or a binary file object, which is read from where it stands to its end.
        max_duration: Longest that it may last, in seconds; by default as long as its size makes
            likely: see `decode_limits`.

    Returns:
        Samples of shape (time, channel), full scale 1.0, and the sample rate in Hz.

    Raises:
        InputError: No such file, no audio, damaged, cut short or changed meanwhile, longer than it
            may be, or ffmpeg is needed and missing.
    """
    whole = _Whole()
    rate = decode_in_blocks(source, whole.begin, block_frames=-1, max_duration=max_duration)
    return whole.samples(), rate


@runtime_checkable
class Sink(Protocol):
    """Takes the samples of a file, one block after another."""

    def write(self, block: Samples, /) -> object:
        """Take the next block."""
        ...


Begin = Callable[[int, int], Sink]
"""From rate and number of channels to a new sink; what another sink was given does not count."""


class _Whole:
    """A sink that keeps all blocks."""

    def begin(self, rate: int, n_channels: int) -> "_Whole":  # noqa: ARG002 (a sink's)
        self._blocks: list[Samples] = []
        return self

    def write(self, block: Samples) -> None:
        self._blocks.append(block)

    def samples(self) -> Samples:
        return self._blocks[0] if len(self._blocks) == 1 else np.concatenate(self._blocks)


def decode_in_blocks(
    source: FileSource, begin: Begin, *, block_frames: int, max_duration: float | None = None
) -> int:
    """Decode a file block by block.

    Args:
        source: as for `decode`.
        begin: called before the first block; again where a second decoder starts from the front.
        block_frames: samples of each channel in a block; -1 for one block.
        max_duration: as for `decode`.

    Returns:
        The sample rate in Hz.

    Raises:
        InputError: as for `decode`. Only where none is raised was the file whole.
    """
    path = os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else None
    with _open(source) as stream:
        before = _state(stream)
        refuse_cut_chunks(stream)
        refuse_cut_ogg(stream)
        n_bytes = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        decoded = _by_soundfile(
            stream, begin, block_frames=block_frames, n_bytes=n_bytes, max_duration=max_duration
        )
        after = _state(stream)
        if decoded is None:
            with ffmpeg.decode(path, stream, n_bytes=n_bytes, max_duration=max_duration) as file:
                count = _copy(file, begin(file.samplerate, file.channels), block_frames)
                decoded = count, file.samplerate
            after = _state(stream if path is None else path)  # ffmpeg opened it again
        if after != before:
            raise InputError("the file changed while it was read; is something writing to it?")
    count, rate = decoded
    check_length(count / rate, max_duration)
    return rate


def _copy(file: soundfile.SoundFile, sink: Sink, block_frames: int) -> int:
    """Give all that a file holds to a sink, block by block; the samples of a channel."""
    count = 0
    while True:
        block = file.read(block_frames, dtype="float32", always_2d=True)
        if len(block) or not count:
            sink.write(block)
        count += len(block)
        if block_frames < 0 or len(block) < block_frames:
            return count


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
        try:
            if not stream.read(1):
                raise InputError("the file is empty (0 bytes left); was a file object read before?")
            stream.seek(0)
            yield stream
        except OSError as error:
            raise InputError(f"the file cannot be read: {error.strerror or error}") from error


def _open_path(path: Path) -> Stream:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL
        raise InputError(
            f"there is no such file; is it relative to {str(Path.cwd())!r}?"
        ) from error
    except OSError as error:
        raise InputError(f"the file cannot be opened: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise InputError("expected an audio file, got a directory; give a list of its files")
    if not stat.S_ISREG(mode):  # to read one might never end
        raise InputError(
            "expected an audio file, got a pipe or a device; read it into an io.BytesIO"
        )
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"the file cannot be opened: {error.strerror}") from error


def _state(file: Stream | str) -> tuple[int, int, int] | None:
    """What changes with a file's content, of an open one or of a path; None for one in memory."""
    if isinstance(file, io.BytesIO):
        return None
    found = Path(file).stat() if isinstance(file, str) else os.fstat(file.fileno())
    return found.st_ino, found.st_size, found.st_mtime_ns


def _by_soundfile(
    stream: Stream,
    begin: Begin,
    *,
    block_frames: int,
    n_bytes: int,
    max_duration: float | None,
) -> tuple[int, int] | None:
    """Samples of a channel, and rate; None where another decoder is needed to get all of them."""
    try:
        file = soundfile.SoundFile(cast("Any", _Seekable(stream)))
    except soundfile.LibsndfileError:
        return None
    with file:
        declared = file.frames
        if declared == _UNKNOWN_FRAMES:
            return None
        check_declared(
            rate=file.samplerate,
            n_channels=file.channels,
            n_frames=declared,
            n_bytes=n_bytes,
            max_duration=max_duration,
        )
        try:
            count = _copy(file, begin(file.samplerate, file.channels), block_frames)
        except soundfile.LibsndfileError as error:
            reason = str(error).removeprefix("Error : ").rstrip(".")
            raise InputError(
                f"the file is damaged or cut short ({reason}); get it again"
            ) from error
        rate = file.samplerate
        length_is_estimate = file.format == "MP3" and not _mp3_states_length(stream)
    if length_is_estimate:
        # libsndfile stops at its estimate. Fewer frames: the stream ended first, all is read.
        return (count, rate) if count < declared else None
    if count < declared:
        raise_cut_short(f"{declared} frames", f"{count}")
    return count, rate


class _Seekable:
    """A stream as libsndfile expects one: a seek to nowhere leaves it where it is.

    A damaged header can ask for one, and an error inside soundfile's callback prints a traceback.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.read, self.readinto, self.tell = stream.read, stream.readinto, stream.tell

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with suppress(ValueError, OSError):
            self._stream.seek(offset, whence)
        return self._stream.tell()


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
