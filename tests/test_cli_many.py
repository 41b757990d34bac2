"""`pamt matrix` and `pamt search`: values, caches, and what they say of bad input."""

import csv
import itertools
import json
import shutil

import numpy as np
import pytest
import torch

import pamt_metric
from tests.support import shell, signals
from tests.support.shell import assert_one_error

RATE = 24_000
FILES = ("a.wav", "noisy.wav", "long.wav", "wide.wav")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips of several lengths, one in stereo, and something that is no audio."""
    path = tmp_path_factory.mktemp("many")
    piece = signals.piece(0.4, seed=1, sample_rate=RATE)
    noisy = signals.with_noise(piece, 10.0)
    long = signals.piece(0.7, seed=2, sample_rate=RATE)
    wide = torch.stack([long, 0.5 * long])
    for name, sound in zip(FILES, (piece, noisy, long, wide), strict=True):
        signals.write(path / name, sound, sample_rate=RATE)
    (path / "text.wav").write_text("not a sound")
    return path


class TestMatrix:
    def test_holds_the_distance_of_each_pair_as_it_is(self, pamt, folder):
        done = pamt("matrix", *FILES, "-o", "out.npz")
        assert (done.returncode, done.stderr) == (0, "")
        with np.load(folder / "out.npz") as stored:
            assert stored["files"].tolist() == list(FILES)
            assert str(stored["model"]).startswith("pamt-mini ")
            found = stored["distances"]
        metric = pamt_metric.load()
        assert (found == found.T).all()
        assert (found.diagonal() == 0.0).all()
        for (i, a), (j, b) in itertools.combinations(enumerate(FILES), 2):
            expected = metric.distance(folder / a, folder / b, align="none")
            # Single precision, and another order of sums where a pair is padded.
            assert found[i, j] == pytest.approx(expected, abs=1e-4)
        assert found[0, 1] > 0.1

    def test_csv_and_plot_leave_out_a_bad_file_and_say_so(self, pamt, folder):
        pytest.importorskip("matplotlib")
        files = ("a.wav", "text.wav", "noisy.wav", "long.wav")
        done = pamt("matrix", *files, "-o", "out.csv", "--plot", "map.png")
        assert_one_error(done, "text.wav")
        with (folder / "out.csv").open(newline="") as stream:
            header, *rows = csv.reader(stream)
        assert header == ["file", "a.wav", "noisy.wav", "long.wav"]
        assert [row[0] for row in rows] == header[1:]
        assert float(rows[0][2]) == float(rows[1][1]) > 0.1
        assert (folder / "map.png").read_bytes().startswith(b"\x89PNG")

    def test_plot_without_matplotlib_says_what_to_install(self, folder):
        arguments = ("matrix", *FILES, "-o", "x.csv", "--plot", "x.png")
        done = shell.run(folder, *arguments, without="matplotlib")
        assert_one_error(done, "pip install 'pamt-metric[plot]'")


class TestSearch:
    def test_lists_the_nearest_by_distance(self, pamt, folder, tmp_path):
        done = pamt("search", "a.wav", ".", "--top", "2", "--cache", str(tmp_path), "--json")
        assert_one_error(done, "text.wav")
        hits = json.loads(done.stdout)["hits"]
        embeddings = {name: pamt_metric.embed(folder / name) for name in FILES}
        apart = {name: (x - embeddings["a.wav"]).norm().item() for name, x in embeddings.items()}
        nearest = sorted(FILES[1:], key=apart.__getitem__)[:2]
        assert {hit["file"] for hit in hits} == set(nearest)
        for hit in hits:
            expected = pamt_metric.distance(folder / "a.wav", folder / hit["file"])
            assert hit["distance"] == pytest.approx(expected, abs=1e-4)
            # single precision, as above
            assert hit["embedding_distance"] == pytest.approx(apart[hit["file"]], abs=1e-4)
        assert hits[0]["distance"] <= hits[1]["distance"]

    def test_exact_finds_the_nearest_by_distance(self, pamt, folder, tmp_path):
        arguments = ("--top", "1", "--exact", "--cache", str(tmp_path), "--json")
        (hit,) = json.loads(pamt("search", "long.wav", ".", *arguments).stdout)["hits"]
        others = [name for name in FILES if name != "long.wav"]
        distances = [pamt_metric.distance(folder / "long.wav", folder / x) for x in others]
        assert hit["file"] == others[distances.index(min(distances))]

    def test_takes_what_the_cache_holds_by_content(self, pamt, folder, tmp_path):
        sounds, cache = tmp_path / "sounds", tmp_path / "cache"
        sounds.mkdir()
        shutil.copy(folder / "noisy.wav", sounds / "one.wav")
        arguments = ("search", "a.wav", str(sounds), "--cache", str(cache), "--json")
        (before,) = json.loads(pamt(*arguments).stdout)["hits"]
        entries = sorted(cache.rglob("*.npy"))
        assert len(entries) == 2  # the query's and the other's
        (sounds / "one.wav").rename(sounds / "two.wav")
        stamps = [entry.stat().st_mtime_ns for entry in entries]
        (after,) = json.loads(pamt(*arguments).stdout)["hits"]
        assert after == {**before, "file": str(sounds / "two.wav")}
        assert [entry.stat().st_mtime_ns for entry in sorted(cache.rglob("*.npy"))] == stamps
        for entry in entries:  # what is in the cache is what is used ...
            np.save(entry, np.zeros_like(np.load(entry)))
        (forged,) = json.loads(pamt(*arguments).stdout)["hits"]
        assert forged["embedding_distance"] == 0.0
        for entry in entries:  # ... unless it is damaged
            entry.write_bytes(b"\x93NUMPY")
        (mended,) = json.loads(pamt(*arguments).stdout)["hits"]
        assert mended["embedding_distance"] == before["embedding_distance"]

    def test_table(self, pamt, tmp_path):
        done = pamt("search", "a.wav", ".", "--top", "1", "--cache", str(tmp_path))
        header, row = done.stdout.splitlines()
        assert header.split() == ["distance", "embedding", "file"]
        assert row.split()[-1] in FILES[1:]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("matrix", "a.wav", "noisy.wav", "-o", "out.txt"), (".csv or .npz", "out.txt")),
        (("matrix", "a.wav", "noisy.wav", "-o", "no/out.csv"), ("no folder no",)),
        (("matrix", "a.wav", "-o", "out.csv"), ("need two clips, got 1",)),
        (("matrix", "a.wav", "text.wav", "-o", "out.csv"), ("got 1", "text.wav")),
        (("matrix", "a.wav", "noisy.wav", "-o", "o.csv", "--plot", "m.bmp"), (".png", "m.bmp")),
        (("matrix", "a.wav", "noisy.wav"), ("-o",)),
        (("search", "no.wav", "."), ("no.wav", "No such file")),
        (("search", "text.wav", "."), ("text.wav",)),
        (("search", "a.wav", "no"), ("no is not a folder",)),
        (("search", "a.wav", ".", "--top", "0"), ("--top",)),
        (("search", "a.wav", ".", "--cache", "a.wav"), ("cannot write the cache a.wav",)),
    ],
)
def test_bad_input_is_one_error(pamt, arguments, words, tmp_path):
    cache = ("--cache", str(tmp_path)) if arguments[0] == "search" else ()
    if "--cache" in arguments:
        cache = ()
    assert_one_error(pamt(*arguments, *cache), *words)


def test_a_folder_without_sound_is_an_error(pamt, tmp_path):
    assert_one_error(pamt("search", "a.wav", str(tmp_path)), "no sound file")
