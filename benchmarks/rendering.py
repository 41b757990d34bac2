"""MIDI to audio: random arrangements of symbolic music, played by FluidSynth.

A piece becomes a list of `Note`s, whatever its file format; `excerpt` cuts it, `arrange` gives it
instruments, key and tempo, and `render` plays the result. All randomness comes from the generator
that the caller passes in, so a seed names a rendering.

Sources:
    General MIDI System Level 1 (MMA, 1991): channel 10 (index 9 here) is the drum channel,
    programs 0-127 are melodic instruments, drum keys are those of `_DRUM_PATTERNS`.
"""

import math
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mido
import numpy as np
import soundfile

from pamt_metric.errors import ConfigError, InputError

DRUM_CHANNEL = 9
N_PROGRAMS = 120
"""General MIDI programs used, 0-119: the last eight are sound effects, not instruments."""

SOUNDFONT_FOLDERS = (
    Path("/usr/share/sounds/sf2"),
    Path("/usr/share/sounds/sf3"),
    Path("/usr/share/soundfonts"),
)
"""Where Linux distributions install soundfonts."""

CHORALE_STEP_S = 0.15
"""Length of a sixteenth-grid step of a chorale: 100 quarter notes a minute."""

MAX_SEMITONES = 5
TEMPO_FACTORS = (0.8, 1.25)
VELOCITY_FACTORS = (0.6, 1.2)
"""Ranges of a random arrangement: transposition, speed, and loudness of a part."""

_TICKS_PER_BEAT = 480
_TEMPO_US_PER_BEAT = 500_000
_TICKS_PER_SECOND = _TICKS_PER_BEAT * 1_000_000 // _TEMPO_US_PER_BEAT
_SHORTEST_NOTE_S = 2.0 / _TICKS_PER_SECOND
_SYNTH_GAIN = 0.5
_MELODIC_CHANNELS = tuple(channel for channel in range(16) if channel != DRUM_CHANNEL)
_DRUM_HIT_S = 0.1

# (General MIDI drum key, eighth notes of a 4/4 bar): bass 36, side stick 37, snare 38, clap 39,
# closed and open hat 42 and 46, ride 51, tambourine 54.
_DRUM_PATTERNS: tuple[tuple[tuple[int, tuple[int, ...]], ...], ...] = (
    ((36, (0, 4)), (38, (2, 6)), (42, tuple(range(8)))),
    ((36, (0, 2, 4, 6)), (39, (2, 6)), (46, (1, 3, 5, 7))),
    ((36, (0, 3, 4)), (38, (2, 6)), (51, (0, 2, 4, 6))),
    ((36, (0, 5)), (37, (2, 3, 6)), (54, tuple(range(8)))),
)


@dataclass(frozen=True)
class Note:
    """One note; `part` is its channel, where `DRUM_CHANNEL` means drums."""

    onset_s: float
    duration_s: float
    part: int
    key: int
    velocity: int


def find_soundfont(name: str) -> Path:
    """Path of an installed soundfont by its file name.

    Raises:
        ConfigError: it is in none of `SOUNDFONT_FOLDERS`.
    """
    for folder in SOUNDFONT_FOLDERS:
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(
        f"soundfont {name!r} is in none of {[str(f) for f in SOUNDFONT_FOLDERS]}; on Debian, "
        "install fluid-soundfont-gm, timgm6mb-soundfont and musescore-general-soundfont-small"
    )


def read_midi(path: Path) -> list[Note]:
    """Notes of a MIDI file in seconds, with its tempo map applied; tracks become parts."""
    midi = mido.MidiFile(path)
    notes: list[Note] = []
    sounding: dict[tuple[int, int], tuple[float, int]] = {}
    now_s = 0.0
    for message in midi:
        now_s += message.time
        if message.type not in ("note_on", "note_off"):
            continue
        place = (message.channel, message.note)
        if place in sounding:
            onset_s, velocity = sounding.pop(place)
            notes.append(Note(onset_s, now_s - onset_s, place[0], place[1], velocity))
        if message.type == "note_on" and message.velocity > 0:
            sounding[place] = (now_s, message.velocity)
    return sorted(notes, key=lambda note: note.onset_s)


def chorale_notes(steps: Sequence[Sequence[float]], *, velocity: int = 90) -> list[Note]:
    """Notes of a chorale given as one pitch per voice (or a negative or NaN rest) per sixteenth.

    The format does not tell held from repeated notes: equal neighbours are one held note.
    """
    notes: list[Note] = []
    for voice in range(len(steps[0])):
        pitches = [step[voice] for step in steps]
        start = 0
        for index in range(1, len(pitches) + 1):
            if index < len(pitches) and pitches[index] == pitches[start]:
                continue
            if pitches[start] > 0:  # False for rests, NaN included
                duration_s = (index - start) * CHORALE_STEP_S
                key = int(pitches[start])
                notes.append(Note(start * CHORALE_STEP_S, duration_s, voice, key, velocity))
            start = index
    return sorted(notes, key=lambda note: note.onset_s)


def excerpt(notes: Sequence[Note], start_s: float, duration_s: float) -> list[Note]:
    """Notes that begin inside the span, moved to start at zero and cut at its end."""
    end_s = start_s + duration_s
    return [
        replace(n, onset_s=n.onset_s - start_s, duration_s=min(n.duration_s, end_s - n.onset_s))
        for n in notes
        if start_s <= n.onset_s < end_s
    ]


def _drum_part(duration_s: float, beat_s: float, rng: np.random.Generator) -> list[Note]:
    pattern = _DRUM_PATTERNS[rng.integers(len(_DRUM_PATTERNS))]
    eighth_s = beat_s / 2
    notes = []
    for bar in range(int(duration_s / (8 * eighth_s)) + 1):
        for key, places in pattern:
            for place in places:
                onset_s = (8 * bar + place) * eighth_s
                velocity = int(rng.integers(60, 110))
                notes.append(Note(onset_s, _DRUM_HIT_S, DRUM_CHANNEL, key, velocity))
    return [note for note in notes if note.onset_s < duration_s]


def random_key(rng: np.random.Generator) -> int:
    """A transposition in semitones."""
    return int(rng.integers(-MAX_SEMITONES, MAX_SEMITONES + 1))


def arrange(
    notes: Sequence[Note],
    duration_s: float,
    rng: np.random.Generator,
    *,
    shift: int,
    drum_probability: float,
) -> mido.MidiFile:
    """A random arrangement: programs, loudness and panning of parts, drums; `shift` semitones up.

    Tempo is the excerpt's matter (`random_excerpt`), since it decides how many notes fit.
    """
    parts = sorted({note.part for note in notes if note.part != DRUM_CHANNEL})
    channels = dict(zip(parts, _MELODIC_CHANNELS, strict=False)) | {DRUM_CHANNEL: DRUM_CHANNEL}
    loudness = {part: rng.uniform(*VELOCITY_FACTORS) for part in channels}
    played = list(notes)
    if rng.random() < drum_probability:
        played += _drum_part(duration_s, rng.uniform(0.4, 0.8), rng)

    events: list[tuple[float, mido.Message]] = []
    for part in parts:
        program, pan = int(rng.integers(N_PROGRAMS)), int(rng.integers(24, 104))
        channel = channels[part]
        events.append((0.0, mido.Message("program_change", channel=channel, program=program)))
        events.append((0.0, mido.Message("control_change", channel=channel, control=10, value=pan)))
    for note in played:
        channel = channels[note.part]
        key = note.key if channel == DRUM_CHANNEL else min(max(note.key + shift, 0), 127)
        velocity = min(max(round(note.velocity * loudness[note.part]), 1), 127)
        on = mido.Message("note_on", channel=channel, note=key, velocity=velocity)
        off = mido.Message("note_off", channel=channel, note=key)
        events.append((note.onset_s, on))
        # A note that ended at the tick where it began would be ended before, and sound for ever.
        events.append((note.onset_s + max(note.duration_s, _SHORTEST_NOTE_S), off))
    return _to_midi(events, duration_s)


def _to_midi(events: list[tuple[float, mido.Message]], duration_s: float) -> mido.MidiFile:
    # At equal times a note ends before the next begins, or a repeated key would be cut at once.
    order = {"program_change": 0, "control_change": 1, "note_off": 2, "note_on": 3}
    events.sort(key=lambda event: (event[0], order[event[1].dict()["type"]]))
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=_TEMPO_US_PER_BEAT)])
    now = 0
    for time_s, message in events:
        tick = round(time_s * _TICKS_PER_SECOND)
        track.append(message.copy(time=tick - now))
        now = tick
    end = max(round(duration_s * _TICKS_PER_SECOND), now)
    track.append(mido.MetaMessage("end_of_track", time=end - now))
    return mido.MidiFile(ticks_per_beat=_TICKS_PER_BEAT, tracks=[track])


def random_excerpt(
    notes: Sequence[Note], duration_s: float, rng: np.random.Generator
) -> list[Note]:
    """A random span of the piece at a random tempo, `duration_s` long as it will be played.

    A piece that is too short is played again from its beginning.
    """
    if not notes:
        raise InputError("a piece needs at least one note to be rendered, got none")
    tempo = rng.uniform(*TEMPO_FACTORS)
    first_s = notes[0].onset_s
    length_s = (max(n.onset_s + n.duration_s for n in notes) - first_s) / tempo
    n_repeats = math.ceil(duration_s / length_s)
    played = [
        replace(
            note,
            onset_s=(note.onset_s - first_s) / tempo + repeat * length_s,
            duration_s=note.duration_s / tempo,
        )
        for repeat in range(n_repeats)
        for note in notes
    ]
    return excerpt(played, rng.uniform(0.0, n_repeats * length_s - duration_s), duration_s)


def render(midi: mido.MidiFile, soundfont: Path, *, sample_rate: int, n_samples: int) -> np.ndarray:
    """Play a MIDI file to float32 `(channel, time)` of exactly `n_samples`.

    The level is the synthesiser's own and may exceed full scale; the caller scales it.

    Raises:
        InputError: FluidSynth is missing or fails, or the file is no soundfont.
    """
    with soundfont.open("rb") as file:
        header = file.read(12)
    # Given a file that it cannot read, FluidSynth falls back on another soundfont or on silence.
    if header[:4] != b"RIFF" or header[8:] != b"sfbk":
        raise InputError(f"{soundfont} is no soundfont: it does not begin as a RIFF sfbk file")
    with tempfile.TemporaryDirectory() as folder:
        score, audio = Path(folder) / "score.mid", Path(folder) / "audio.wav"
        midi.save(score)
        command = ["fluidsynth", "-niq", "-F", str(audio), "-T", "wav", "-O", "float"]
        # Only the samples of the programs in use: a compressed soundfont takes seconds to unpack.
        command += ["-o", "synth.dynamic-sample-loading=1"]
        command += ["-r", str(sample_rate), "-g", str(_SYNTH_GAIN), str(soundfont), str(score)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
            waveform, rate = soundfile.read(audio, dtype="float32", always_2d=True)
        except (OSError, subprocess.CalledProcessError, soundfile.LibsndfileError) as error:
            said = getattr(error, "stderr", "") or error
            raise InputError(f"FluidSynth could not render with {soundfont}: {said}") from error
    if rate != sample_rate:
        raise InputError(f"FluidSynth wrote {rate} Hz where {sample_rate} Hz was asked for")
    waveform = waveform.T[:, :n_samples]
    return np.pad(waveform, ((0, 0), (0, n_samples - waveform.shape[1])))
