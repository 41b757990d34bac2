"""What is asked of a metric on each clip: named pairs to measure, and orderings of their values.

Every ordering is one that any listener would agree on, and fair to any metric: it compares two of
the metric's own values on the same clip. "Another recording" is the nearest of up to three others.
"Zero" allows for rounding: at most `ZERO_SHARE` of the way from the clip itself to another
recording.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from scipy import signal

from benchmarks import degradations, orderings
from benchmarks.orderings import Degradation, Recording, like
from benchmarks.waveforms import match_channels, resample
from pamt_metric.errors import PamtError

Pair = tuple[np.ndarray, np.ndarray]

# The probes hear this much of a clip; truncation all of it.
PROBE_S = 5.0
KEPT_SHARE = 0.6
# A clip whose cut part is weaker than this share of its RMS, as a dying tone, is not truncated.
SOUNDING_SHARE = 0.1
ZERO_SHARE = 1e-3
SYMMETRY_SHARE = 0.01
REVERB_SEED = 1
RT60_S = 1.0
# Level of a wide clip's side signal relative to its mid signal, and how long its echoes last.
SIDE_GAIN = 0.7
SIDE_DECAY_S = 0.02
SIDE_SEED = 2
# A tenth of the clip's RMS: heard by nobody.
DC_SHARE = 0.1
N_OTHERS = 3

ITSELF = "the clip itself"
OTHER = "another recording"


def _room(wet: float) -> Degradation:
    def degrade(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        generator = np.random.default_rng(REVERB_SEED)
        room = partial(degradations.reverb, rt60_s=RT60_S, wet=wet, generator=generator)
        return room(waveform, sample_rate)

    return degrade


def _through(rate: int) -> Degradation:
    def degrade(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        there = resample(waveform, sample_rate, rate)
        return resample(there, rate, sample_rate)[:, : waveform.shape[-1]]

    return degrade


def _with_offset(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    return (waveform + DC_SHARE * _rms(waveform)).astype(np.float32)


def _rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


# Each from the copy nearest to the clip to the farthest.
LADDERS: dict[str, dict[str, Degradation]] = orderings.LADDERS | {
    "clipping": {
        f"clipped at {share} of the peak": partial(degradations.clip, fraction_of_peak=share)
        for share in (0.5, 0.25, 0.1)
    },
    "reverb": {f"reverb {wet:.0%} wet": _room(wet) for wet in (0.1, 0.3, 0.6)},
    "pitch": {
        f"pitch +{semitones} semitones": partial(degradations.pitch_shift, semitones=semitones)
        for semitones in (0.25, 1, 4)
    },
    "tempo": {
        f"tempo x {rate}": partial(degradations.tempo, rate=rate) for rate in (1.02, 1.1, 1.3)
    },
}
DELAYED = "delayed by 10 ms"
SOFTER = "6 dB softer"
FLIPPED = "polarity flipped"
OFFSET = "DC offset"
RESAMPLED = "resampled to another studio rate and back"
HALF_RATE = "resampled to 24 kHz and back"
COPIES: dict[str, Degradation] = {
    name: degrade for ladder in LADDERS.values() for name, degrade in ladder.items()
} | {
    DELAYED: partial(degradations.delay, delay_ms=10.0),
    SOFTER: partial(degradations.gain, gain_db=-6.0),
    FLIPPED: lambda waveform, _: -waveform,
    OFFSET: _with_offset,
    RESAMPLED: lambda waveform, rate: _through(44_100 if rate == 48_000 else 48_000)(
        waveform, rate
    ),
    HALF_RATE: _through(24_000),
}
TRUNCATED = "cut to its first 60 %"
ONE_FLIPPED = "one channel's polarity flipped"
COLLAPSED = "wide stereo collapsed to mono"
WIDE = "wide stereo itself"
WIDE_ZERO = "zero for wide stereo"
SILENCES = "silence against silence"
SILENT = "silence instead of the clip"
FROM_SILENCE = "the clip instead of silence"
NOT_A_NUMBER = "a sample that is not a number"
# Measured in both directions.
BOTH_WAYS = ("noise 20 dB", OTHER)


@dataclass(frozen=True)
class Ordering:
    """Two values of one metric on one clip, and whether they stand as they must."""

    probe: str
    nearer: str
    farther: str
    nearer_value: float
    farther_value: float
    held: bool


@dataclass(frozen=True)
class Trial:
    """One clip with everything that is measured on it.

    Attributes:
        clip: The original.
        pairs: Name to the two sounds.
        missing: Name of a pair that could not be made, to the reason.
    """

    clip: Recording
    pairs: dict[str, Pair]
    missing: dict[str, str]


def make_trial(clip: Recording, others: Sequence[Recording]) -> Trial:
    """Makes every pair of a clip; what ffmpeg cannot do is named as missing."""
    rate = clip.sample_rate
    heard = _start(clip)
    x = heard.waveform
    silence = np.zeros_like(x)
    pairs: dict[str, Pair] = {ITSELF: (x, x)}
    missing: dict[str, str] = {}
    for name, degrade in COPIES.items():
        try:
            pairs[name] = (x, degrade(x, rate))
        except PamtError as error:
            missing[name] = str(error)
    for index, other in enumerate(others):
        pairs[f"{OTHER} {index}"] = match_channels(x, like(_start(other), clip))
    for name in BOTH_WAYS:
        a, b = pairs[name if name in pairs else f"{name} 0"]
        pairs[_back(name)] = (b, a)
    wide = widened(x, rate)
    mid = wide.mean(axis=0, keepdims=True)
    kept = round(KEPT_SHARE * clip.waveform.shape[-1])
    if _rms(clip.waveform[:, kept:]) > SOUNDING_SHARE * _rms(clip.waveform):
        pairs[TRUNCATED] = (clip.waveform, clip.waveform[:, :kept])
    else:
        missing[TRUNCATED] = "what would be cut is nearly silent"
    pairs |= {
        WIDE: (wide, wide),
        ONE_FLIPPED: (wide, wide * np.array([[1.0], [-1.0]], dtype=np.float32)),
        COLLAPSED: (wide, np.repeat(mid, 2, axis=0)),
        SILENCES: (silence, silence),
        SILENT: (x, silence),
        FROM_SILENCE: (silence, x),
        NOT_A_NUMBER: (x, _with_nan(x)),
    }
    return Trial(clip, pairs, missing)


def widened(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """A wide stereo version `(2, time)` of any clip, whose mono sum is the clip's own."""
    mid = waveform.mean(axis=0, dtype=np.float64)
    n_taps = round(SIDE_DECAY_S * sample_rate)
    response = np.random.default_rng(SIDE_SEED).standard_normal(n_taps)
    response *= np.hanning(n_taps)
    side = signal.fftconvolve(mid, response)[: len(mid)]
    side *= SIDE_GAIN * np.sqrt(np.mean(mid**2) / max(np.mean(side**2), np.finfo(float).tiny))
    return np.stack([mid + side, mid - side]).astype(np.float32)


def judge(values: Mapping[str, float]) -> Iterator[Ordering]:
    """Every ordering whose pairs were all measured.

    Args:
        values: Name of a pair to the metric's value, NaN where it has none.
    """
    others = [value for name, value in values.items() if name.startswith(f"{OTHER} ")]
    known = {name: value for name, value in values.items() if not name.startswith(f"{OTHER} ")}
    known[OTHER] = _nearest(others)
    span = ZERO_SHARE * (known[OTHER] - known[ITSELF])
    known["zero"] = known[ITSELF] + span
    known[WIDE_ZERO] = known[WIDE] + span
    copies = [known[name] for name in (*COPIES, OTHER) if name in known]
    known["its nearest copy"] = _nearest(copies)
    for probe, near, far, compare in _comparisons():
        if near in known and far in known:
            a, b = known[near], known[far]
            yield Ordering(probe, near, far, a, b, compare(a, b))
    yield from _symmetry(values)
    size, limit = abs(known[ITSELF]), ZERO_SHARE * abs(known[OTHER])
    yield Ordering("zero for itself", ITSELF, "zero", size, limit, _at_most(size, limit))
    given = known[NOT_A_NUMBER]
    yield Ordering("NaN refused", NOT_A_NUMBER, "", given, math.nan, math.isnan(given))


Comparison = Callable[[float, float], bool]


def _less(near: float, far: float) -> bool:
    return math.isfinite(near) and math.isfinite(far) and near < far


def _at_most(near: float, far: float) -> bool:
    return math.isfinite(near) and math.isfinite(far) and near <= far


def _comparisons() -> Iterator[tuple[str, str, str, Comparison]]:
    """Probe, what must be nearer, what farther, and whether a tie will do."""
    yield "identity", ITSELF, "its nearest copy", _at_most
    for ladder, rungs in LADDERS.items():
        for near, far in pairwise(rungs):
            yield f"{ladder} ladder", near, far, _less
    yield "inaudible noise", "noise 60 dB", OTHER, _less
    for name in ("noise 40 dB", "noise 20 dB", "low-pass 7 kHz", "mp3 64 kbit/s"):
        yield "another song", name, OTHER, _less
    yield "truncation", "noise 60 dB", TRUNCATED, _less
    yield "delay", DELAYED, "noise 20 dB", _less
    yield "gain", SOFTER, OTHER, _less
    yield "polarity", FLIPPED, OTHER, _less
    yield "one channel's polarity", WIDE_ZERO, ONE_FLIPPED, _less
    yield "channel collapse", WIDE_ZERO, COLLAPSED, _less
    yield "silence twice", SILENCES, "zero", _at_most
    for name in (SILENT, FROM_SILENCE):
        yield "silence or music", "noise 20 dB", name, _less
    # Nobody hears these: as near as a noise that is hardly heard, so a tie will do.
    yield "DC offset", OFFSET, "noise 40 dB", _at_most
    yield "resampling", RESAMPLED, "noise 40 dB", _at_most
    yield "resampling", HALF_RATE, "low-pass 7 kHz", _at_most


def _symmetry(values: Mapping[str, float]) -> Iterator[Ordering]:
    for name in BOTH_WAYS:
        forth = values[name if name in values else f"{name} 0"]
        back = values[_back(name)]
        apart, limit = abs(forth - back), SYMMETRY_SHARE * max(abs(forth), abs(back))
        held = _at_most(apart, limit)
        yield Ordering("symmetry", f"{name}: there and back", "1 % of it", apart, limit, held)


def _nearest(values: Sequence[float]) -> float:
    """The smallest; NaN if any is, so that an undefined value does not pass unseen."""
    return float(np.min(values)) if values else math.nan


def _back(name: str) -> str:
    return f"back from {name}"


def _start(clip: Recording) -> Recording:
    n_samples = round(PROBE_S * clip.sample_rate)
    return Recording(clip.name, clip.waveform[:, :n_samples], clip.sample_rate, clip.source)


def _with_nan(waveform: np.ndarray) -> np.ndarray:
    spoiled = waveform.copy()
    spoiled[:, waveform.shape[-1] // 2] = np.nan
    return spoiled
