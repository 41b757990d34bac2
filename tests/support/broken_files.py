"""Files of sound that something is wrong with: cut, overwritten, spliced, with forged sizes.

The same number gives the same file each time.
"""

import io
import random
from collections.abc import Callable
from functools import cache

import numpy as np
import soundfile

RATE = 16_000
DURATION_S = 0.2
KINDS = {
    "wav 16": ("WAV", "PCM_16"),
    "wav float": ("WAV", "FLOAT"),
    "wav adpcm": ("WAV", "IMA_ADPCM"),
    "rf64": ("RF64", "PCM_24"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "ULAW"),
    "caf": ("CAF", "ALAC_16"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "vorbis": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
HEADER_BYTES = 96
# What sizes and counts are forged to: none, one, the largest of 16, 31 and 32 bits, the sign bit.
EXTREMES = (0, 1, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def broken(kind: str, number: int) -> bytes:
    """One broken file of a kind."""
    pick = random.Random(f"{kind} {number}")
    content = bytearray(sound(kind))
    for _ in range(pick.choice((1, 1, 1, 2, 3))):
        content = pick.choice(DAMAGES)(content, pick)
    return bytes(content)


@cache
def sound(kind: str) -> bytes:
    """The whole file: two channels, a tone and some noise."""
    container, subtype = KINDS[kind]
    time = np.arange(round(DURATION_S * RATE)) / RATE
    noise = 0.1 * np.random.default_rng(0).standard_normal((len(time), 2))
    samples = 0.4 * np.sin(2 * np.pi * 440 * time)[:, None] + noise
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=container, subtype=subtype)
    return file.getvalue()


def _cut(content: bytearray, pick: random.Random) -> bytearray:
    return content[: pick.randrange(len(content) + 1)]


def _flip(content: bytearray, pick: random.Random) -> bytearray:
    """Some bits of the header."""
    for _ in range(pick.randint(1, 8)):
        if content:
            content[pick.randrange(min(HEADER_BYTES, len(content)))] ^= 1 << pick.randrange(8)
    return content


def _forge(content: bytearray, pick: random.Random) -> bytearray:
    """A field of the header, in either order of bytes."""
    size = pick.choice((2, 4, 8))
    value = pick.choice(EXTREMES) & (2 ** (8 * size) - 1)
    at = pick.randrange(max(1, min(HEADER_BYTES, len(content)) - size))
    content[at : at + size] = value.to_bytes(size, pick.choice(("little", "big")))
    return content


def _overwrite(content: bytearray, pick: random.Random) -> bytearray:
    at = pick.randrange(len(content) + 1)
    junk = pick.randbytes(pick.choice((1, 16, 256)))
    content[at : at + len(junk)] = junk
    return content


def _remove(content: bytearray, pick: random.Random) -> bytearray:
    at = pick.randrange(len(content) + 1)
    del content[at : at + pick.choice((1, 2, 64, 1000))]
    return content


def _repeat(content: bytearray, pick: random.Random) -> bytearray:
    at = pick.randrange(len(content) + 1)
    content[at:at] = content[at : at + pick.choice((1, 4, 512))]
    return content


def _head_of_another(content: bytearray, pick: random.Random) -> bytearray:
    other = sound(pick.choice(sorted(KINDS)))
    return bytearray(other[: pick.randrange(HEADER_BYTES)] + content[pick.randrange(64) :])


Damage = Callable[[bytearray, random.Random], bytearray]
DAMAGES: tuple[Damage, ...] = (
    _cut, _cut, _flip, _flip, _forge, _forge, _overwrite, _remove, _repeat, _head_of_another
)  # fmt: skip
