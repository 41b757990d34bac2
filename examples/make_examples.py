"""Synthesise the example clips of this folder: `python examples/make_examples.py`.

`reference.flac` is four seconds of a made-up tune (plucked strings, a bass, brushes);
`degraded.flac` is the same after a bad recording: narrow band, hiss, overload; `other.flac` is
a slow chorale on an organ. Seeded, so the files come out the same each time.
"""

from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

SAMPLE_RATE = 48_000
BEAT_S = 0.5
N_BEATS = 8
HISS_DB = -46.0
BANDWIDTH_HZ = 8000.0
OVERLOAD = 0.7
"""Share of the peak at which the bad recording clips."""


def main() -> None:
    """Write the three files beside this script."""
    folder = Path(__file__).parent
    reference = tune(np.random.default_rng(1), notes=(60, 64, 67, 72, 69, 67, 64, 62), bass=36)
    for name, waveform in {
        "reference": reference,
        "degraded": bad_recording(reference, np.random.default_rng(2)),
        "other": chorale(
            chords=((48, 60, 63, 67), (44, 60, 63, 68), (46, 58, 62, 65), (43, 58, 62, 67))
        ),
    }.items():
        soundfile.write(folder / f"{name}.flac", waveform.T, SAMPLE_RATE, subtype="PCM_16")


def tune(rng: np.random.Generator, *, notes: tuple[int, ...], bass: int) -> np.ndarray:
    """Eight beats of melody, bass and brushes; stereo `(2, time)`, peak 0.7."""
    mix = np.zeros((2, round(N_BEATS * BEAT_S * SAMPLE_RATE)))
    for beat, note in enumerate(notes):
        start = beat * BEAT_S + rng.normal(0.0, 0.004)
        _place(mix, pluck(note, 1.2, rng), start, pan=-0.3)
        _place(mix, 0.6 * pluck(note + 7, 0.8, rng), start + BEAT_S / 2, pan=0.4)
        if beat % 2 == 0:
            _place(mix, 0.9 * organ(bass + 5 * (beat % 4 == 2), 0.9), start, pan=0.0)
        _place(mix, 0.25 * brush(0.12, rng), start, pan=0.2)
        _place(mix, 0.12 * brush(0.06, rng), start + BEAT_S / 2, pan=0.2)
    return (0.7 * mix / np.abs(mix).max()).astype(np.float32)


def chorale(*, chords: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """One organ chord a second; stereo `(2, time)`, peak 0.7."""
    mix = np.zeros((2, round(N_BEATS * BEAT_S * SAMPLE_RATE)))
    length_s = N_BEATS * BEAT_S / len(chords)
    for index, chord in enumerate(chords):
        for voice, note in enumerate(chord):
            _place(mix, organ(note, length_s), index * length_s, pan=0.3 * voice - 0.45)
    return (0.7 * mix / np.abs(mix).max()).astype(np.float32)


def pluck(note: int, duration_s: float, rng: np.random.Generator) -> np.ndarray:
    """A plucked string: noise in a damped delay line (Karplus and Strong, 1983)."""
    period = round(SAMPLE_RATE / _frequency(note))
    excitation = np.zeros(round(duration_s * SAMPLE_RATE))
    excitation[:period] = rng.uniform(-1.0, 1.0, period)
    loop = np.zeros(period + 2)
    loop[0], loop[period], loop[period + 1] = 1.0, -0.498, -0.498
    return signal.lfilter([1.0], loop, excitation)


def organ(note: int, duration_s: float) -> np.ndarray:
    """A soft organ pipe: five partials with a slow onset."""
    time = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    partials = [np.sin(2 * np.pi * _frequency(note) * k * time) / k**1.5 for k in range(1, 6)]
    envelope = np.minimum(1.0, time / 0.04) * np.minimum(1.0, (duration_s - time) / 0.1)
    return 0.5 * envelope * np.sum(partials, axis=0)


def brush(duration_s: float, rng: np.random.Generator) -> np.ndarray:
    """A stroke of a brush on a snare: decaying noise above 2 kHz."""
    noise = rng.standard_normal(round(duration_s * SAMPLE_RATE))
    high = signal.sosfilt(signal.butter(2, 2000.0, "high", fs=SAMPLE_RATE, output="sos"), noise)
    return high * np.exp(-np.arange(len(high)) / (0.25 * len(high)))


def bad_recording(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The clip overloaded, band-limited and with hiss."""
    limit = OVERLOAD * np.abs(waveform).max()
    narrow = signal.butter(6, BANDWIDTH_HZ, fs=SAMPLE_RATE, output="sos")
    clipped = signal.sosfiltfilt(narrow, np.clip(waveform, -limit, limit), axis=-1)
    rms = np.sqrt(np.mean(waveform**2))
    hiss = rng.standard_normal(waveform.shape) * rms * 10.0 ** (HISS_DB / 20.0)
    return (clipped + hiss).astype(np.float32)


def _place(mix: np.ndarray, sound: np.ndarray, start_s: float, *, pan: float) -> None:
    start = max(0, round(start_s * SAMPLE_RATE))
    count = min(len(sound), mix.shape[1] - start)
    gains = np.sqrt([0.5 * (1.0 - pan), 0.5 * (1.0 + pan)])
    mix[:, start : start + count] += gains[:, None] * sound[None, :count]


def _frequency(note: int) -> float:
    """Frequency in Hz of a MIDI note number."""
    return 440.0 * 2.0 ** ((note - 69) / 12.0)


if __name__ == "__main__":
    main()
