"""Short pieces that the suite makes itself, so that it needs no data: each seed another song."""

import numpy as np

SAMPLE_RATE = 48_000
DURATION_S = 10.0
# -20 dB re full scale.
RMS = 0.1
# Steps of the scales that a piece may use, in semitones above its key.
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10))
LOWEST_KEY_HZ = 55.0
RELEASE_S = 0.01


def compose(seed: int, *, duration_s: float = DURATION_S) -> np.ndarray:
    """A melody, a bass, chords and, in two pieces of three, drums; stereo float32 `(2, time)`."""
    generator = np.random.default_rng(seed)
    key_hz = LOWEST_KEY_HZ * 2.0 ** (generator.integers(12) / 12.0)
    scale = SCALES[seed % len(SCALES)]
    step_s = float(generator.uniform(0.14, 0.3))
    mixture = np.zeros((2, round(duration_s * SAMPLE_RATE)))
    degrees = generator.integers(0, 2 * len(scale), size=int(duration_s / step_s))
    voices = [_voice(generator) for _ in range(3)]
    for index, degree in enumerate(degrees):
        at = index * step_s
        _add(mixture, at, _note(4.0 * key_hz * _ratio(scale, degree), step_s, voices[0]), 0.7)
        if index % 4 == 0:
            root = int(degree) % len(scale)
            bass = _note(key_hz * _ratio(scale, root), 4.0 * step_s, voices[1])
            _add(mixture, at, bass, 0.5)
            for third in (0, 2, 4):
                tone = 2.0 * key_hz * _ratio(scale, root + third)
                _add(mixture, at, 0.5 * _note(tone, 4.0 * step_s, voices[2]), 0.2 + 0.15 * third)
        if seed % 3:
            _add(mixture, at, _drum(generator, low=index % 4 == 0), 0.5)
    return (mixture * (RMS / np.sqrt(np.mean(mixture**2)))).astype(np.float32)


def _ratio(scale: tuple[int, ...], degree: int) -> float:
    octave, step = divmod(int(degree), len(scale))
    return 2.0 ** (octave + scale[step] / 12.0)


def _voice(generator: np.random.Generator) -> tuple[float, float]:
    """How fast partials fall off with their number, and how fast a note decays, in 1/s."""
    return float(generator.uniform(0.8, 2.2)), float(generator.uniform(1.0, 8.0))


def _note(frequency: float, duration_s: float, voice: tuple[float, float]) -> np.ndarray:
    roll_off, decay = voice
    time = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    partials = np.arange(1, min(24, int(0.45 * SAMPLE_RATE / frequency)) + 1)
    # Phases spread, so that the partials' peaks do not fall together.
    phases = 2.0 * np.pi * frequency * partials[:, None] * time + partials[:, None] ** 2
    waveform = partials**-roll_off @ np.sin(phases)
    fades = np.minimum(1.0, np.minimum(time, time[::-1]) / RELEASE_S)
    return waveform * np.exp(-decay * time) * fades


def _drum(generator: np.random.Generator, *, low: bool) -> np.ndarray:
    time = np.arange(round(0.1 * SAMPLE_RATE)) / SAMPLE_RATE
    if low:
        return 2.0 * np.sin(2.0 * np.pi * 60.0 * time) * np.exp(-time / 0.04)
    return 0.6 * generator.standard_normal(len(time)) * np.exp(-time / 0.015)


def _add(mixture: np.ndarray, start_s: float, sound: np.ndarray, pan: float) -> None:
    """Adds a mono sound at a time, from left (0) to right (1)."""
    start = round(start_s * SAMPLE_RATE)
    end = min(start + len(sound), mixture.shape[-1])
    mixture[0, start:end] += np.cos(0.5 * np.pi * pan) * sound[: end - start]
    mixture[1, start:end] += np.sin(0.5 * np.pi * pan) * sound[: end - start]
