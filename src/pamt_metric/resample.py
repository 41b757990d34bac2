"""One sample rate to another: soxr for decoded files, a differentiable windowed sinc for tensors.

Both are linear-phase, treat what lies outside the clip as silence, and give `ceil(n * new / old)`
samples, so that a clip is the same alone and in a zero-padded batch.
"""

import math
from functools import lru_cache
from typing import TypeVar

import numpy as np
import soxr
import torch
from jaxtyping import Float
from julius.resample import ResampleFrac
from torch import Tensor
from torch.nn import functional as F

# Zero crossings a side and cutoff (share of the lower Nyquist frequency) of the tensor resampler.
# Source: chosen here to follow soxr's VHQ filter, so that a file and its samples give nearly the
# same distance: on white noise at 44.1 to 24 kHz they differ by -45 dB (julius' defaults: -24 dB).
_ZERO_CROSSINGS = 64
_ROLLOFF = 0.956

# Input samples a convolution step. 48 to 24 kHz is a step of 2 by itself, and 5 times slower.
_MIN_STRIDE = 128
# Coefficients of the largest filter table that is built; between rates with no large common
# divisor (44100 and 44101 Hz) the taps are computed for each output sample instead.
_MAX_TABLE = 2**20
# Output samples a gathered chunk: bounds memory to some 50 MB an item.
_GATHER_CHUNK = 2**14

_QUALITY = "VHQ"
"""Of soxr."""

Count = TypeVar("Count", int, Tensor)


def resampled_length(length: Count, old_rate: int, new_rate: int) -> Count:
    """Samples of a clip after resampling: the number of new instants inside it, rounded up."""
    return -(-length * new_rate // old_rate)


def resample(
    waveform: Float[Tensor, "*batch time"], old_rate: int, new_rate: int
) -> Float[Tensor, "*batch new_time"]:
    """Resample along time, differentiably.

    Args:
        waveform: Samples at `old_rate`; what lies before and after them counts as silence.
        old_rate: Rate of `waveform` in Hz.
        new_rate: Rate of the result in Hz.

    Returns:
        `ceil(time * new_rate / old_rate)` samples, in the dtype and on the device of `waveform`.

    Source:
        J. O. Smith, "Digital Audio Resampling", through julius' filters (A. Défossez). It departs
        from julius at the ends: julius repeats the first and last sample, which would make an
        item of a padded batch differ from the item alone.
    """
    if old_rate == new_rate:
        return waveform
    common = math.gcd(old_rate, new_rate)
    old, new = old_rate // common, new_rate // common
    method = _by_table if _table_size(old, new) <= _MAX_TABLE else _by_gather
    # bfloat16 under autocast, or TF32 on CUDA, would put an audible noise floor at -50 to -66 dB.
    # TF32 is a process-wide switch and only concerns float32: float64 is the way around it.
    with torch.autocast(waveform.device.type, enabled=False):
        exact = waveform.double() if waveform.is_cuda else waveform
        flat = exact.reshape(-1, waveform.shape[-1])
        out = method(flat, old, new, resampled_length(waveform.shape[-1], old, new))
    return out.to(waveform.dtype).reshape(*waveform.shape[:-1], -1)


def resample_decoded(
    samples: Float[np.ndarray, "time channel"], old_rate: int, new_rate: int
) -> Float[np.ndarray, "new_time channel"]:
    """Resample a decoded file with soxr (VHQ): faster than the tensor path, without gradients."""
    if old_rate == new_rate:
        return samples
    length = resampled_length(len(samples), old_rate, new_rate)
    extended = np.concatenate([samples, _silence(old_rate, new_rate, samples.shape[1])])
    return soxr.resample(extended, old_rate, new_rate, quality=_QUALITY)[:length]


def _silence(old_rate: int, new_rate: int, n_channels: int) -> Float[np.ndarray, "time channel"]:
    """One more output sample: soxr rounds the length down or to the nearest."""
    return np.zeros((old_rate // new_rate + 1, n_channels), np.float32)


class BlockResampler:
    """`resample_decoded` for a file that comes block by block; the same samples."""

    def __init__(self, old_rate: int, new_rate: int, n_channels: int) -> None:
        self._rates = old_rate, new_rate
        self._n_channels = n_channels
        self._count = 0
        self._stream = None
        if old_rate != new_rate:
            self._stream = soxr.ResampleStream(
                old_rate, new_rate, n_channels, dtype="float32", quality=_QUALITY
            )

    def __call__(
        self, block: Float[np.ndarray, "time channel"]
    ) -> Float[np.ndarray, "new_time channel"]:
        """What the block adds to the output so far."""
        self._count += len(block)
        return block if self._stream is None else self._stream.resample_chunk(block)

    def finish(self) -> Float[np.ndarray, "new_time channel"]:
        """What is left after the last block; some of it may lie beyond `length`."""
        silence = _silence(*self._rates, self._n_channels)
        if self._stream is None:
            return silence[:0]
        return self._stream.resample_chunk(silence, last=True)

    @property
    def length(self) -> int:
        """Samples of the output, when all blocks have come."""
        return resampled_length(self._count, *self._rates)


def _half_width(old: int, new: int) -> int:
    """Input samples that the filter reaches to each side."""
    return math.ceil(_ZERO_CROSSINGS * old / (_ROLLOFF * min(old, new)))


def _table_size(old: int, new: int) -> int:
    return new * (2 * _half_width(old, new) + old)


@lru_cache(maxsize=32)
def _table(
    old: int, new: int, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "phase 1 tap"]:
    """Filters of the output samples of one convolution step, of `_MIN_STRIDE` inputs or more."""
    # Cached tensors outlive the caller: made in inference mode they could never meet autograd.
    with torch.inference_mode(mode=False):
        resampler = ResampleFrac(old, new, zeros=_ZERO_CROSSINGS, rolloff=_ROLLOFF)
        filters = torch.as_tensor(resampler.kernel)[:, 0]
        n_repeats = math.ceil(_MIN_STRIDE / old)
        shifted = [F.pad(filters, (i * old, (n_repeats - 1 - i) * old)) for i in range(n_repeats)]
        return torch.cat(shifted)[:, None].to(device, dtype)


def _by_table(
    waveform: Float[Tensor, "batch time"], old: int, new: int, length: int
) -> Float[Tensor, "batch new_time"]:
    filters = _table(old, new, waveform.dtype, waveform.device)
    stride = filters.shape[0] // new * old
    half_width = (filters.shape[-1] - stride) // 2
    padded = F.pad(waveform[:, None], (half_width, half_width + stride))
    phases = F.conv1d(padded, filters, stride=stride)
    return phases.transpose(1, 2).flatten(1)[:, :length]


def _by_gather(
    waveform: Float[Tensor, "batch time"], old: int, new: int, length: int
) -> Float[Tensor, "batch new_time"]:
    # Output j lies at j * old / new input samples: a whole part (exact, in integers) and one of
    # `new` fractions, which alone sets the taps.
    half_width = _half_width(old, new)
    offsets = torch.arange(2 * half_width + 1, device=waveform.device)
    fraction = torch.arange(min(new, length), device=waveform.device) * old % new / new
    taps = _taps(offsets - half_width - fraction[:, None].double(), min(1.0, new / old))
    taps = taps.to(waveform.dtype)
    padded = F.pad(waveform, (half_width, half_width))
    chunks = [waveform[:, :0]]
    for instants in torch.arange(length, device=waveform.device).split(_GATHER_CHUNK):
        indices = (instants * old // new)[:, None] + offsets
        chunks.append(torch.einsum("bot,ot->bo", padded[:, indices], taps[instants % new]))
    return torch.cat(chunks, dim=-1)


def _taps(distance: Float[Tensor, "*batch tap"], bandwidth: float) -> Float[Tensor, "*batch tap"]:
    """The filter of julius.ResampleFrac, at any distance (in input samples) from its centre."""
    crossings = (distance * bandwidth * _ROLLOFF).clamp(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = torch.cos(crossings * (math.pi / 2 / _ZERO_CROSSINGS)) ** 2
    taps = torch.sinc(crossings) * window
    return taps / taps.sum(-1, keepdim=True)
