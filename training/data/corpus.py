"""The cached training corpus: rendered music and recordings as memory-mapped mono audio.

`build_corpus` renders once and reuses the cache afterwards; `Corpus` reads it. Audio is kept at
24 kHz (the encoder's rate) and 48 kHz (the ear's), both int16. Every clip begins and ends on the
75 frames/s grid, so one frame index addresses both rates and all per-frame targets:
frame `i` begins at sample `320 i` at 24 kHz and `640 i` at 48 kHz.

A clip is either an excerpt of a piece, arranged at random and rendered, or a string of short
recordings of one kind with short rests between them.
"""

import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
import soxr

from benchmarks import rendering
from pamt_metric.errors import InputError
from training.data import sources
from training.pretrain_config import CorpusConfig

FRAME_RATE = 75
SAMPLE_RATES = (24000, 48000)
"""Cached rates. Everything is rendered and read at the second, then resampled to the first."""

PEAK_DB = (-12.0, -1.0)
"""Range of a clip's peak level, dB re full scale."""

_RENDER_RATE = SAMPLE_RATES[1]
_REST_S = (0.0, 0.4)
_STRING_GAIN_DB = (-12.0, 0.0)
_FADE_S = 0.01
_LOW_PASS_ORDER = 8
_N_WORKERS = 2
_FORMAT = 1
"""To be raised when the same configuration would render differently."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clip:
    """One entry of the corpus; `name` is its piece or, for a string of recordings, its kind.

    `low_pass_hz` is None for full band.
    """

    kind: str
    name: str
    start_frame: int
    n_frames: int
    seed: int
    held_aside: bool
    low_pass_hz: float | None


class Corpus:
    """Read access to a built corpus."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        index = json.loads((folder / "index.json").read_text())
        self.clips = [Clip(**clip) for clip in index["clips"]]
        self.n_frames = sum(clip.n_frames for clip in self.clips)
        self._audio = {
            rate: np.load(folder / f"audio-{rate}.npy", mmap_mode="r") for rate in SAMPLE_RATES
        }

    def waveform(
        self, clip: Clip, *, sample_rate: int, first_frame: int = 0, n_frames: int | None = None
    ) -> np.ndarray:
        """Part of a clip, float32 `(time,)` in [-1, 1]; frames count from the clip's beginning."""
        n_frames = clip.n_frames - first_frame if n_frames is None else n_frames
        if first_frame < 0 or first_frame + n_frames > clip.n_frames:
            last = first_frame + n_frames
            raise InputError(
                f"frames {first_frame} to {last} asked of a clip that has {clip.n_frames}"
            )
        hop = sample_rate // FRAME_RATE
        start = (clip.start_frame + first_frame) * hop
        samples = self._audio[sample_rate][start : start + n_frames * hop]
        return samples.astype(np.float32) / -np.iinfo(np.int16).min

    def select(self, *, held_aside: bool, recordings: bool) -> list[Clip]:
        """Clips of one side of the split, either recordings or rendered music."""
        return [
            clip
            for clip in self.clips
            if clip.held_aside == held_aside
            and (clip.kind in sources.RECORDING_KINDS) == recordings
        ]


def build_corpus(config: CorpusConfig, data_root: Path, work: Path) -> Corpus:
    """Render the corpus under `work`, or open it if the same configuration was rendered before."""
    identity = json.dumps({"format": _FORMAT, **asdict(config)}, sort_keys=True)
    folder = work / "corpus" / hashlib.sha256(identity.encode()).hexdigest()[:12]
    if (folder / "index.json").is_file():
        return Corpus(folder)
    folder.mkdir(parents=True, exist_ok=True)
    plan = list(_plan(config, data_root))
    if not plan:
        raise InputError(f"no training material under {data_root}; is it the data folder's root?")
    clips = [clip for clip, _ in plan]
    n_frames = sum(clip.n_frames for clip in clips)
    _log.info("rendering %d clips, %.2f h", len(clips), n_frames / FRAME_RATE / 3600)
    audio = {
        rate: np.lib.format.open_memmap(
            folder / f"audio-{rate}.npy", "w+", np.int16, shape=(n_frames * rate // FRAME_RATE,)
        )
        for rate in SAMPLE_RATES
    }
    with ThreadPoolExecutor(_N_WORKERS) as pool:
        made = pool.map(lambda entry: _make_clip(entry[0], entry[1], config), plan)
        for number, (clip, by_rate) in enumerate(zip(clips, made, strict=True), 1):
            for rate, samples in by_rate.items():
                start = clip.start_frame * rate // FRAME_RATE
                audio[rate][start : start + len(samples)] = samples
            if number % 100 == 0:
                _log.info("%d of %d clips", number, len(clips))
    for array in audio.values():
        array.flush()
    # Written last and renamed into place: its presence says that the cache is complete.
    index = {"config": asdict(config), "clips": [asdict(clip) for clip in clips]}
    (folder / "index.json.tmp").write_text(json.dumps(index, indent=1))
    (folder / "index.json.tmp").replace(folder / "index.json")
    return Corpus(folder)


Readers = Mapping[str, Callable[[], Any]]


def _plan(config: CorpusConfig, data_root: Path) -> Iterator[tuple[Clip, Readers]]:
    """Clips in their final order, each with the readers of what it may be made of."""
    material = _material(config, data_root)
    start_frame = 0
    for kind_number, (kind, (hours, readers)) in enumerate(material.items()):
        if not readers:
            _log.warning("no %s under %s; going on without", kind, data_root)
            continue
        rng = np.random.default_rng([config.seed, kind_number])
        names = [list(readers)[i] for i in rng.permutation(len(readers))]
        n_aside = math.ceil(config.held_aside_share * len(names))
        aside_h = config.held_aside_share * hours
        for held_aside, side, side_h in (
            (True, names[:n_aside], aside_h),
            (False, names[n_aside:], hours - aside_h),
        ):
            end_frame = start_frame + round(side_h * 3600 * FRAME_RATE)
            number = 0
            while start_frame < end_frame and side:
                is_score = kind in sources.SCORE_KINDS
                name = side[number % len(side)] if is_score else kind
                clip = Clip(
                    kind=kind,
                    name=name,
                    start_frame=start_frame,
                    n_frames=round(rng.uniform(*config.excerpt_s) * FRAME_RATE),
                    seed=int(rng.integers(2**31)),
                    held_aside=held_aside,
                    low_pass_hz=_draw_low_pass(config, rng),
                )
                yield clip, {n: readers[n] for n in ([name] if is_score else side)}
                start_frame += clip.n_frames
                number += 1


def _material(config: CorpusConfig, data_root: Path) -> dict[str, tuple[float, Readers]]:
    """Hours wanted of each kind, and the readers of its items; recordings share by count."""
    score_hours = (config.pop909_h, config.nottingham_h, config.chorales_h)
    material: dict[str, tuple[float, Readers]] = {
        kind: (hours, sources.scores(kind, data_root))
        for kind, hours in zip(sources.SCORE_KINDS, score_hours, strict=True)
    }
    recordings = {
        kind: sources.recordings(kind, data_root, sample_rate=_RENDER_RATE)
        for kind in sources.RECORDING_KINDS
    }
    n_recordings = max(1, sum(len(readers) for readers in recordings.values()))
    for kind, readers in recordings.items():
        material[kind] = (config.recordings_h * len(readers) / n_recordings, readers)
    return material


def _draw_low_pass(config: CorpusConfig, rng: np.random.Generator) -> float | None:
    low, high = np.log(config.low_pass_hz)
    cutoff_hz = float(np.exp(rng.uniform(low, high)))
    return cutoff_hz if rng.random() < config.low_pass_probability else None


def _make_clip(clip: Clip, readers: Readers, config: CorpusConfig) -> dict[int, np.ndarray]:
    """The finished clip, int16 at each rate."""
    rng = np.random.default_rng(clip.seed)
    n_samples = clip.n_frames * _RENDER_RATE // FRAME_RATE
    if clip.kind in sources.SCORE_KINDS:
        waveform = _play(readers[clip.name](), n_samples, config, rng)
    else:
        waveform = _string(list(readers.values()), n_samples, rng)
    if clip.low_pass_hz is not None:
        sections = scipy.signal.butter(
            _LOW_PASS_ORDER, clip.low_pass_hz, fs=_RENDER_RATE, output="sos"
        )
        waveform = np.asarray(scipy.signal.sosfilt(sections, waveform))
    n_fade = round(_FADE_S * _RENDER_RATE)
    waveform[:n_fade] *= np.linspace(0.0, 1.0, n_fade)
    waveform[-n_fade:] *= np.linspace(1.0, 0.0, n_fade)
    peak = np.abs(waveform).max()
    if peak > 0:
        waveform = waveform * (10 ** (rng.uniform(*PEAK_DB) / 20) / peak)
    by_rate = {r: soxr.resample(waveform, _RENDER_RATE, r) for r in SAMPLE_RATES}
    return {r: np.round(np.clip(w, -1, 1) * 32767).astype(np.int16) for r, w in by_rate.items()}


def rearranged(clip: Clip, config: CorpusConfig, data_root: Path, *, seed: int) -> np.ndarray:
    """The notes of a rendered clip, in its key and tempo, played by others: float32 at 48 kHz."""
    notes = sources.scores(clip.kind, data_root)[clip.name]()
    n_samples = clip.n_frames * _RENDER_RATE // FRAME_RATE
    rng, player = np.random.default_rng(clip.seed), np.random.default_rng(seed)
    return _play(notes, n_samples, config, rng, player)


def _play(
    notes: list[rendering.Note],
    n_samples: int,
    config: CorpusConfig,
    rng: np.random.Generator,
    player: np.random.Generator | None = None,
) -> np.ndarray:
    """A random excerpt, arranged and rendered; `player` draws the instruments where it is given."""
    duration_s = n_samples / _RENDER_RATE
    number = rng.integers(len(config.soundfonts))
    part = rendering.random_excerpt(notes, duration_s, rng)
    shift = rendering.random_key(rng)
    if player is not None:
        number = player.integers(len(config.soundfonts))
    soundfont = rendering.find_soundfont(config.soundfonts[number])
    midi = rendering.arrange(
        part, duration_s, player or rng, shift=shift, drum_probability=config.drum_probability
    )
    played = rendering.render(midi, soundfont, sample_rate=_RENDER_RATE, n_samples=n_samples)
    return played.mean(axis=0)


def _string(
    readers: list[Callable[[], np.ndarray]], n_samples: int, rng: np.random.Generator
) -> np.ndarray:
    """Recordings in random order, with random levels and rests, cut at `n_samples`."""
    waveform = np.zeros(n_samples, dtype=np.float32)
    position = 0
    while position < n_samples:
        for number in rng.permutation(len(readers)):
            item = readers[number]()
            gain = 10 ** (rng.uniform(*_STRING_GAIN_DB) / 20)
            item = item[: n_samples - position]
            # A silent recording stays silent.
            waveform[position : position + len(item)] = item * (gain / (np.abs(item).max() or 1.0))
            position += len(item) + round(rng.uniform(*_REST_S) * _RENDER_RATE)
            if position >= n_samples:
                break
    return waveform
