"""How long a file may be, judged by what its header declares, before anything is decoded.

A header of some bytes can declare days, and some kilobytes can expand to gigabytes. Where the
caller states no `max_duration`, a file may last as long as its size makes likely.
"""

import math
from typing import TYPE_CHECKING, Any, NoReturn

from pamt_metric.errors import InputError
from pamt_metric.input_check import check_shape, checked_rate

if TYPE_CHECKING:  # what a caller should give
    Seconds = float
else:  # what may come: a wrong type is answered here
    Seconds = Any

ALWAYS_ALLOWED_S = 600.0
"""Length that a file of any size may have: two channels of it are 230 MB at 48 kHz."""
LEAST_BYTES_PER_S = 500.0
"""4 kbit/s. Source: the lowest rate of Opus is 6 kbit/s (RFC 6716, section 2.1.1)."""
RATE_HZ = 48_000
"""Rate at which memory is counted, as the ear works at it: slower files expand, faster ones hold
more before they shrink."""


def checked_max_duration(value: Seconds | None) -> float | None:
    """The caller's limit in seconds, if it is one.

    Raises:
        InputError: it is not a number above 0.
    """
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not value > 0.0:
        raise InputError(
            f"max_duration must be a number of seconds above 0, or None, got {value!r}"
        )
    return float(value)


def check_declared(
    *, rate: int, n_channels: int, n_frames: int | None, n_bytes: int, max_duration: float | None
) -> None:
    """Refuse a file by its header: rate, channels, and length.

    Args:
        rate: of the file, in Hz.
        n_channels: likewise.
        n_frames: samples of each channel; None where the header does not say.
        n_bytes: size of the file.
        max_duration: the caller's limit in seconds, or None for the one that the size sets.

    Raises:
        InputError: one of them cannot be used.
    """
    checked_rate(rate, "sample_rate")
    check_shape((n_channels, rate if n_frames is None else n_frames))
    if n_frames is not None and n_frames > most_frames(rate, n_bytes, max_duration):
        refuse_length(f"{n_frames / rate:.6g} s", n_bytes, max_duration)


def most_frames(rate: int, n_bytes: int, max_duration: float | None) -> float:
    """Samples of a channel that a file of this rate and size may have."""
    if max_duration is not None:
        return max_duration * rate
    return max(ALWAYS_ALLOWED_S, n_bytes / LEAST_BYTES_PER_S) * min(rate, RATE_HZ)


def check_length(seconds: float, max_duration: float | None) -> None:
    """Refuse a clip that is longer than the caller's limit."""
    if max_duration is not None and seconds > max_duration:
        refuse_length(f"{seconds:.6g} s", 0, max_duration)


def refuse_length(duration: str, n_bytes: int, max_duration: float | None) -> NoReturn:
    """Raise the error of a clip that is too long.

    Args:
        duration: how long it is, in words.
        n_bytes: size of the file.
        max_duration: the caller's limit in seconds, if it was that.
    """
    if max_duration is not None:
        raise InputError(f"it lasts {duration}, longer than max_duration={max_duration:g} s")
    allowed = math.floor(max(ALWAYS_ALLOWED_S, n_bytes / LEAST_BYTES_PER_S))
    raise InputError(
        f"a file of {n_bytes} bytes that lasts {duration} is refused as a decompression bomb: "
        f"music of this size lasts up to {allowed} s; if it is right, say so by max_duration"
    )
