"""One side of a long pair, listened to block by block in memory that does not grow with it.

A block is a run of whole windows of the encoder and the head. The ear hears some frames more on
both sides, as far as its filters reach, so that a block's tokens are those of the whole clip.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.encoders.windows import Clip
from pamt_metric.evidence import PATCH_FRAMES, Encoded
from pamt_metric.head import WINDOW_FRAMES, Embedding, Pool, SequenceHead
from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.ear import CONTEXT_FRAMES
from pamt_metric.psychoacoustics.ear import WINDOW_FRAMES as EAR_WINDOW_FRAMES
from pamt_metric.psychoacoustics.frames import HOP_LENGTH, SAMPLE_RATE, frame_mask, n_frames
from pamt_metric.psychoacoustics.program_loudness import SEGMENT_LENGTH, ProgramLoudness
from pamt_metric.psychoacoustics.statistics import Summary, from_summary
from pamt_metric.recording import Recording
from pamt_metric.resample import resample

WINDOWS_PER_BLOCK = 5
"""Windows of the encoder in a block: 25 s in all."""
BLOCK_FRAMES = WINDOWS_PER_BLOCK * WINDOW_FRAMES
MARGIN_FRAMES = PATCH_FRAMES // 2
"""Frames beside a block that evidence within it depends on."""
READ_SAMPLES = 100 * SEGMENT_LENGTH
"""Samples that are measured at once: 10 s."""
_RESAMPLER_REACH = 256
"""Samples at 48 kHz beside a stretch that its resampled version depends on."""


@runtime_checkable
class Listener(Protocol):
    """The parts of a metric."""

    ear: Ear
    program_loudness: ProgramLoudness
    encoder: MertEncoder
    head: SequenceHead


@dataclass(frozen=True)
class Sound:
    """A stretch of a recording as a listener hears it.

    Attributes:
        recording: where it is read from.
        n_channels: channels that are heard; a mono recording is heard in all.
        like: a tensor of the device and dtype to hear it in.
        length: samples.
        start: first sample in the recording.
        gain: factor on all samples; None for 1.
    """

    recording: Recording
    n_channels: int
    like: Tensor
    length: int
    start: int = 0
    gain: Float[Tensor, "1"] | None = None

    def read(self, start: int, stop: int) -> Float[Tensor, "1 channel time"]:
        """What lies between two samples, as far as the sound goes."""
        first, last = (self.start + min(x, self.length) for x in (start, stop))
        samples = self.recording.read(first, last).to(self.like)
        samples = samples if self.gain is None else samples * self.gain
        return samples.expand(self.n_channels, -1)[None]

    def read_padded(self, start: int, stop: int) -> Float[Tensor, "1 channel time"]:
        """The same with silence before and after."""
        inside = self.read(max(0, start), max(0, stop))
        before = min(max(0, -start), stop - start)
        return functional.pad(inside, (before, stop - start - before - inside.shape[-1]))

    def read_mono(self, start: int, stop: int) -> Float[Tensor, "time"]:
        """The downmix between two samples, as far as the sound goes."""
        return self.read(start, stop)[0].mean(0)


def program_loudness(
    measure: ProgramLoudness, sound: Sound
) -> tuple[Float[Tensor, "1"], Bool[Tensor, "1"]]:
    """Loudness in LUFS, and whether there is any; a mono clip is heard with both ears."""
    n_segment = -(-sound.length // SEGMENT_LENGTH)
    # Made first: small results between large temporary ones would keep those from being reused.
    energy = sound.like.new_zeros(1, n_segment)
    for start in range(0, sound.length, READ_SAMPLES):
        found = measure.segment_energy(_both_ears(sound.read(start, start + READ_SAMPLES)))
        first = start // SEGMENT_LENGTH
        count = min(found.shape[1], n_segment - first)
        energy[:, first : first + count] = found[:, :count]
    return measure.of_energy(energy, torch.tensor([sound.length], device=energy.device))


def _both_ears(waveform: Float[Tensor, "1 channel time"]) -> Float[Tensor, "1 2 time"]:
    return waveform.expand(-1, 2, -1)


class LongClip:
    """One clip of a pair as ear and head hear it; blocks are asked for in their order.

    Args:
        listener: ear, encoder and head.
        sound: the clip at its listening level.
        n_frame: frames of the pair's grid, at least those of the clip.
    """

    def __init__(self, listener: Listener, sound: Sound, n_frame: int) -> None:
        self._listener, self._sound, self._n_frame = listener, sound, n_frame
        length = n_frames(torch.tensor([sound.length]))
        self._mask = frame_mask(length, n_frame)
        self._states = self._hidden_states()
        self._waiting: list[Tensor] = []
        self._pool: Pool | None = None
        self._summary: Summary | None = None

    def block(self, start: int, stop: int) -> Encoded:
        """The frames from one to another, and `MARGIN_FRAMES` beside them without a sequence.

        Nothing is pooled yet.
        """
        reach = CONTEXT_FRAMES + MARGIN_FRAMES
        first, last = max(0, start - reach), min(stop + reach, self._n_frame)
        waveform = self._sound.read_padded(
            first * HOP_LENGTH, (last + EAR_WINDOW_FRAMES) * HOP_LENGTH
        )
        mask = self._mask[:, first:last].to(waveform.device)
        left, right = margins(start, stop, self._n_frame)
        heard = self._listener.ear.hear_part(waveform, mask)
        heard = heard.frames(start - left - first, stop + right - first)
        own = heard.frames(left, left + stop - start)
        frames = self._listener.head.read(self._next_states(stop - start, waveform), own)
        # Joined at once: many small results between large temporary ones would keep memory from
        # being reused.
        pool, summary = Pool.of(frames), own.summary()
        self._pool = pool if self._pool is None else self._pool.joined(pool)
        self._summary = summary if self._summary is None else Summary.join([self._summary, summary])
        sequence = functional.pad(frames.sequence, (0, 0, left, right))
        return Encoded(heard, Embedding(sequence=sequence, pooled=sequence.new_zeros(1, 0)))

    def pooled(self) -> Float[Tensor, "1 pooled"]:
        """The pooled embedding, after the last block."""
        pool, summary = cast("tuple[Pool, Summary]", (self._pool, self._summary))
        return self._listener.head.join(pool.share, from_summary(summary))

    def is_audible(self) -> bool:
        """Whether any of it is heard, after the last block."""
        return bool(cast("Summary", self._summary).loudness.any())

    def _next_states(self, count: int, like: Tensor) -> Float[Tensor, "1 layer frame width"]:
        """Hidden states of the next frames, zeros beyond the clip's end."""
        parts = self._waiting
        n_ready = sum(part.shape[1] for part in parts)
        while n_ready < count and (more := next(self._states, None)) is not None:
            parts.append(more)
            n_ready += more.shape[1]
        if not parts:
            head = self._listener.head
            return like.new_zeros(1, len(head.encoder_layers), count, head.state_mean.shape[-1])
        joined = torch.cat(parts, dim=1)
        self._waiting = [joined[:, count:]] if n_ready > count else []
        states = joined[:, :count]
        return functional.pad(states, (0, 0, 0, count - states.shape[1]))[None]

    def _hidden_states(self) -> Iterator[Float[Tensor, "layer _ width"]]:
        encoder = self._listener.encoder
        n_samples = (self._sound.length + 1) // 2
        parts = (
            self._read_for_encoder(start, min(start + READ_SAMPLES, n_samples))
            for start in range(0, n_samples, READ_SAMPLES)
        )
        prepare = encoder.preparation(parts)
        clip = Clip(lambda start, stop: prepare(self._read_for_encoder(start, stop)), n_samples)
        layers = self._listener.head.encoder_layers
        yield from encoder.stream_clip(clip, layers, windows_per_forward=WINDOWS_PER_BLOCK)

    def _read_for_encoder(self, start: int, stop: int) -> Float[Tensor, "time"]:
        """The mono downmix at the encoder's rate."""
        reach = _RESAMPLER_REACH
        around = self._sound.read_padded(2 * start - reach, 2 * stop + reach)[0].mean(0)
        resampled = resample(around, SAMPLE_RATE, self._listener.encoder.sample_rate)
        return resampled[reach // 2 : reach // 2 + stop - start]


def margins(start: int, stop: int, n_frame: int) -> tuple[int, int]:
    """Frames beside a block that there are, up to `MARGIN_FRAMES` on each side."""
    return min(MARGIN_FRAMES, start), min(MARGIN_FRAMES, n_frame - stop)
