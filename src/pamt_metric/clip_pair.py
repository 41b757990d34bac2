"""The two sides of a comparison as they were read: clips of a batch, or one long clip on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor

from pamt_metric import audio
from pamt_metric.audio import AudioBatch
from pamt_metric.errors import InputError
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE
from pamt_metric.recording import LONG_S, InMemory, OnDisk, Recording

Lengths = Tensor | Sequence[int] | None
Side = AudioBatch | OnDisk


@dataclass(frozen=True)
class ClipPair:
    """Two sides of as many clips, or of one clip that is compared with each of the other side."""

    a: Side
    b: Side

    @property
    def is_batch(self) -> bool:
        """Whether the caller gave a batch."""
        return any(isinstance(side, AudioBatch) and side.is_batch for side in (self.a, self.b))

    @property
    def is_long(self) -> bool:
        """Whether its longest clip is too long to be compared at once."""
        return max(_longest(self.a), _longest(self.b)) > LONG_S * SAMPLE_RATE

    def __len__(self) -> int:
        """How many pairs there are.

        Raises:
            InputError: neither side has one clip, and they have not as many.
        """
        count_a, count_b = _count(self.a), _count(self.b)
        if count_a != count_b and 1 not in (count_a, count_b):
            raise InputError(
                f"a and b need the same number of clips, or one of them a single clip; "
                f"got {count_a} and {count_b}"
            )
        return max(count_a, count_b)

    def recordings(self, item: int) -> tuple[Recording, Recording]:
        """One of the pairs, to be read part by part."""
        return _recording(self.a, item), _recording(self.b, item)

    def batches(self) -> tuple[AudioBatch, AudioBatch]:
        """Two sides that are in memory, with as many channels and clips on each."""
        a, b = audio.match_channels(*cast("tuple[AudioBatch, AudioBatch]", (self.a, self.b)))
        return _repeat(a, len(self)), _repeat(b, len(self))


def split_lengths(lengths: Lengths | tuple[Lengths, Lengths]) -> tuple[Lengths, Lengths]:
    """One set of lengths for both sides, unless it is a pair of sets."""
    is_pair = isinstance(lengths, tuple) and not all(isinstance(x, int) for x in lengths)
    return cast("tuple[Lengths, Lengths]", lengths if is_pair else (lengths, lengths))


def _longest(side: Side) -> int:
    return side.length if isinstance(side, OnDisk) else int(side.lengths.max())


def _count(side: Side) -> int:
    return 1 if isinstance(side, OnDisk) else len(side.lengths)


def _recording(side: Side, item: int) -> Recording:
    if isinstance(side, OnDisk):
        return side
    item = min(item, len(side.lengths) - 1)
    return InMemory(side.waveform[item, :, : int(side.lengths[item])])


def _repeat(clips: AudioBatch, count: int) -> AudioBatch:
    if count == len(clips.lengths):
        return clips
    return AudioBatch(
        waveform=clips.waveform.expand(count, -1, -1),
        lengths=clips.lengths.expand(count),
        sample_rate=clips.sample_rate,
        is_batch=True,
    )
