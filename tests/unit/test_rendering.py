"""Rendering of symbolic music: what is played, and that a seed names it."""

import math
import shutil
from pathlib import Path

import mido
import numpy as np
import pytest

from benchmarks import rendering
from benchmarks.rendering import Note
from pamt_metric.errors import ConfigError, InputError

SAMPLE_RATE = 48000
SOUNDFONT = "TimGM6mb.sf2"

needs_fluidsynth = pytest.mark.skipif(
    shutil.which("fluidsynth") is None
    or not any((folder / SOUNDFONT).is_file() for folder in rendering.SOUNDFONT_FOLDERS),
    reason="FluidSynth or its soundfont is not installed",
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def midi_path(tmp_path: Path) -> Path:
    """Eight quarter notes at 120 beats a minute: 4 s."""
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000)])
    for key in (60, 62, 64, 65, 67, 69, 71, 72):
        track.append(mido.Message("note_on", note=key, velocity=80))
        track.append(mido.Message("note_off", note=key, time=480))
    path = tmp_path / "scale.mid"
    mido.MidiFile(ticks_per_beat=480, tracks=[track]).save(path)
    return path


def test_read_midi_applies_the_tempo_map(midi_path: Path) -> None:
    notes = rendering.read_midi(midi_path)
    assert [note.key for note in notes] == [60, 62, 64, 65, 67, 69, 71, 72]
    assert [note.onset_s for note in notes] == pytest.approx([0.5 * i for i in range(8)])
    assert [note.duration_s for note in notes] == pytest.approx([0.5] * 8)


def test_chorale_joins_equal_neighbours_and_skips_rests() -> None:
    notes = rendering.chorale_notes([[60, math.nan], [60, 48], [62, 48], [-1, 48]])
    step = rendering.CHORALE_STEP_S
    found = {(n.part, n.key, round(n.onset_s / step), round(n.duration_s / step)) for n in notes}
    assert found == {(0, 60, 0, 2), (0, 62, 2, 1), (1, 48, 1, 3)}


def test_excerpt_moves_and_cuts_notes() -> None:
    notes = [Note(0.0, 1.0, 0, 60, 80), Note(2.0, 5.0, 0, 62, 80), Note(9.0, 1.0, 0, 64, 80)]
    assert rendering.excerpt(notes, 1.5, 3.0) == [Note(0.5, 2.5, 0, 62, 80)]


def test_short_piece_repeats_until_the_excerpt_is_full(rng: np.random.Generator) -> None:
    piece = [Note(0.0, 1.0, 0, 60, 80), Note(1.0, 1.0, 0, 62, 80)]
    notes = rendering.random_excerpt(piece, 20.0, rng)
    slowest_s = 1.0 / rendering.TEMPO_FACTORS[0]
    assert len(notes) >= 20.0 / slowest_s - 2
    assert max(note.onset_s + note.duration_s for note in notes) > 20.0 - 2 * slowest_s


def test_empty_piece_is_an_error(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="at least one note"):
        rendering.random_excerpt([], 10.0, rng)


def test_arrangement_keeps_drums_apart(rng: np.random.Generator) -> None:
    notes = [Note(0.0, 1.0, 0, 60, 80), Note(0.0, 0.1, rendering.DRUM_CHANNEL, 36, 80)]
    midi = rendering.arrange(notes, 1.0, rng, shift=0, drum_probability=0.0)
    played = [(m.channel, m.note) for m in midi.tracks[0] if m.type == "note_on"]
    assert (rendering.DRUM_CHANNEL, 36) in played
    melodic = [note for channel, note in played if channel != rendering.DRUM_CHANNEL]
    assert len(melodic) == 1
    assert abs(melodic[0] - 60) <= rendering.MAX_SEMITONES
    assert midi.length == pytest.approx(1.0, abs=0.002)  # one tick is 1/960 s


def test_unknown_soundfont_names_the_packages() -> None:
    with pytest.raises(ConfigError, match="fluid-soundfont-gm"):
        rendering.find_soundfont("no-such.sf2")


@needs_fluidsynth
def test_excerpt_renders_to_the_right_length_and_repeats(midi_path: Path) -> None:
    n_samples = 3 * SAMPLE_RATE

    def play() -> np.ndarray:
        rng = np.random.default_rng(5)
        notes = rendering.random_excerpt(rendering.read_midi(midi_path), 3.0, rng)
        midi = rendering.arrange(notes, 3.0, rng, shift=0, drum_probability=1.0)
        soundfont = rendering.find_soundfont(SOUNDFONT)
        return rendering.render(midi, soundfont, sample_rate=SAMPLE_RATE, n_samples=n_samples)

    waveform = play()
    assert waveform.shape == (2, n_samples)
    assert np.abs(waveform).max() > 0.01
    np.testing.assert_array_equal(waveform, play())


def test_unreadable_soundfont_is_an_error(tmp_path: Path, rng: np.random.Generator) -> None:
    broken = tmp_path / "broken.sf2"
    broken.write_bytes(b"no soundfont")
    midi = rendering.arrange([Note(0.0, 0.1, 0, 60, 80)], 0.1, rng, shift=0, drum_probability=0.0)
    with pytest.raises(InputError, match=r"broken\.sf2 is no soundfont"):
        rendering.render(midi, broken, sample_rate=SAMPLE_RATE, n_samples=4800)


def test_a_note_too_short_for_a_tick_still_ends(rng):
    notes = [Note(0.9999, 1e-5, 0, 60, 80)]
    midi = rendering.arrange(notes, 1.0, rng, shift=0, drum_probability=0.0)
    played = [message.type for message in midi.tracks[0] if message.type.startswith("note")]
    assert played == ["note_on", "note_off"]
