"""The batches of masked pretraining: windows, what is mixed into them, and masks.

A batch is a pure function of the seed and the step: all that is random comes from a generator that
is seeded with both. So a run that resumes at a step sees what it would have seen, and no generator
state needs to be kept. Several processes draw the same batch, and each makes its own items.

Sources:
    Hsu et al. 2021, "HuBERT", IEEE/ACM TASLP 29: spans.
    Li et al. 2024, "MERT", ICLR: in-batch noise mixture.
    Chen et al. 2022, "WavLM", IEEE JSTSP 16(6): other audio mixed in at a drawn energy ratio.
        Departure from MERT, which mixes at full volume: the targets stay those of the main clip,
        and at full volume neither clip is the main one.

No random gain is applied: each window is normalised to unit variance, which would undo it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pamt_metric.encoders import windows
from pamt_metric.encoders.normalization import NORMALIZE_EPSILON
from training.data.corpus import FRAME_RATE
from training.pretrain_config import ObjectiveConfig, PretrainConfig
from training.teachers import SAMPLE_RATE
from training.windows import CachedWindows, Place, StreamedWindows

_TRAINING_STREAM, _VALIDATION_STREAM = 1, 2


@dataclass(frozen=True)
class Batch:
    """Windows and their targets; B windows, T samples, F frames, C codebooks, K bins.

    It may be a share of a larger batch; `n_masked` and `n_visible` are of the larger one.
    """

    waveform: Tensor  # (B, T), zero mean and unit variance
    mask: Tensor  # (B, F), true where the front end's output is hidden
    codes: Tensor  # (B, F, C)
    cqt: Tensor  # (B, F, K), standardised per bin
    n_masked: int
    n_visible: int

    def to(self, device: torch.device) -> "Batch":
        """The batch where the model is."""
        return replace(
            self,
            waveform=self.waveform.to(device),
            mask=self.mask.to(device),
            codes=self.codes.to(device),
            cqt=self.cqt.to(device),
        )


def mask_spans(
    n_items: int, n_frames: int, objective: ObjectiveConfig, rng: np.random.Generator
) -> np.ndarray:
    """A boolean mask (item, frame) of spans at distinct random starts, as many in each item.

    Spans overlap, so fewer frames are hidden than `mask_probability` says: at 0.8 and spans of
    10 frames about 57 %.
    """
    length = min(objective.mask_length, n_frames)
    n_starts = n_frames - length + 1
    n_spans = round(objective.mask_probability * n_frames / length + rng.random() - 0.5)
    mask = np.zeros((n_items, n_frames), dtype=bool)
    for row in mask:
        starts = rng.choice(n_starts, min(max(n_spans, 1), n_starts), replace=False)
        row[starts[:, None] + np.arange(length)] = True
    return mask


@dataclass(frozen=True)
class Mixture:
    """A quieter span of another item's audio that is added to an item; samples and a factor."""

    other: int
    source: int
    target: int
    length: int
    level: float


def draw_mixtures(
    n_items: int, n_samples: int, objective: ObjectiveConfig, rng: np.random.Generator
) -> dict[int, Mixture]:
    """What is mixed into which items of a batch."""
    mixtures = {}
    for item in range(n_items):
        if n_items < 2 or rng.random() >= objective.mixture_probability:
            continue
        other = int(item + rng.integers(1, n_items)) % n_items
        length = min(round(rng.uniform(*objective.mixture_s) * SAMPLE_RATE), n_samples)
        source, target = rng.integers(0, n_samples - length + 1, size=2)
        level = 10 ** (rng.uniform(*objective.mixture_level_db) / 20)
        mixtures[item] = Mixture(other, int(source), int(target), length, level)
    return mixtures


def mix(waveform: np.ndarray, other: np.ndarray, mixture: Mixture) -> np.ndarray:
    """A window with a span of the other one in it; both `(time,)`."""
    mixed = waveform.copy()
    added = other[mixture.source : mixture.source + mixture.length]
    # Both are at unit variance over their window, so this is their energy ratio.
    mixed[mixture.target : mixture.target + mixture.length] += mixture.level * added
    return mixed


def normalise(waveform: np.ndarray) -> np.ndarray:
    """Zero mean and unit variance over time, as the encoder does to what it is given."""
    centred = waveform - waveform.mean(-1, keepdims=True)
    return centred / np.sqrt(centred.var(-1, keepdims=True) + NORMALIZE_EPSILON)


class WindowSampler:
    """Draws training batches by step, and fixed validation batches.

    Windows come from the cached corpus, from streams, or from both.
    """

    def __init__(
        self,
        config: PretrainConfig,
        cached: CachedWindows | None,
        streamed: StreamedWindows | None = None,
    ) -> None:
        self._config, self._cached, self._streamed = config, cached, streamed
        self._n_samples = round(config.window_s * FRAME_RATE) * windows.HOP_LENGTH
        self._n_frames = windows.n_frames(self._n_samples)

    def training_batch(self, step: int, items: Sequence[int] | None = None) -> Batch:
        """The batch of a step, always the same one; or some items of it."""
        size, objective = self._config.batch_size, self._config.objective
        rng = np.random.default_rng([self._config.seed, _TRAINING_STREAM, step])
        places: list[Place] = [] if self._cached is None else [*self._cached.draw(size, rng)]
        if self._streamed is not None:
            drawn = self._streamed.draw(size, step)
            places = [drawn.get(slot) or places[slot] for slot in range(size)]
        mixtures = draw_mixtures(size, self._n_samples, objective, rng)
        mask = mask_spans(size, self._n_frames, objective, rng)
        return self._batch(places, mixtures, mask, range(size) if items is None else items)

    def validation_batches(self) -> Iterator[Batch]:
        """All windows that are held aside, clean, with fixed masks."""
        rng = np.random.default_rng([self._config.seed, _VALIDATION_STREAM])
        sources = (self._cached, self._streamed)
        places = [place for source in sources if source for place in source.held_aside()]
        for start in range(0, len(places), self._config.batch_size):
            chosen = places[start : start + self._config.batch_size]
            mask = mask_spans(len(chosen), self._n_frames, self._config.objective, rng)
            yield self._batch(chosen, {}, mask, range(len(chosen)))

    def _batch(
        self,
        places: Sequence[Place],
        mixtures: dict[int, Mixture],
        mask: np.ndarray,
        items: Sequence[int],
    ) -> Batch:
        own = list(items)
        clean = {item: places[item].window() for item in own}
        waveform = [normalise(clean[item].waveform) for item in own]
        for row, item in enumerate(own):
            if item in mixtures:
                other = normalise(places[mixtures[item].other].waveform())
                waveform[row] = normalise(mix(waveform[row], other, mixtures[item]))
        return Batch(
            waveform=torch.from_numpy(np.stack(waveform)),
            mask=torch.from_numpy(mask[own]),
            codes=torch.stack([clean[item].codes for item in own]),
            cqt=torch.stack([clean[item].cqt for item in own]),
            n_masked=int(mask.sum()),
            n_visible=int((~mask).sum()),
        )
