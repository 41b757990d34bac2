"""A clip of any length, read part by part: from memory, or from a temporary file.

A file that turns out to be long is decoded, checked and resampled block by block into a temporary
file, since an hour of stereo at 48 kHz is 1.4 GB.
"""

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pamt_metric import audio
from pamt_metric.audio import AudioBatch, AudioSource
from pamt_metric.decode import decode_in_blocks
from pamt_metric.decode_limits import Seconds, checked_max_duration
from pamt_metric.input_check import (
    BlockCheck,
    Hertz,
    Lengths,
    blame,
    checked_rate,
    full_lengths,
)
from pamt_metric.resample import BlockResampler
from pamt_metric.spool import Spool

LONG_S = 60.0
"""Seconds from which a clip counts as long."""
BLOCK_FRAMES = 2**18
"""Samples of each channel that are decoded at once: about 5 s."""


@runtime_checkable
class Recording(Protocol):
    """What can be read part by part."""

    @property
    def n_channels(self) -> int:
        """One or two."""
        ...

    @property
    def length(self) -> int:
        """Samples of each channel."""
        ...

    def read(self, start: int, stop: int) -> Float[Tensor, "channel time"]:
        """The samples between two places, as far as the clip goes."""
        ...


class InMemory:
    """A clip that lies in memory."""

    def __init__(self, waveform: Float[Tensor, "channel time"]) -> None:
        self._waveform = waveform
        self.n_channels, self.length = waveform.shape

    def read(self, start: int, stop: int) -> Float[Tensor, "channel time"]:
        """See `Recording`."""
        return self._waveform[:, start:stop]


class OnDisk:
    """A clip in a temporary file, which goes with it. Threads may read it together.

    Attributes:
        n_channels: one or two.
        length: samples of each channel.
    """

    def __init__(self, samples: Spool, length: int) -> None:
        self._samples = samples
        self.n_channels, self.length = samples.width, length

    def read(self, start: int, stop: int) -> Float[Tensor, "channel time"]:
        """See `Recording`."""
        return self._samples.read(start, min(stop, self.length)).T


if TYPE_CHECKING:  # what a caller should give
    Source = AudioSource | OnDisk
else:
    Source = Any


def load(
    source: Source,
    *,
    sample_rate: Hertz | None = None,
    target_rate: Hertz,
    lengths: Lengths | None = None,
    max_duration: Seconds | None = None,
) -> AudioBatch | OnDisk:
    """As `audio.load`, but a single file that lasts over `LONG_S` comes as a temporary file.

    What this gave before is given back.

    Raises:
        InputError: as there; and where there is no room for the temporary file.
    """
    if isinstance(source, OnDisk):
        return source
    if lengths is not None or not audio.is_file(source):
        return audio.load(
            source,
            sample_rate=sample_rate,
            target_rate=target_rate,
            lengths=lengths,
            max_duration=max_duration,
        )
    with blame(audio.file_name(source)):
        return _load_file(source, sample_rate, target_rate, checked_max_duration(max_duration))


def _load_file(
    source: Any, sample_rate: Hertz | None, target_rate: Hertz, max_duration: float | None
) -> AudioBatch | OnDisk:
    target = checked_rate(target_rate, "target_rate")
    sink = _Sink(target)
    rate = decode_in_blocks(
        source, sink.begin, block_frames=BLOCK_FRAMES, max_duration=max_duration
    )
    audio.check_file_rate(sample_rate, rate)
    return sink.finish()


class _Sink:
    """Takes blocks of a file: keeps them as they came until there are too many for a short clip."""

    def __init__(self, target_rate: int) -> None:
        self._target = target_rate

    def begin(self, rate: int, n_channels: int) -> "_Sink":
        """Start, or start anew with another decoder."""
        self._rate, self._n_channels = rate, n_channels
        self._first: list[np.ndarray] = []
        self._count = 0
        self._long: Spool | None = None
        self._check = BlockCheck(rate)
        return self

    def write(self, block: Float[np.ndarray, "time channel"]) -> None:
        """Take the next block."""
        self._count += len(block)
        if self._long is None:
            self._first.append(block)
            if self._count <= LONG_S * self._rate:
                return
            self._long = Spool(self._n_channels)
            self._resampler = BlockResampler(self._rate, self._target, self._n_channels)
            waiting, self._first = self._first, []
        else:
            waiting = [block]
        for part in waiting:
            self._check(torch.from_numpy(part.T))
            self._long.write(self._resampler(part))

    def finish(self) -> AudioBatch | OnDisk:
        """The clip."""
        if self._long is not None:
            self._long.write(self._resampler.finish())
            return OnDisk(self._long, self._resampler.length)
        waveform = audio.from_decoded(np.concatenate(self._first), self._rate, self._target)
        return AudioBatch(waveform, full_lengths(waveform), self._target, is_batch=False)
