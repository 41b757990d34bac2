"""Files that hold less than they declare, told by their own chunks and pages.

libsndfile clamps what such a file declares and returns what is left; a clip cut short would then
count as a shorter clip.
"""

import io
import os
from typing import NoReturn

from pamt_metric.errors import InputError

Stream = io.BytesIO | io.BufferedReader

# Chunk sizes that writers to a pipe put where they cannot know the size (ffmpeg, SoX).
_STREAMED_SIZES = frozenset({0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF})
# Largest Ogg page: a 27-byte header, 255 segment sizes, 255 segments of 255 bytes (RFC 3533).
_OGG_HEADER_BYTES = 27
_OGG_PAGE_BYTES = _OGG_HEADER_BYTES + 255 + 255 * 255


def refuse_cut_chunks(stream: Stream) -> None:
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
        raise_cut_short(f"{end} bytes", f"{size}")


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


def refuse_cut_ogg(stream: Stream) -> None:
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
        raise_cut_short(f"at least {size - len(page) + expected} bytes", f"{size}")


def raise_cut_short(declared: str, found: str) -> NoReturn:
    """Raise the error of a file that holds less than it declares."""
    raise InputError(
        f"the file is cut short: it declares {declared} and holds {found}; "
        "was a download or a recording broken off?"
    )
