"""Who is on which side of a split, and what becomes of files that cannot be read."""

import logging

import numpy as np
import pytest
import soundfile

from benchmarks.robustness import clips, tasks
from benchmarks.robustness.clips import Item, Task
from pamt_metric.errors import InputError

RATE = 48_000


def _tone(hz: float, duration_s: float = 1.0) -> np.ndarray:
    return 0.3 * np.sin(2.0 * np.pi * hz * np.arange(int(duration_s * RATE)) / RATE)


@pytest.fixture
def task() -> Task:
    items = [
        Item(f"{label}{group}/{version}", f"{label}{group}", label, version, lambda: _tone(440.0))
        for label in "abc"
        for group in range(10)
        for version in range(3)
    ]
    return Task("genres", "classification", tuple(items), "test")


def test_no_group_crosses_a_split_and_no_class_is_missing(task):
    tested = []
    for seed in range(5):
        split = clips.split(task, seed, n_folds=5)
        sides = [split.train, split.validation, split.test]
        groups = [{task.items[i].group for i in side} for side in sides]
        assert not groups[0] & groups[1]
        assert not groups[0] & groups[2]
        assert not groups[1] & groups[2]
        assert all({task.items[i].label for i in side} == set("abc") for side in sides)
        assert sum(map(len, sides)) == len(task.items)
        tested += list(split.test)
    assert sorted(tested) == list(range(len(task.items)))


def _write(path, sound=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, _tone(300.0) if sound is None else sound, RATE)


def test_song_folders_need_two_versions(tmp_path):
    for name in ("W_1/P_1.wav", "W_1/P_2.wav", "W_2/P_3.wav", "W_3/P_4.wav", "W_3/P_5.wav"):
        _write(tmp_path / name)
    task = tasks.make("da-tacos", tmp_path, duration_s=0.5, limit=None)
    assert [item.name for item in task.items] == [
        "W_1/P_1.wav",
        "W_1/P_2.wav",
        "W_3/P_4.wav",
        "W_3/P_5.wav",
    ]
    assert [item.version for item in task.items] == [0, 1, 0, 1]
    assert task.kind == "retrieval"


def test_covers80_lies_in_its_archives_folder(tmp_path):
    for artist in ("steve_miller_band+a", "sugar_ray+b"):
        _write(tmp_path / "covers32k/Abracadabra" / f"{artist}.wav")
    task = tasks.make("covers80", tmp_path, duration_s=0.5, limit=None)
    assert {item.group for item in task.items} == {"Abracadabra"}


def test_gtzan_names_its_genres(tmp_path):
    for name in ("blues/blues.00000.wav", "rock/rock.00001.wav", "rock/notes.wav"):
        _write(tmp_path / "genres" / name)
    task = tasks.make("gtzan", tmp_path, duration_s=0.5, limit=None)
    assert [item.label for item in task.items] == ["blues", "rock"]


def test_fma_takes_its_genres_from_the_metadata(tmp_path):
    for name in ("000/000002.mp3", "000/000005.mp3", "001/001039.mp3"):
        _write(tmp_path / "fma_small" / name)
    with pytest.raises(InputError, match="fma_metadata"):
        tasks.make("fma", tmp_path, duration_s=0.5, limit=None)
    table = tmp_path / "fma_metadata/tracks.csv"
    table.parent.mkdir()
    table.write_text(",track,track\n,title,genre_top\ntrack_id,,\n2,x,Hip-Hop\n5,y,\n1039,z,Rock\n")
    task = tasks.make("fma", tmp_path, duration_s=0.5, limit=None)
    assert [(item.name, item.label) for item in task.items] == [
        ("fma_small/000/000002.mp3", "Hip-Hop"),
        ("fma_small/001/001039.mp3", "Rock"),
    ]


def test_one_genre_alone_is_no_task(tmp_path):
    _write(tmp_path / "genres/blues/blues.00000.wav")
    with pytest.raises(InputError, match="only the genre 'blues'"):
        tasks.make("gtzan", tmp_path, duration_s=0.5, limit=None)


def test_an_unknown_task_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="unknown task 'cover'"):
        tasks.make("cover", tmp_path, duration_s=0.5, limit=None)
    with pytest.raises(InputError, match="no clips for covers80"):
        tasks.make("covers80", tmp_path, duration_s=0.5, limit=None)


def test_a_file_that_cannot_be_read_costs_its_own_row_alone(tmp_path, caplog):
    for name in ("s/1.wav", "s/2.wav"):
        _write(tmp_path / name)
    _write(tmp_path / "s/3.wav", np.zeros(RATE))
    (tmp_path / "s/4.wav").write_bytes(b"no audio at all")
    task = tasks.make("shs100k", tmp_path, duration_s=0.5, limit=None)
    with caplog.at_level(logging.WARNING):
        kept, store = clips.waveforms(task, duration_s=0.5, folder=tmp_path / "work")
    assert [item.name for item in kept.items] == ["s/1.wav", "s/2.wav"]
    assert store.shape == (2, RATE // 2)
    assert "s/3.wav is left out: it is silent" in caplog.text
    assert "s/4.wav is left out" in caplog.text
    sound = clips.tensor(store, [1])
    assert float(sound.abs().max()) == pytest.approx(clips.PEAK, abs=1e-4)
    again, _ = clips.waveforms(task, duration_s=0.5, folder=tmp_path / "work")
    assert again.items == kept.items
