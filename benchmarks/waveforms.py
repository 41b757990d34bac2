"""Sounds as arrays `(channel, time)`: reading, matching a pair, and the baselines' conditions."""

from pathlib import Path

import numpy as np
import soundfile
import soxr

from pamt_metric.errors import InputError

# The level every baseline hears: -20 dB re full scale, well clear of clipping.
TARGET_RMS = 0.1


def read(path: str | Path) -> tuple[np.ndarray, int]:
    """A file's samples as float32 `(channel, time)` in [-1, 1], and its sample rate in Hz.

    Raises:
        InputError: The file is not there or soundfile cannot decode it.
    """
    try:
        samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    return np.ascontiguousarray(samples.T), sample_rate


def resample(waveform: np.ndarray, source_rate: int, target_rate: int) -> np.ndarray:
    """The same sound at another rate (soxr, high quality)."""
    if source_rate == target_rate:
        return waveform
    return np.ascontiguousarray(soxr.resample(waveform.T, source_rate, target_rate).T)


def read_pair(reference: str | Path, test: str | Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Both sounds at the reference's rate and, where one of them is mono, with as many channels."""
    a, sample_rate = read(reference)
    b, test_rate = read(test)
    a, b = match_channels(a, resample(b, test_rate, sample_rate))
    return a, b, sample_rate


def match_channels(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Repeats a mono sound over the other's channels.

    Raises:
        InputError: The numbers of channels differ and neither is one.
    """
    n_channels = max(len(a), len(b))
    if len(a) not in (1, n_channels) or len(b) not in (1, n_channels):
        raise InputError(f"cannot match {len(a)} channels to {len(b)}")
    a, b = (np.repeat(x, n_channels, axis=0) if len(x) == 1 else x for x in (a, b))
    return a, b


def baseline_conditions(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What every baseline hears: mono, both at one RMS, the shorter padded with zeros at its end.

    Returns:
        Two float32 arrays `(time,)` of the same length.
    """
    a, b = (_at_target_rms(x.astype(np.float64).mean(axis=0)) for x in (a, b))
    return _padded(a, b)


def absolute_conditions(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same at the level they have."""
    return _padded(*(x.astype(np.float64).mean(axis=0) for x in (a, b)))


def _padded(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n_samples = max(len(a), len(b))
    a, b = (np.pad(x, (0, n_samples - len(x))).astype(np.float32) for x in (a, b))
    return a, b


def _at_target_rms(waveform: np.ndarray) -> np.ndarray:
    rms = np.sqrt(np.mean(waveform**2))
    return waveform * (TARGET_RMS / rms) if rms > 0 else waveform
