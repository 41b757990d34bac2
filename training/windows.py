"""Windows of audio with the targets of their frames, from the cached corpus or from streams."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pamt_metric.encoders import windows
from training.data.corpus import FRAME_RATE, Clip, Corpus
from training.data.streams import MixedStream
from training.pretrain_config import PretrainConfig
from training.targets import Targets, Teacher
from training.teachers import SAMPLE_RATE

CONTEXT_FRAMES = 32
"""Read on both sides of a streamed window, so that the teachers' longest frames (half of 16384
samples beyond the centre) end inside music."""
_CHOICE_STREAM = 3


@dataclass(frozen=True)
class Window:
    """A window as it was recorded, and its targets; F frames, C codebooks, K bins."""

    waveform: np.ndarray  # (time,)
    codes: Tensor  # (F, C)
    cqt: Tensor  # (F, K), standardised per bin


class Place(ABC):
    """Where a window is to be read."""

    @abstractmethod
    def waveform(self) -> np.ndarray:
        """The audio alone."""

    @abstractmethod
    def window(self) -> Window:
        """The audio with its targets."""


@dataclass(frozen=True)
class CachedPlace(Place):
    """A window of a clip of the cached corpus."""

    source: "CachedWindows"
    clip: Clip
    first_frame: int

    def waveform(self) -> np.ndarray:
        return self.source.corpus.waveform(
            self.clip,
            sample_rate=SAMPLE_RATE,
            first_frame=self.first_frame,
            n_frames=self.source.n_hops,
        )

    def window(self) -> Window:
        targets = self.source.targets
        start = self.clip.start_frame + self.first_frame
        rows = start + np.arange(windows.n_frames(self.source.n_hops * windows.HOP_LENGTH))
        cqt = torch.from_numpy(targets.cqt[rows].astype(np.float32))
        return Window(
            self.waveform(),
            torch.from_numpy(targets.codes[rows].astype(np.int64)),
            (cqt - targets.cqt_mean) / targets.cqt_std,
        )


class CachedWindows:
    """Windows of the cached corpus, whose targets are known."""

    def __init__(self, corpus: Corpus, targets: Targets, config: PretrainConfig) -> None:
        self.corpus, self.targets = corpus, targets
        self.n_hops = round(config.window_s * FRAME_RATE)
        sides = [corpus.select(held_aside=False, recordings=flag) for flag in (False, True)]
        shares = (1 - config.recordings_share, config.recordings_share)
        self._clips = [clip for side in sides for clip in side]
        weights = [
            share * clip.n_frames / sum(other.n_frames for other in side)
            for side, share in zip(sides, shares, strict=True)
            for clip in side
        ]
        self._weights = np.array(weights) / sum(weights)

    def draw(self, count: int, rng: np.random.Generator) -> list[CachedPlace]:
        """Random windows to train on."""
        chosen = rng.choice(len(self._clips), count, p=self._weights)
        clips = [self._clips[number] for number in chosen]
        return [
            CachedPlace(self, clip, int(rng.integers(clip.n_frames - self.n_hops + 1)))
            for clip in clips
        ]

    def held_aside(self) -> Iterator[CachedPlace]:
        """All windows of the held-aside clips."""
        for clip in self.corpus.clips:
            if clip.held_aside:
                for first in range(0, clip.n_frames - self.n_hops + 1, self.n_hops):
                    yield CachedPlace(self, clip, first)


@dataclass(frozen=True)
class StreamedPlace(Place):
    """What a slot of a batch gets at a step; validation has its audio at hand."""

    source: "StreamedWindows"
    slot: int
    step: int
    known: np.ndarray | None = None

    def _with_context(self) -> np.ndarray:
        if self.known is not None:
            return self.known
        return self.source.stream.window(self.slot, self.step, self.source.n_read)

    def waveform(self) -> np.ndarray:
        return _inside(self._with_context())

    def window(self) -> Window:
        whole, teacher = self._with_context(), self.source.teacher
        waveform = _inside(whole)
        codes, cqt = (torch.from_numpy(found) for found in teacher.targets(whole))
        frames = slice(CONTEXT_FRAMES, CONTEXT_FRAMES + windows.n_frames(len(waveform)))
        standard = (cqt - teacher.cqt_mean) / teacher.cqt_std
        return Window(waveform, codes[frames], standard[frames])


class StreamedWindows:
    """Windows of streams; their targets are computed as they are read."""

    def __init__(self, stream: MixedStream, teacher: Teacher, config: PretrainConfig) -> None:
        self.stream, self.teacher, self._config = stream, teacher, config
        self.n_read = n_read(config)
        self._aside = stream.validation(config.stream.n_validation_windows, self.n_read)

    def draw(self, count: int, step: int) -> dict[int, StreamedPlace]:
        """Which slots of a batch are streamed."""
        rng = np.random.default_rng([self._config.seed, _CHOICE_STREAM, step])
        chosen = np.flatnonzero(rng.random(count) < self._config.stream.share)
        return {int(slot): StreamedPlace(self, int(slot), step) for slot in chosen}

    def held_aside(self) -> list[StreamedPlace]:
        """A window of each of the held-aside recordings."""
        return [StreamedPlace(self, 0, 0, known) for known in self._aside]


def n_read(config: PretrainConfig) -> int:
    """Samples of a streamed window, with its context."""
    return (round(config.window_s * FRAME_RATE) + 2 * CONTEXT_FRAMES) * windows.HOP_LENGTH


def _inside(waveform: np.ndarray) -> np.ndarray:
    context = CONTEXT_FRAMES * windows.HOP_LENGTH
    return waveform[context:-context]
