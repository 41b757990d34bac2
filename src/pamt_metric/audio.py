"""Whatever a caller gives, to one batch of waveforms at one rate.

A file carries its rate; an array or tensor needs `sample_rate`. Nothing is repaired in silence:
what cannot be used as it is raises an `InputError` that names the likely mistake.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from pamt_metric.decode import decode
from pamt_metric.decode_limits import Seconds, check_length, checked_max_duration
from pamt_metric.errors import InputError
from pamt_metric.input_check import (
    FULL_SCALE,
    MIN_DURATION_S,
    Hertz,
    Lengths,
    as_batch,
    blame,
    check,
    check_dtype,
    checked_lengths,
    checked_rate,
    full_lengths,
)
from pamt_metric.resample import resample, resample_decoded, resampled_length

__all__ = [
    "MIN_DURATION_S",
    "AudioBatch",
    "AudioSource",
    "check",
    "length_mask",
    "load",
    "match_channels",
    "resample",
]

if TYPE_CHECKING:  # what a caller should give
    _OneSource = str | os.PathLike | IO[bytes] | np.ndarray | Tensor
    AudioSource = _OneSource | Sequence[_OneSource]
else:  # what may come: a wrong type is answered with the fix in the message
    AudioSource = Any


@dataclass(frozen=True)
class AudioBatch:
    """Waveforms of one rate, zero-padded to the longest.

    Attributes:
        waveform: float32, exact zeros beyond each length. A float64 tensor stays float64 (its
            caller chose that, for a gradient check, say); a numpy array does not.
        lengths: Valid samples of each item, on the same device.
        sample_rate: Hz.
        is_batch: Whether the caller gave a batch (three axes, or a list), so that results are
            due per item.
    """

    waveform: Float[Tensor, "batch channel time"]
    lengths: Int64[Tensor, " batch"]
    sample_rate: int
    is_batch: bool

    def to(self, device: torch.device | str) -> "AudioBatch":
        """The same batch on another device."""
        return replace(self, waveform=self.waveform.to(device), lengths=self.lengths.to(device))


def load(
    source: AudioSource,
    *,
    sample_rate: Hertz | None = None,
    target_rate: Hertz,
    lengths: Lengths | None = None,
    max_duration: Seconds | None = None,
) -> AudioBatch:
    """Read, check and resample one clip or a batch of clips.

    Args:
        source: A path, a binary file object, an array or tensor of shape (time,),
            (channel, time) or (batch, channel, time), or a list of such clips, padded to one
            batch (mono items repeated in both channels if any item is stereo). Floats in about
            [-1, 1] or PCM in int16 or int32. Tensors stay on their device, and a gradient
            reaches them at any rate.
        sample_rate: Hz; required for arrays and tensors. A file must agree with it, except in a
            list that also has arrays, where it is the rate of the arrays.
        target_rate: Hz of the result.
        lengths: Valid samples of each item of an array or tensor at `sample_rate`. What lies
            beyond is ignored, NaN included.
        max_duration: Longest that a clip may last, in seconds. A file is refused before all of it
            is decoded. By default there is no limit to arrays and tensors, and a file may last
            10 minutes, or longer if it has 500 bytes (4 kbit/s) for each second.

    Returns:
        The batch at `target_rate`; each length is `ceil(n * target_rate / sample_rate)`. It may
        share memory with an array or tensor that needed no change.

    Raises:
        InputError: Anything that cannot be used as it is; see `check`. In a batch it names the
            item, and for a file the path.
    """
    target = checked_rate(target_rate, "target_rate")
    longest = checked_max_duration(max_duration)
    if isinstance(source, Sequence) and not isinstance(source, (str, bytes)):
        return _load_list(source, sample_rate, target, lengths, longest)
    return _load_one(source, sample_rate, target, lengths, longest)


def match_channels(a: AudioBatch, b: AudioBatch) -> tuple[AudioBatch, AudioBatch]:
    """Repeat the mono side in both channels where the other side is stereo."""
    n_channels = max(a.waveform.shape[1], b.waveform.shape[1])
    return _with_channels(a, n_channels), _with_channels(b, n_channels)


def length_mask(lengths: Int64[Tensor, " batch"], n_time: int) -> Bool[Tensor, "batch {n_time}"]:
    """True on the valid samples (or frames) of each item."""
    return torch.arange(n_time, device=lengths.device) < lengths[:, None]


def _load_one(
    source: Any,
    sample_rate: Hertz | None,
    target_rate: int,
    lengths: Lengths | None,
    max_duration: float | None,
) -> AudioBatch:
    if is_file(source):
        with blame(file_name(source)):
            if lengths is not None:
                raise InputError("lengths are for arrays and tensors; a file has its own length")
            return _load_file(source, sample_rate, target_rate, max_duration)
    batch = _load_array(_as_tensor(source), sample_rate, target_rate, lengths, max_duration)
    if isinstance(source, np.ndarray):
        batch = replace(batch, waveform=batch.waveform.to(torch.float32))
    return batch


def _load_file(
    source: Any, sample_rate: Hertz | None, target_rate: int, max_duration: float | None
) -> AudioBatch:
    samples, rate = decode(source, max_duration=max_duration)
    check_file_rate(sample_rate, rate)
    waveform = from_decoded(samples, rate, target_rate)
    return AudioBatch(waveform, full_lengths(waveform), target_rate, is_batch=False)


def check_file_rate(sample_rate: Hertz | None, rate: int) -> None:
    """Refuse a caller's rate that is not the file's."""
    if sample_rate is not None and checked_rate(sample_rate, "sample_rate") != rate:
        raise InputError(
            f"sample_rate={sample_rate} was given, but the file says {rate} Hz; leave it out"
        )


def from_decoded(
    samples: Float[np.ndarray, "time channel"], rate: int, target_rate: int
) -> Float[Tensor, "1 channel new_time"]:
    """A batch of one from a decoded file, checked and resampled."""
    check(torch.from_numpy(samples.T), sample_rate=rate)
    resampled = resample_decoded(samples, rate, target_rate)
    return torch.from_numpy(np.ascontiguousarray(resampled.T))[None]


def _load_array(
    samples: Shaped[Tensor, "..."],
    sample_rate: Hertz | None,
    target_rate: int,
    lengths: Lengths | None,
    max_duration: float | None,
) -> AudioBatch:
    check(samples, sample_rate=sample_rate, lengths=lengths)
    rate = checked_rate(sample_rate, "sample_rate")
    clips = as_batch(samples)
    valid = checked_lengths(lengths, clips)
    check_length(int(valid.max()) / rate, max_duration)
    # Masked before, so that no padding (NaN, say) enters the filter, and after, where it rings.
    waveform = _zero_beyond(_as_float(clips), valid)
    new_valid = resampled_length(valid, rate, target_rate)
    waveform = _zero_beyond(resample(waveform, rate, target_rate), new_valid)
    return AudioBatch(waveform, new_valid, target_rate, is_batch=samples.ndim == 3)


def _load_list(
    sources: Sequence[Any],
    sample_rate: Hertz | None,
    target_rate: int,
    lengths: Lengths | None,
    max_duration: float | None,
) -> AudioBatch:
    if not sources:
        raise InputError("expected at least one clip, got an empty list")
    if lengths is not None:
        raise InputError("lengths are for one array or tensor; the clips of a list have their own")
    rate_is_of_arrays = not all(is_file(source) for source in sources)
    clips = []
    for i, source in enumerate(sources):
        rate = None if rate_is_of_arrays and is_file(source) else sample_rate
        with blame(f"item {i}"):
            clip = _load_one(source, rate, target_rate, None, max_duration)
            if clip.is_batch:
                raise InputError("a clip of a list has one or two axes, got three (a batch)")
        clips.append(clip)
    return _joined(clips)


def _joined(clips: Sequence[AudioBatch]) -> AudioBatch:
    devices = sorted({str(clip.waveform.device) for clip in clips})
    if len(devices) > 1:
        raise InputError(f"the clips of a list must be on one device, got {', '.join(devices)}")
    n_channels = max(clip.waveform.shape[1] for clip in clips)
    waveforms = [_with_channels(clip, n_channels).waveform[0].T for clip in clips]
    padded = torch.nn.utils.rnn.pad_sequence(
        [waveform.to(_widest_dtype(clips)) for waveform in waveforms], batch_first=True
    )
    lengths = torch.cat([clip.lengths for clip in clips])
    return AudioBatch(padded.mT.contiguous(), lengths, clips[0].sample_rate, is_batch=True)


def _widest_dtype(clips: Sequence[AudioBatch]) -> torch.dtype:
    is_double = any(clip.waveform.dtype == torch.float64 for clip in clips)
    return torch.float64 if is_double else torch.float32


def _with_channels(batch: AudioBatch, n_channels: int) -> AudioBatch:
    return replace(batch, waveform=batch.waveform.expand(-1, n_channels, -1))


def is_file(source: Any) -> bool:
    """Whether it is a path or a file object."""
    return isinstance(source, (str, os.PathLike)) or hasattr(source, "read")


def file_name(source: Any) -> str:
    """What to call a file in a message."""
    if isinstance(source, (str, os.PathLike)):
        return repr(os.fsdecode(source))
    return repr(getattr(source, "name", "file object"))


def _as_tensor(source: Any) -> Shaped[Tensor, "..."]:
    if isinstance(source, Tensor):
        return source
    if isinstance(source, np.ndarray):
        check_dtype(source.dtype.name)
        # torch refuses foreign byte orders, negative strides and read-only memory: then a copy.
        native = source.dtype.newbyteorder("=")
        return torch.from_numpy(np.require(source, native, ["C", "W", "A"]))
    fix = "convert it with numpy.asarray"
    if isinstance(source, (bytes, bytearray, memoryview)):
        fix = "wrap the bytes of a file in io.BytesIO"
    raise InputError(
        "expected a path, a binary file object, a numpy array, a torch tensor or a list of these, "
        f"got {type(source).__name__}; {fix}"
    )


def _as_float(samples: Shaped[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    full_scale = FULL_SCALE.get(str(samples.dtype).removeprefix("torch."))
    return samples if full_scale is None else samples.to(torch.float32) / full_scale


def _zero_beyond(
    waveform: Float[Tensor, "batch channel time"], lengths: Int64[Tensor, " batch"]
) -> Float[Tensor, "batch channel time"]:
    n_time = waveform.shape[-1]
    if bool((lengths >= n_time).all()):
        return waveform
    # Not a product: 0 * NaN is NaN, in the value and in the gradient.
    return torch.where(length_mask(lengths, n_time)[:, None], waveform, 0.0)
