"""Degradation ladders: copies of a clip in a known order of audibility.

Every clip gets noise at its masked threshold -6, 0, +6 and +12 dB and a few other families; each
family is a list of rungs, mildest first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from benchmarks import degradations as degrade
from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.frames import FRAME_RATE, SAMPLE_RATE
from training.config import LadderConfig
from training.data.corpus import Clip, Corpus
from training.data.masked_noise import add_masked_noise

MASKED_NOISE = "masked noise"
MASKED_LEVELS_DB = (-6.0, 0.0, 6.0, 12.0)
LISTENING_RMS = 0.07
"""RMS at which clips are degraded: -23 dB re full scale, 77 dB SPL for noise-like music."""
QUIETEST_RMS = 0.005
"""A stretch of the corpus quieter than this is mostly rests and makes no ladder."""
_N_TRIES = 20

Waveform = np.ndarray  # (1, time) float32 at 48 kHz


def _leak(waveform: Waveform, _: int, *, level_db: float, other: Waveform) -> Waveform:
    """Another song underneath, as a bad separation leaves it."""
    return (waveform + other * 10.0 ** (level_db / 20.0)).astype(np.float32)


@dataclass(frozen=True)
class Rung:
    """A degradation of one strength; `needs` names what else than the waveform it takes."""

    degrade: Callable[..., Waveform]
    needs: tuple[str, ...] = ()

    def __call__(self, waveform: Waveform, **available: object) -> Waveform:
        """The degraded copy."""
        return self.degrade(waveform, SAMPLE_RATE, **{n: available[n] for n in self.needs})


def _family(
    degradation: Callable[..., Waveform],
    knob: str,
    values: Sequence[float],
    *,
    needs: tuple[str, ...] = (),
    **fixed: object,
) -> tuple[Rung, ...]:
    return tuple(Rung(partial(degradation, **{knob: v}, **fixed), needs) for v in values)


_RANDOM = ("generator",)
FAMILIES: dict[str, tuple[Rung, ...]] = {
    "noise": _family(degrade.white_noise, "snr_db", (60.0, 40.0, 20.0, 0.0), needs=_RANDOM),
    "low-pass": _family(degrade.low_pass, "cutoff_hz", (12000.0, 7000.0, 3500.0)),
    "mp3": _family(degrade.codec, "kbps", (128, 64, 32), name="mp3"),
    "opus": _family(degrade.codec, "kbps", (96, 24, 8), name="opus"),
    "clipping": _family(degrade.clip, "fraction_of_peak", (0.7, 0.4, 0.2)),
    "quantisation": _family(degrade.quantise, "bits", (12, 9, 6)),
    "reverberation": _family(degrade.reverb, "wet", (0.1, 0.3, 0.6), needs=_RANDOM, rt60_s=0.6),
    "leakage": _family(_leak, "level_db", (-40.0, -25.0, -10.0), needs=("other",)),
    "packet loss": _family(degrade.packet_loss, "loss", (0.02, 0.08, 0.3), needs=_RANDOM),
}
SEVERE = {("noise", 3)}
"""Rungs so strong that another song need not be farther."""


@dataclass(frozen=True)
class Copy:
    """A degraded copy: which clip, which family, which rung of it."""

    clip: int
    family: str
    rung: int
    waveform: torch.Tensor


@dataclass(frozen=True)
class Ladders:
    """Clips `(time,)` at 48 kHz, mono, and all their copies."""

    clips: list[torch.Tensor]
    copies: list[Copy]


def build_ladders(config: LadderConfig, corpus: Corpus, ear: Ear) -> Ladders:
    """Draw clips from the training side of the corpus and degrade them; same seed, same ladders."""
    rng = np.random.default_rng(config.seed)
    clips = [_draw_clip(config, corpus, rng) for _ in range(config.n_clips)]
    copies = []
    for index, clip in enumerate(clips):
        other = clips[(index + 1) % len(clips)]
        drawn = rng.permutation(len(FAMILIES))[: config.families_per_clip]
        names = [list(FAMILIES)[i] for i in sorted(drawn)]
        copies += _masked_copies(index, clip, ear)
        for name in names:
            seed = int(rng.integers(2**32))
            for rung, degraded in enumerate(FAMILIES[name]):
                # One seed a family: its rungs differ in strength, not in what chance brought.
                generator = np.random.default_rng(seed)
                waveform = degraded(clip[None], generator=generator, other=other[None])[0]
                copies.append(Copy(index, name, rung, torch.from_numpy(waveform)))
    return Ladders([torch.from_numpy(clip) for clip in clips], copies)


def _masked_copies(index: int, clip: np.ndarray, ear: Ear) -> list[Copy]:
    generator = torch.Generator().manual_seed(index)
    waveform = torch.from_numpy(clip)
    return [
        Copy(
            index,
            MASKED_NOISE,
            rung,
            add_masked_noise(waveform, ear, level_db=level_db, generator=generator),
        )
        for rung, level_db in enumerate(MASKED_LEVELS_DB)
    ]


def _draw_clip(config: LadderConfig, corpus: Corpus, rng: np.random.Generator) -> np.ndarray:
    recordings = bool(rng.random() < config.recordings_share)
    pool: Sequence[Clip] = corpus.select(held_aside=False, recordings=recordings)
    n_frames = round(config.clip_s * FRAME_RATE)
    waveform = np.zeros(1, dtype=np.float32)
    for _ in range(_N_TRIES):
        clip = pool[rng.integers(len(pool))]
        first = int(rng.integers(clip.n_frames - n_frames + 1))
        waveform = corpus.waveform(
            clip, sample_rate=SAMPLE_RATE, first_frame=first, n_frames=n_frames
        )
        if np.sqrt(np.mean(waveform**2)) > QUIETEST_RMS:
            break
    scaled = waveform * (LISTENING_RMS / max(float(np.sqrt(np.mean(waveform**2))), QUIETEST_RMS))
    return scaled.astype(np.float32)
