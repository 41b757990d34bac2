"""Corpora by their folder layouts, defective files, shards, and streams that a step names."""

import csv
import sys

import numpy as np
import pytest
import soundfile

from pamt_metric.errors import ConfigError, InputError
from training import __main__ as stages
from training.data import public_corpora, shards
from training.data.streams import FolderStream, MixedStream, ShardStream
from training.pretrain_config import StreamConfig

RATE = 24_000
LAYOUTS = {
    "folder": ("a/b.flac", "c.WAV"),
    "fma": ("fma_small/000/000002.mp3", "fma_small/123/123456.mp3"),
    "jamendo": ("raw_30s/14/1009614.mp3", "raw_30s/02/1202.low.mp3", "raw_30s/48/948.mp3"),
    "gtzan": ("genres/blues/blues.00000.wav", "genres/jazz/jazz.00054.wav"),
    "musicnet": ("musicnet/train_data/1727.wav",),
}
STRANGERS = {
    "folder": ("notes.txt",),
    "fma": ("fma_small/000/123456.mp3", "000/000002.txt"),
    "jamendo": ("raw_30s/14/1009615.mp3",),
    "gtzan": ("genres/blues/jazz.00000.wav",),
    "musicnet": ("musicnet/test_data/1759.wav", "musicnet/train_labels/1727.csv"),
}


def write(path, *, seconds=1.0, frequency=440.0, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * rate)) / rate
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * frequency * time), rate)


@pytest.fixture
def folder(tmp_path):
    """Eight tones of different pitch, one file that is none, one too short, one silent."""
    for number in range(8):
        write(tmp_path / f"{number}.flac", frequency=200.0 + 100 * number)
    (tmp_path / "broken.flac").write_bytes(b"fLaC no more")
    write(tmp_path / "short.flac", seconds=0.1)
    write(tmp_path / "silent.flac", frequency=0.0)
    return tmp_path


def pitch(waveform):
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return round(spectrum.argmax() * RATE / len(waveform) / 100) * 100


@pytest.mark.parametrize("kind", LAYOUTS)
def test_layouts(tmp_path, kind):
    for name in (*LAYOUTS[kind], *STRANGERS[kind]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = public_corpora.recordings(kind, tmp_path)
    assert [recording.name for recording in found] == sorted(LAYOUTS[kind])
    assert all(recording.path.is_file() for recording in found)


def test_what_is_no_corpus_is_said(tmp_path):
    with pytest.raises(ConfigError, match="no corpus layout 'fam'; there are folder, fma"):
        public_corpora.recordings("fam", tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        public_corpora.recordings("fma", tmp_path / "nowhere")
    (tmp_path / "000002.mp3").touch()
    with pytest.raises(ConfigError, match="lies as those of fma do"):
        public_corpora.recordings("fma", tmp_path)
    with pytest.raises(ConfigError, match="KIND:PATH"):
        public_corpora.split_spec("/data/fma", tmp_path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "cannot be decoded"),
        ("short", "is 0.1 s long, and 0.5 s"),
        ("silent", "is silent"),
    ],
)
def test_defects_have_a_reason(folder, name, reason):
    with pytest.raises(InputError, match=reason):
        public_corpora.read_part(folder / f"{name}.flac", RATE, RATE // 2, 0.5)


def test_a_part_is_read_at_its_place_and_rate(tmp_path):
    rate = 44_100
    ramp = np.linspace(0.0, 0.9, 2 * rate)
    soundfile.write(tmp_path / "ramp.wav", ramp, rate, subtype="FLOAT")
    for position, start_s in ((0.0, 0.0), (0.5, 0.75), (1.0, 1.5)):
        part = public_corpora.read_part(tmp_path / "ramp.wav", RATE, RATE // 2, position)
        assert part.shape == (RATE // 2,)
        middle = 0.45 * (start_s + 0.25)
        assert part[RATE // 4] == pytest.approx(middle, abs=1e-3)  # a sample either way is 1e-5


def folder_stream(folder, seed=0):
    found = public_corpora.recordings("folder", folder)
    return FolderStream(found, seed, batch_size=2, aside_share=0.0)


def test_an_epoch_of_a_folder_takes_every_readable_file(folder):
    stream = folder_stream(folder)
    places = [divmod(number, 2)[::-1] for number in range(11)]
    windows = {place: stream.window(*place, RATE // 2) for place in places}
    assert {pitch(w) for w in windows.values()} == {200 + 100 * n for n in range(8)}
    assert {n: r.split(" (")[0] for n, r in stream.skipped.items()} == {
        "broken.flac": "cannot be decoded",
        "short.flac": "is 0.1 s long, and 0.5 s are needed",
        "silent.flac": "is silent",
    }
    again, other = folder_stream(folder), folder_stream(folder, seed=1)
    # In any order, as after a resumption or in another process.
    for place in reversed(places):
        np.testing.assert_array_equal(again.window(*place, RATE // 2), windows[place])
    assert any(not np.array_equal(other.window(*p, RATE // 2), windows[p]) for p in places)


def test_a_corpus_of_defects_is_an_error(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.mp3").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no recording of the corpus can be read"):
        folder_stream(tmp_path).window(0, 0, RATE)


@pytest.fixture
def written(folder, monkeypatch, tmp_path_factory):
    """Shards of the folder, by the command."""
    output = tmp_path_factory.mktemp("shards")
    arguments = ["--corpus", f"folder:{folder}", "--output", output, "--shard-mb", "0.04"]
    arguments += ["--held-aside-share", "0.4"]
    monkeypatch.setattr(sys, "argv", ["training", "shards", *map(str, arguments)])
    stages.main()
    return output


def test_shards_hold_all_but_the_defects(folder, written):
    index = shards.read_index(written)
    assert len(index["train"]) > 1
    names = [
        {name for shard in index[side] for name, _ in shards.read_shard(written / shard)}
        for side in ("train", "aside")
    ]
    assert not names[0] & names[1]
    assert names[0] | names[1] == {f"{n}.flac" for n in range(8)} | {"short.flac"}
    assert sum(index["train"].values()) == len(names[0])
    lines = (written / shards.SKIPPED_FILE).read_text().splitlines()
    rows = list(csv.DictReader(lines))
    assert [row["name"] for row in sorted(rows, key=lambda row: row["name"])] == [
        "broken.flac",
        "silent.flac",
    ]


def test_a_pass_over_shards_takes_every_recording(written):
    count = sum(shards.read_index(written)["train"].values())
    stream = ShardStream(written, seed=0)
    windows = [stream.window(1, step, RATE // 20) for step in range(2 * count)]
    for epoch in (windows[:count], windows[count:]):
        assert len({pitch(w) for w in epoch}) >= count - 1  # the short one is one of them
    again = ShardStream(written, seed=0)
    np.testing.assert_array_equal(again.window(1, count + 1, RATE // 20), windows[count + 1])


def test_shards_are_not_written_twice_nor_read_half_written(folder, written, monkeypatch):
    with pytest.raises(ConfigError, match="holds shards already"):
        shards.write_shards([], [], written, shard_mb=1.0)
    (written / shards.INDEX_FILE).unlink()
    with pytest.raises(ConfigError, match=r"no index.json in .* python -m training shards"):
        ShardStream(written, seed=0)


def test_corpora_are_mixed_and_some_files_held_aside(folder, written):
    config = StreamConfig(1.0, (f"folder:{folder}", f"shards:{written}"), held_aside_share=0.4)
    stream = MixedStream(config, folder, seed=0, batch_size=2)
    aside = {pitch(w) for w in stream.validation(20, RATE // 2)}
    trained = {pitch(stream.window(s, step, RATE // 2)) for step in range(20) for s in (0, 1)}
    assert aside
    # Both corpora hold the same files, and names decide in both.
    assert not aside & trained
