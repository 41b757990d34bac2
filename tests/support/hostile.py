"""Sounds that nobody should send, drawn by hypothesis: shapes, dtypes, rates, levels, values."""

import math
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

MIN_RATE, MAX_RATE = 8_000, 192_000
MAX_CHANNELS = 8
FULL_SCALE = {"int16": 2.0**15, "int32": 2.0**31}
DTYPES = ("float32", "float64", "int16", "int32")
REFUSED_DTYPES = ("float16", "uint8", "int64")
# Smallest normal numbers are 1.2e-38 and 2.2e-308: these are below.
DENORMAL = {"float32": 1e-40, "float64": 1e-310}
BAD_VALUES = (math.nan, math.inf, -math.inf)


@dataclass(frozen=True)
class Sound:
    """Samples (channel, time) or (time,), and whether they are to be refused."""

    samples: np.ndarray
    rate: int
    is_refused: bool

    def __repr__(self) -> str:
        kind = f"{self.samples.dtype}{list(self.samples.shape)}"
        return f"Sound({kind} at {self.rate} Hz, peak {np.abs(self.samples).max():g})"


def _noise(time: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, len(time))


MAKERS = {
    "noise": _noise,
    "tone": lambda time, seed: np.sin(2 * np.pi * 100.0 * (1 + seed) * time),
    "square": lambda time, seed: np.where(np.sin(2 * np.pi * 50.0 * (1 + seed) * time) < 0, -1, 1),
    "constant": lambda time, _: np.ones_like(time),
    "click": lambda time, seed: (np.arange(len(time)) == seed * len(time) // 10).astype(float),
    "silence": lambda time, _: np.zeros_like(time),
    "noise on a constant": lambda time, seed: 0.9 + 0.1 * _noise(time, seed),
    "half silence": lambda time, seed: _noise(time, seed) * (time < time[-1] / 2),
}


@st.composite
def sounds(draw: st.DrawFn, *, extra_s: float = 0.25, usable: bool = False) -> Sound:
    """One clip.

    Args:
        draw: hypothesis' own.
        extra_s: how much longer than the minimum it may be.
        usable: only what the input check lets pass.
    """
    rate = draw(
        st.sampled_from((8_000, 44_100, 48_000, 96_000, 192_000)) | st.integers(MIN_RATE, MAX_RATE)
    )
    shortest = -(-rate // 10)
    n_time = shortest + draw(st.sampled_from((0, 1)) | st.integers(0, round(extra_s * rate)))
    if not usable and draw(st.integers(0, 9)) == 0:
        n_time = draw(st.integers(1, shortest - 1))
    few, many = st.integers(1, 2), st.integers(3, MAX_CHANNELS)
    n_channels = draw(few if usable else few | many)
    refused_dtypes = () if usable else REFUSED_DTYPES
    dtype = draw(st.sampled_from(DTYPES * 2 + refused_dtypes))
    time = np.arange(n_time) / rate
    channels = [
        MAKERS[draw(st.sampled_from(sorted(MAKERS)))](time, draw(st.integers(0, 9)))
        for _ in range(n_channels)
    ]
    gain_db = draw(st.sampled_from((-120.0, 0.0, 6.0, 20.0)) | st.floats(-120.0, 25.0))
    samples = _as_dtype(np.stack(channels) * 10.0 ** (gain_db / 20.0), dtype)
    if dtype in DENORMAL and draw(st.integers(0, 4)) == 0:
        samples = samples + np.asarray(DENORMAL[dtype], dtype)
    is_bad = not usable and dtype.startswith("float") and draw(st.integers(0, 3)) == 0
    if is_bad:
        at = draw(st.sampled_from((0, n_time - 1)) | st.integers(0, n_time - 1))
        samples[draw(st.integers(0, n_channels - 1)), at] = draw(st.sampled_from(BAD_VALUES))
    if n_channels == 1 and draw(st.booleans()):
        samples = samples[0]
    is_refused = is_bad or n_time < shortest or n_channels > 2 or _is_of_no_scale(samples)
    if usable and is_refused:
        samples, is_refused = _as_dtype(np.stack(channels), "float32"), False
    return Sound(samples, rate, is_refused)


def _as_dtype(values: np.ndarray, dtype: str) -> np.ndarray:
    if dtype not in FULL_SCALE:
        return values.astype(dtype)
    most = FULL_SCALE[dtype]
    return (values * most).clip(-most, most - 1).astype(dtype)  # clipping, as a converter does


def _is_of_no_scale(samples: np.ndarray) -> bool:
    name = samples.dtype.name
    if name in REFUSED_DTYPES:
        return True
    peak = float(np.abs(samples.astype(float)).max())
    if name == "int32":
        return 0 < peak < 2**16
    return name.startswith("float") and peak > 10.0
