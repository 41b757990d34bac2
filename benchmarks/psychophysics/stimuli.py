"""What the listeners heard: tones, noises and complexes at levels in dB SPL.

A full-scale sine is 100 dB SPL, so a tone of L dB SPL has the amplitude 10^((L - 100) / 20), and a
noise of the same level the same root mean square. Everything is mono at 48 kHz, `(time,)`, until
`interval` makes of it what a metric gets. Equal seeds give equal noise, so two sounds can share a
masker; other seeds give fresh noise.
"""

import functools
from collections.abc import Sequence

import numpy as np

SAMPLE_RATE = 48_000
"""Hz."""
FULL_SCALE_DB_SPL = 100.0
"""Level of a sine that just reaches +-1."""
PAD_S = 0.05
"""Silence before and after what is heard: onsets and what they leave behind are heard too."""
# Noise is cut from a longer stretch, so that a band of a few hertz fluctuates as it should.
NOISE_SAMPLES = 2**18
CACHED_NOISES = 64


def amplitude(level_db_spl: float) -> float:
    """Peak amplitude of a sine of that level."""
    return 10.0 ** ((level_db_spl - FULL_SCALE_DB_SPL) / 20.0)


def level(waveform: np.ndarray) -> float:
    """Level in dB SPL of a whole waveform, pads included."""
    mean_square = np.mean(np.square(waveform, dtype=np.float64))
    return FULL_SCALE_DB_SPL + 10.0 * np.log10(2.0 * mean_square)


def count(duration_s: float) -> int:
    """Samples of a duration."""
    return round(duration_s * SAMPLE_RATE)


def times(duration_s: float) -> np.ndarray:
    """The instant of each sample, in seconds."""
    return np.arange(count(duration_s)) / SAMPLE_RATE


def ramped(waveform: np.ndarray, ramp_s: float) -> np.ndarray:
    """Raised-cosine (cos^2) ramps of that length at both ends."""
    n_ramp = min(count(ramp_s), len(waveform) // 2)
    rise = np.sin(0.5 * np.pi * (np.arange(n_ramp) + 0.5) / max(n_ramp, 1)) ** 2
    envelope = np.ones(len(waveform))
    envelope[:n_ramp] = rise
    envelope[len(envelope) - n_ramp :] = rise[::-1]
    return waveform * envelope


def tone(
    frequency: float, level_db_spl: float, duration_s: float, *, ramp_s: float, phase: float = 0.0
) -> np.ndarray:
    """A pure tone; ramps lie within its duration."""
    wave = np.sin(2.0 * np.pi * frequency * times(duration_s) + phase)
    return ramped(amplitude(level_db_spl) * wave, ramp_s)


def complex_tone(
    frequencies: np.ndarray,
    levels_db_spl: np.ndarray,
    duration_s: float,
    *,
    ramp_s: float,
    phases: np.ndarray | None = None,
) -> np.ndarray:
    """Several sinusoids at once, in sine phase where none is given."""
    at = times(duration_s)
    total = np.zeros(len(at))
    for index, (frequency, level_db) in enumerate(zip(frequencies, levels_db_spl, strict=True)):
        phase = 0.0 if phases is None else phases[index]
        total += amplitude(level_db) * np.sin(2.0 * np.pi * frequency * at + phase)
    return ramped(total, ramp_s)


def noise(
    low_hz: float,
    high_hz: float,
    level_db_spl: float,
    duration_s: float,
    *,
    seed: int,
    ramp_s: float = 0.0,
) -> np.ndarray:
    """Gaussian noise between two edges; `level_db_spl` is the overall level it has on average."""
    unit = _unit_noise(low_hz, high_hz, seed)[: count(duration_s)]
    return ramped(amplitude(level_db_spl) / np.sqrt(2.0) * unit, ramp_s)


def overall_level(spectrum_level_db: float, bandwidth_hz: float) -> float:
    """Overall level of a noise from its level in 1 Hz."""
    return spectrum_level_db + 10.0 * np.log10(bandwidth_hz)


@functools.lru_cache(maxsize=CACHED_NOISES)
def _unit_noise(low_hz: float, high_hz: float, seed: int) -> np.ndarray:
    """Noise with a variance of 1 on average."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(NOISE_SAMPLES))
    frequency = np.fft.rfftfreq(NOISE_SAMPLES, 1.0 / SAMPLE_RATE)
    inside = (frequency >= low_hz) & (frequency <= high_hz)
    waveform = np.fft.irfft(spectrum * inside, NOISE_SAMPLES)
    waveform *= np.sqrt(len(frequency) / inside.sum())
    waveform.flags.writeable = False
    return waveform


def modulated(
    carrier: np.ndarray, rate_hz: float, depth: float, *, phase: float = 0.0
) -> np.ndarray:
    """Sinusoidal amplitude modulation, divided by sqrt(1 + m^2 / 2): the power stays as it was."""
    at = np.arange(len(carrier)) / SAMPLE_RATE
    envelope = 1.0 + depth * np.sin(2.0 * np.pi * rate_hz * at + phase)
    return carrier * envelope / np.sqrt(1.0 + 0.5 * depth**2)


def frequency_modulated(
    frequency: float,
    deviation_hz: float,
    rate_hz: float,
    level_db_spl: float,
    duration_s: float,
    *,
    ramp_s: float,
) -> np.ndarray:
    """A tone whose frequency swings by +-`deviation_hz`."""
    at = times(duration_s)
    index = deviation_hz / rate_hz
    phase = 2.0 * np.pi * frequency * at - index * np.cos(2.0 * np.pi * rate_hz * at)
    return ramped(amplitude(level_db_spl) * np.sin(phase), ramp_s)


def with_gap(waveform: np.ndarray, center_s: float, gap_s: float, *, edge_s: float) -> np.ndarray:
    """A silent gap, measured between the half-amplitude points of its raised-cosine edges."""
    at = np.arange(len(waveform)) / SAMPLE_RATE
    outside = np.abs(at - center_s) - 0.5 * gap_s  # 0 at the half-amplitude points
    gate = 0.5 * (1.0 + np.sin(np.pi * np.clip(outside / edge_s, -0.5, 0.5)))
    return waveform * gate


def clicks(onsets_s: Sequence[float], duration_s: float, level_db_spl: float) -> np.ndarray:
    """Clicks of 1 ms at a 4-kHz carrier, each starting at its onset to a fraction of a sample."""
    at = times(duration_s)
    total = np.zeros(len(at))
    for onset in onsets_s:
        since = at - onset
        inside = (since >= 0.0) & (since < 1e-3)
        envelope = np.sin(np.pi * since[inside] / 1e-3) ** 2
        total[inside] += envelope * np.sin(2.0 * np.pi * 4000.0 * since[inside])
    return amplitude(level_db_spl) * total


def low_passed(waveform: np.ndarray, cutoff_hz: float) -> np.ndarray:
    """Everything above the cutoff taken out, without delay."""
    spectrum = np.fft.rfft(waveform)
    spectrum[np.fft.rfftfreq(len(waveform), 1.0 / SAMPLE_RATE) > cutoff_hz] = 0.0
    return np.fft.irfft(spectrum, len(waveform))


def placed(waveform: np.ndarray, onset_s: float, duration_s: float) -> np.ndarray:
    """The waveform from its onset on, in silence of that duration."""
    total = np.zeros(count(duration_s))
    start = count(onset_s)
    total[start : start + len(waveform)] = waveform
    return total


def silence(duration_s: float) -> np.ndarray:
    """Digital silence."""
    return np.zeros(count(duration_s))


def interval(waveform: np.ndarray) -> np.ndarray:
    """What a metric gets: float32 `(1, time)` with silence before and after."""
    return np.pad(waveform, count(PAD_S)).astype(np.float32)[None]
