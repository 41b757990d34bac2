"""The one check of the audio that a caller gives: what it refuses would give a wrong distance.

A message says what was expected, what came, and the likely mistake.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from pamt_metric.errors import InputError

if TYPE_CHECKING:  # what a caller should give
    Hertz = int
    Lengths = Tensor | Sequence[int]
else:  # what may come: a wrong type is answered here, with the fix in the message
    Hertz = Lengths = Any

# Shortest clip: a few analysis frames, below which no part of the distance means anything.
MIN_DURATION_S = 0.1
# From the lowest rate that carries a melody (telephone speech halved) to twice the highest of
# common converters; beyond them a unit is wrong.
MIN_SAMPLE_RATE_HZ = 4_000
MAX_SAMPLE_RATE_HZ = 384_000
# Above full scale by 20 dB: float audio may overshoot 1.0, but not like that.
MAX_PEAK = 10.0
MAX_CHANNELS = 2

# What +-1.0 is in PCM of each type (two's complement).
FULL_SCALE = {"int16": 2.0**15, "int32": 2.0**31}
# 16-bit samples, signed or not, stay below this in an array of 32 bits.
_INT16_RANGE = 2**16

_DTYPE_FIX = {
    "int64": "if these are 16-bit samples, convert to int16",
    "int8": "divide by 128 in float32",
    "uint8": "8-bit PCM has its zero at 128: use (x - 128) / 128 in float32",
    "uint16": "subtract 32768 and convert to int16",
    "bool": "is it a mask instead of the waveform?",
    "complex64": "is it a spectrum instead of the waveform?",
    "complex128": "is it a spectrum instead of the waveform?",
    "object": "is it a list of clips of different lengths? Give a list of arrays",
}


def check(
    samples: Shaped[Tensor, "..."], *, sample_rate: Hertz | None, lengths: Lengths | None = None
) -> None:
    """Refuse what would give a wrong distance, with the likely mistake in the message.

    Args:
        samples: One clip, (time,) or (channel, time), or a batch, (batch, channel, time).
        sample_rate: Hz.
        lengths: Valid samples of each item; what lies beyond is not looked at.

    Raises:
        InputError: The rate, dtype, shape, lengths or duration cannot be used, or the values are
            not finite or of another scale. In a batch it names the item.
    """
    rate = checked_rate(sample_rate, "sample_rate")
    check_dtype(str(samples.dtype).removeprefix("torch."))
    check_shape(tuple(samples.shape))
    clips = as_batch(samples.detach())
    for i, length in enumerate(checked_lengths(lengths, clips).tolist()):
        with blame(f"item {i}") if samples.ndim == 3 else nullcontext():
            _check_duration(length, rate)
            _check_values(clips[i, :, :length])


class BlockCheck:
    """The same check of one long clip of floats that comes block by block."""

    def __init__(self, sample_rate: Hertz) -> None:
        self._rate = checked_rate(sample_rate, "sample_rate")
        self._count = 0

    def __call__(self, block: Shaped[Tensor, "channel time"]) -> None:
        """Look at the next block.

        Raises:
            InputError: its values are not finite or of another scale.
        """
        with blame(f"after {self._count / self._rate:.6g} s"):
            _check_values(block)
        self._count += block.shape[-1]


@contextmanager
def blame(culprit: str) -> Iterator[None]:
    """Put the item or the file before the message of an error."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{culprit}: {error}") from error


def as_batch(samples: Shaped[Tensor, "..."]) -> Shaped[Tensor, "batch channel time"]:
    """Batch and channel axes of one put before what lacks them."""
    return samples.reshape((1,) * (3 - samples.ndim) + tuple(samples.shape))


def full_lengths(waveform: Shaped[Tensor, "batch channel time"]) -> Int64[Tensor, " batch"]:
    """The whole time axis as every item's length."""
    return torch.full((waveform.shape[0],), waveform.shape[-1], device=waveform.device)


def checked_rate(rate: Any, name: str) -> int:
    """The rate as an int, if it is one and plausible."""
    if rate is None:
        raise InputError(f"an array or tensor does not say its rate; give {name}= in Hz")
    is_whole = isinstance(rate, (int, np.integer))
    if is_whole and MIN_SAMPLE_RATE_HZ <= rate <= MAX_SAMPLE_RATE_HZ:
        return int(rate)
    fix = ""
    if isinstance(rate, (int, float)):
        in_khz = MIN_SAMPLE_RATE_HZ <= 1000 * rate <= MAX_SAMPLE_RATE_HZ
        fix = "; is it in kHz?" if in_khz else "; round it to an int" if not is_whole else ""
    raise InputError(
        f"{name} must be a whole number of Hz from {MIN_SAMPLE_RATE_HZ} to {MAX_SAMPLE_RATE_HZ}, "
        f"got {rate!r}{fix}"
    )


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that is not one of the choices."""
    if value not in choices:
        *others, last = (repr(choice) for choice in choices)
        listed = f"{', '.join(others)} or {last}"
        raise InputError(f"{name} must be {listed}, got {value!r}")


def check_dtype(name: str) -> None:
    """Refuse a dtype, numpy's or torch's, that says nothing of its full scale or is too coarse."""
    if name in ("float32", "float64", *FULL_SCALE):
        return
    fix = _DTYPE_FIX.get(name, "convert to float32, full scale 1.0")
    raise InputError(f"waveform must be float32, float64, int16 or int32, got {name}; {fix}")


def check_shape(shape: tuple[int, ...]) -> None:
    """Refuse a shape that is no clip and no batch of one or two channels."""
    if len(shape) not in (1, 2, 3):
        raise InputError(
            "waveform must have shape (time,), (channel, time) or (batch, channel, time), "
            f"got {shape}"
        )
    n_batch, n_channels, n_time = (1,) * (3 - len(shape)) + shape
    if n_channels == 0:
        raise InputError(f"waveform of shape {shape} has no channels")
    if n_batch == 0 or n_time == 0:
        raise InputError(f"waveform of shape {shape} is empty; is the slice or the file right?")
    if n_channels > MAX_CHANNELS and n_channels > n_time:
        raise InputError(
            f"time must be the last axis: shape {shape} reads as {n_channels} channels of {n_time} "
            f"samples; transpose it to {(*shape[:-2], n_time, n_channels)}"
        )
    if n_channels > MAX_CHANNELS:
        raise InputError(
            f"waveform must have 1 or {MAX_CHANNELS} channels, got {n_channels} in shape {shape}; "
            "downmix it, or if the first axis is the batch, give (batch, 1, time)"
        )


def checked_lengths(
    lengths: Any, clips: Shaped[Tensor, "batch channel time"]
) -> Int64[Tensor, " batch"]:
    """The lengths as a tensor beside the clips; all of the time axis where none are given."""
    if lengths is None:
        return full_lengths(clips)
    given = torch.as_tensor(lengths)
    if given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
        raise InputError(
            f"lengths must be whole numbers of samples, got {given.dtype}; are they shares of "
            "the longest item, or a mask?"
        )
    if tuple(given.shape) != (len(clips),):
        raise InputError(
            f"lengths must have one entry for each of {len(clips)} items, got shape "
            f"{tuple(given.shape)}"
        )
    n_time = clips.shape[-1]
    for i, length in enumerate(given.tolist()):
        if not 1 <= length <= n_time:
            raise InputError(
                f"item {i}: its length must be from 1 to {n_time} samples, got {length}; are "
                "lengths at the rate of the waveform?"
            )
    return given.to(device=clips.device, dtype=torch.int64)


def _check_duration(length: int, rate: int) -> None:
    shortest = math.ceil(round(MIN_DURATION_S * rate, 6))  # 0.1 * 30 is 3.0000000000000004
    if length < shortest:
        raise InputError(
            f"waveform needs at least {MIN_DURATION_S} s ({shortest} samples at {rate} Hz), "
            f"got {length}; is time the last axis?"
        )


def _check_values(clip: Shaped[Tensor, "channel time"]) -> None:
    low, high = (float(extreme) for extreme in torch.aminmax(clip))
    if not (math.isfinite(low) and math.isfinite(high)):  # aminmax passes NaN on
        bad = (~torch.isfinite(clip)).nonzero()
        channel, time = bad[bad[:, 1].argmin()].tolist()
        raise InputError(
            f"waveform has {len(bad)} NaN or infinite values, the first at sample {time} of "
            f"channel {channel}; was something divided by zero?"
        )
    peak = max(-low, high)
    if clip.is_floating_point() and peak > MAX_PEAK:
        looks = peak <= _INT16_RANGE
        fix = "looks like 16-bit sample values in float: divide by 32768"
        fix = fix if looks else "looks like 32-bit sample values in float: divide by 2**31"
        raise InputError(f"float waveform must be in about [-1, 1], got a peak of {peak:g}; {fix}")
    if clip.dtype == torch.int32 and 0 < peak < _INT16_RANGE:
        raise InputError(
            f"int32 waveform has full scale at 2**31, got a peak of {peak:g}; looks like 16-bit "
            "samples in a 32-bit array: convert to int16"
        )
