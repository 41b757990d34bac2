"""Changes that no attacker made: what happens to music on its way to a listener.

Each takes a mono clip at 48 kHz and a generator, and gives a clip of the same length.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks import degradations
from benchmarks.robustness.clips import SAMPLE_RATE, fit

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]

MP3_KBPS = 64
EQ_GAIN_DB = 6.0
EQ_CENTERS_HZ = (100.0, 400.0, 1600.0, 6400.0)
ROOM_RT60_S = 0.6
ROOM_WET = 0.3
PITCH_SEMITONES = 0.5
TEMPO_SHARE = 0.03


def _mp3(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return degradations.mp3(clip[None], SAMPLE_RATE, kbps=MP3_KBPS)[0]


def _eq(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gains_db = {hz: float(rng.uniform(-EQ_GAIN_DB, EQ_GAIN_DB)) for hz in EQ_CENTERS_HZ}
    return degradations.equalise(clip[None], SAMPLE_RATE, gains_db=gains_db)[0]


def _reverb(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    room = partial(degradations.reverb, rt60_s=ROOM_RT60_S, wet=ROOM_WET, generator=rng)
    return room(clip[None], SAMPLE_RATE)[0]


def _pitch(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    semitones = PITCH_SEMITONES * float(rng.choice((-1.0, 1.0)))
    return degradations.pitch_shift(clip[None], SAMPLE_RATE, semitones=semitones)[0]


def _tempo(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rate = 1.0 + TEMPO_SHARE * float(rng.choice((-1.0, 1.0)))
    return fit(degradations.tempo(clip[None], SAMPLE_RATE, rate=rate)[0], clip.shape[0])


CHANGES: dict[str, Change] = {
    f"mp3-{MP3_KBPS}": _mp3,
    "eq": _eq,
    "reverb": _reverb,
    "pitch": _pitch,
    "tempo": _tempo,
}


def white_noise(clip: np.ndarray, rng: np.random.Generator, *, snr_db: float) -> np.ndarray:
    """Random signs at every sample: as large as the largest perturbation that PGD may use."""
    size = float(np.sqrt(np.mean(np.square(clip)))) * 10.0 ** (-snr_db / 20.0)
    return clip + size * rng.choice((-1.0, 1.0), clip.shape[0]).astype(np.float32)


def replacements(
    clip: np.ndarray, other: np.ndarray, *, length: int, count: int
) -> list[tuple[int, np.ndarray]]:
    """Copies of which `length` samples are filled in, and where, at equal distances.

    Fillers are what came just before, played backwards, and as much of another clip at the same
    loudness; both fade in and out, as an editor would.
    """
    edge = length // 10
    fade = np.ones(length, dtype=np.float32)
    fade[:edge] = np.linspace(0.0, 1.0, edge)
    fade[-edge:] = fade[:edge][::-1]
    made = []
    for start in np.linspace(0, clip.shape[0] - length, count).astype(int):
        span = slice(start, start + length)
        before = slice(start - length, start) if start >= length else slice(length, 2 * length)
        for filler in (clip[before][::-1], other[span]):
            loudness = np.sqrt(np.mean(clip[span] ** 2) / max(np.mean(filler**2), 1e-12))
            copy = clip.copy()
            copy[span] = (1.0 - fade) * clip[span] + fade * filler * min(loudness, 10.0)
            made.append((int(start), copy))
    return made
