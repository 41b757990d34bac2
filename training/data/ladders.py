"""Degradation ladders: copies of a clip in a known order of audibility.

Every clip gets noise at its masked threshold -6, 0, +6 and +12 dB, changes that nobody hears, and a
few other families; each family is a list of rungs, mildest first. Hard negatives may stand beside
them: the same song at another place, and the same notes played by other instruments. They are no
copies, and must be farther than those.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.masked_noise import add_masked_noise
from pamt_metric.errors import ConfigError
from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.frames import FRAME_RATE, SAMPLE_RATE
from training.data import sources
from training.data.corpus import Clip, Corpus, rearranged
from training.data.families import FAMILIES, INAUDIBLE
from training.head_config import LadderConfig
from training.pretrain_config import CorpusConfig

MASKED_NOISE = "masked noise"
MASKED_LEVELS_DB = (-6.0, 0.0, 6.0, 12.0)
LISTENING_RMS = 0.07
"""RMS at which clips are degraded: -23 dB re full scale, 77 dB SPL for noise-like music."""
QUIETEST_RMS = 0.005
"""A stretch of the corpus quieter than this is mostly rests and makes no ladder."""
ANOTHER_PLACE = "another place"
ANOTHER_ARRANGEMENT = "another arrangement"
HARD_NEGATIVES = (ANOTHER_PLACE, ANOTHER_ARRANGEMENT)
_N_TRIES = 20
_NEGATIVE_STREAM = 1


@dataclass(frozen=True)
class Copy:
    """A degraded copy, or a hard negative: which clip, which family, which rung of it.

    `strength` is the degradation's own measure; 0 for a hard negative, which has none.
    """

    clip: int
    family: str
    rung: int
    strength: float
    waveform: torch.Tensor


@dataclass(frozen=True)
class Ladders:
    """Clips `(time,)` at 48 kHz, mono, and all their copies."""

    clips: list[torch.Tensor]
    copies: list[Copy]


@dataclass(frozen=True)
class Place:
    """Where in the corpus a ladder's clip was taken."""

    clip: Clip
    first_frame: int


def build_ladders(
    config: LadderConfig,
    corpus: Corpus,
    ear: Ear,
    *,
    rendering: tuple[CorpusConfig, Path] | None = None,
    attack: Callable[..., np.ndarray] | None = None,
) -> Ladders:
    """Draw clips from the training side of the corpus and degrade them; same seed, same ladders.

    Args:
        config: how many, of which families.
        corpus: whose clips.
        ear: whose masked threshold counts.
        rendering: configuration of the corpus and the data folder, of which hard negatives are
            rendered; without it they come from other places of the same song only.
        attack: makes adversarial copies; only that family needs it.

    Raises:
        ConfigError: there is no family of a name in the configuration.
    """
    unknown = sorted(set(config.families) - set(FAMILIES))
    if unknown:
        raise ConfigError(f"no families of degradation {unknown}; there are {sorted(FAMILIES)}")
    rng = np.random.default_rng(config.seed)
    drawn_clips = [_draw_clip(config, corpus, rng) for _ in range(config.n_clips)]
    clips = [clip for _, clip in drawn_clips]
    copies = []
    for index, clip in enumerate(clips):
        other = clips[(index + 1) % len(clips)]
        drawn = rng.permutation(len(config.families))[: config.families_per_clip]
        names = [config.families[i] for i in sorted(drawn)]
        copies += _masked_copies(index, clip, ear)
        for name, change in INAUDIBLE.items():
            changed = torch.from_numpy(change(clip[None])[0])
            copies.append(Copy(index, name, 0, change.strength, changed))
        for name in names:
            seed = int(rng.integers(2**32))
            for rung, degraded in enumerate(FAMILIES[name]):
                # One seed a family: its rungs differ in strength, not in what chance brought.
                generator = np.random.default_rng(seed)
                needed = {"generator": generator, "other": other[None], "attack": attack}
                waveform = degraded(clip[None], **needed)[0]
                made = torch.from_numpy(waveform)
                copies.append(Copy(index, name, rung, degraded.strength, made))
        if config.hard_negatives:
            negatives = _hard_negatives(index, drawn_clips[index][0], config, corpus, rendering)
            copies += [
                Copy(index, name, 0, 0.0, torch.from_numpy(x)) for name, x in negatives.items()
            ]
    return Ladders([torch.from_numpy(clip) for clip in clips], copies)


def _masked_copies(index: int, clip: np.ndarray, ear: Ear) -> list[Copy]:
    generator = torch.Generator().manual_seed(index)
    waveform = torch.from_numpy(clip)
    return [
        Copy(
            index,
            MASKED_NOISE,
            rung,
            level_db,
            add_masked_noise(waveform, ear, level_db=level_db, generator=generator),
        )
        for rung, level_db in enumerate(MASKED_LEVELS_DB)
    ]


def _draw_clip(
    config: LadderConfig, corpus: Corpus, rng: np.random.Generator
) -> tuple[Place, np.ndarray]:
    recordings = bool(rng.random() < config.recordings_share)
    pool: Sequence[Clip] = corpus.select(held_aside=False, recordings=recordings)
    n_frames = round(config.clip_s * FRAME_RATE)
    clip, first = pool[0], 0
    waveform = np.zeros(1, dtype=np.float32)
    for _ in range(_N_TRIES):
        clip = pool[rng.integers(len(pool))]
        first = int(rng.integers(clip.n_frames - n_frames + 1))
        waveform = corpus.waveform(
            clip, sample_rate=SAMPLE_RATE, first_frame=first, n_frames=n_frames
        )
        if _rms(waveform) > QUIETEST_RMS:
            break
    return Place(clip, first), at_listening_level(waveform)


def _hard_negatives(
    index: int,
    place: Place,
    config: LadderConfig,
    corpus: Corpus,
    rendering: tuple[CorpusConfig, Path] | None,
) -> dict[str, np.ndarray]:
    """Clips that share much with this one, and yet are no copies of it, by kind."""
    rng = np.random.default_rng([config.seed, _NEGATIVE_STREAM, index])
    n_frames = round(config.clip_s * FRAME_RATE)
    clip, first = place.clip, place.first_frame
    found = {}
    last = clip.n_frames - n_frames
    apart = [start for start in range(last + 1) if abs(start - first) >= n_frames]
    if apart:
        start = apart[rng.integers(len(apart))]
        found[ANOTHER_PLACE] = corpus.waveform(
            clip, sample_rate=SAMPLE_RATE, first_frame=start, n_frames=n_frames
        )
    if rendering is not None and clip.kind in sources.SCORE_KINDS:
        played = rearranged(clip, *rendering, seed=int(rng.integers(2**31)))
        hop = SAMPLE_RATE // FRAME_RATE
        found[ANOTHER_ARRANGEMENT] = played[first * hop : (first + n_frames) * hop]
    loud = {name: x for name, x in found.items() if _rms(x) > QUIETEST_RMS}
    return {name: at_listening_level(x) for name, x in loud.items()}


def _rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(waveform**2)))


def at_listening_level(waveform: np.ndarray) -> np.ndarray:
    """At the level at which clips are degraded; what is nearly silent stays quieter."""
    scaled = waveform * (LISTENING_RMS / max(_rms(waveform), QUIETEST_RMS))
    return scaled.astype(np.float32)
