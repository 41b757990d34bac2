"""`pamt search`: what it finds, its caches and its index, and what it says of bad input."""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest

import pamt_metric
from pamt_metric.batch.search import nearest
from pamt_metric.batch.vector_index import FROM_FILES, VectorIndex
from tests.support import clips, shell, signals
from tests.support.shell import assert_one_error

FILES = clips.FILES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return clips.write(tmp_path_factory.mktemp("search"))


class TestSearch:
    def test_lists_the_nearest_by_distance(self, pamt, folder, tmp_path):
        done = pamt(
            "search",
            "a.wav",
            ".",
            "--top",
            "2",
            "--candidates",
            "2",
            "--cache",
            str(tmp_path),
            "--json",
        )
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


class TestIndex:
    @pytest.fixture
    def sounds(self, folder, tmp_path):
        path = tmp_path / "sounds"
        path.mkdir()
        for name in FILES:
            shutil.copy(folder / name, path)
        return path

    @pytest.fixture
    def found(self, pamt, sounds, tmp_path):
        """Searches for what is like a.wav, by index unless told otherwise; gives the hits."""

        def search(*options):
            options = options or ("--approximate",)
            arguments = ("search", "a.wav", sounds, "--cache", tmp_path / "cache", "--json")
            done = pamt(*arguments, *options)
            assert (done.returncode, done.stderr) == (0, "")
            hits = json.loads(done.stdout)["hits"]
            return {hit["file"].rpartition("/")[2]: hit for hit in hits}

        return search

    @pytest.fixture
    def index(self, tmp_path):
        return lambda: next((tmp_path / "cache").rglob("*.index"))

    def test_finds_what_is_found_without_and_is_kept(self, found, index):
        by_index, without = found(), found("--no-approximate")
        assert set(by_index) == set(without) == set(FILES)
        for name, hit in by_index.items():
            assert hit["distance"] == without[name]["distance"]
            # the same vectors, another order of sums
            apart = without[name]["embedding_distance"]
            assert hit["embedding_distance"] == pytest.approx(apart, abs=1e-4)
        stamp = index().stat().st_mtime_ns
        assert found() == by_index
        assert index().stat().st_mtime_ns == stamp

    def test_serves_every_query_of_its_folder(self, pamt, sounds, index, tmp_path):
        stamps = []
        for name in FILES:
            arguments = ("search", sounds / name, sounds, "--cache", tmp_path / "cache")
            done = pamt(*arguments, "--approximate", "--top", "3")
            assert done.returncode == 0
            listed = {line.rpartition("/")[2] for line in done.stdout.splitlines()[1:]}
            assert listed == {*FILES} - {name}
            stamps.append(index().stat().st_mtime_ns)
        assert len(set(stamps)) == 1

    def test_takes_up_what_is_new_and_drops_what_went(self, found, sounds):
        before = found()
        signals.write(sounds / "new.wav", signals.piece(0.5, seed=7, sample_rate=24_000))
        shutil.copy(sounds / "wide.wav", sounds / "twice.wav")
        more = found()
        assert set(more) == {*FILES, "new.wav", "twice.wav"}
        assert more["twice.wav"]["distance"] == more["wide.wav"]["distance"]
        (sounds / "new.wav").unlink()
        (sounds / "twice.wav").rename(sounds / "moved.wav")
        assert found() == before | {
            "moved.wav": more["twice.wav"] | {"file": f"{sounds}/moved.wav"}
        }

    def test_hears_that_a_file_changed_behind_its_old_date(self, found, sounds):
        before = found()
        path = sounds / "noisy.wav"
        old = path.stat()
        content = path.read_bytes()
        path.write_bytes(content[:-4000] + bytes(4000))
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
        assert path.stat().st_size == old.st_size
        after = found()
        assert after["noisy.wav"]["distance"] != before["noisy.wav"]["distance"]
        assert after["noisy.wav"]["embedding_distance"] != before["noisy.wav"]["embedding_distance"]
        assert after["long.wav"] == before["long.wav"]

    @pytest.mark.parametrize("damage", [b"", b"text", slice(0, -9), "flip"])
    def test_that_is_damaged_is_made_anew(self, found, index, damage):
        before = found()
        content = index().read_bytes()
        if isinstance(damage, slice):
            index().write_bytes(content[damage])
        elif damage == "flip":
            index().write_bytes(content[:-9] + bytes([content[-9] ^ 255]) + content[-8:])
        else:
            index().write_bytes(damage)
        assert found() == before
        mended = index().read_bytes()
        assert hashlib.sha256(mended[32:]).digest() == mended[:32]

    def test_is_used_unasked_in_a_large_folder(self, pamt, folder, tmp_path):
        large, cache = tmp_path / "large", tmp_path / "cache"
        large.mkdir()
        for n in range(FROM_FILES):
            os.link(folder / FILES[n % 2], large / f"{n}.wav")
        arguments = ("search", "long.wav", large, "--cache", cache, "--top", "1")
        done = pamt(*arguments, "--candidates", "1")
        assert (done.returncode, done.stderr) == (0, "")
        assert list(cache.rglob("*.index"))
        (large / "0.wav").unlink()
        shutil.rmtree(cache)
        assert pamt(*arguments, "--candidates", "1").returncode == 0
        assert not list(cache.rglob("*.index"))

    def test_recalls_what_an_exact_search_finds(self, tmp_path):
        generator = np.random.default_rng(0)
        centres = generator.standard_normal((100, 125))
        embeddings = centres[generator.integers(0, 100, 3000)]
        embeddings = (embeddings + 0.3 * generator.standard_normal((3000, 125))).astype("float32")
        contents = [f"{n:016x}" for n in generator.permutation(3000)]
        VectorIndex(tmp_path / "x.index", contents).add(contents, embeddings)
        index = VectorIndex(tmp_path / "x.index", contents)
        assert not index.lacking
        shared = 0
        for query in embeddings[:50] + np.float32(0.1):
            exact = nearest(query, embeddings, top=10)
            shared += len(dict(exact).keys() & dict(index.nearest(query, contents, top=10)).keys())
        assert shared >= 0.95 * 500  # 0.998 when measured


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("no.wav", "."), ("no.wav", "No such file")),
        (("text.wav", "."), ("text.wav",)),
        (("a.wav", "no"), ("no is not a folder",)),
        (("a.wav", ".", "--top", "0"), ("--top",)),
        (("a.wav", ".", "--candidates", "0"), ("--candidates",)),
        (("a.wav", ".", "--exact", "--approximate"), ("no --approximate",)),
        (("a.wav", ".", "--cache", "a.wav"), ("cannot write the cache a.wav",)),
        (("a.wav", ".", "--device", "tpu"), ("'auto', 'cpu', 'cuda', 'mps'",)),
    ],
)
def test_bad_input_is_one_error(pamt, arguments, words, tmp_path):
    cache = () if "--cache" in arguments else ("--cache", tmp_path)
    assert_one_error(pamt("search", *arguments, *cache), *words)


def test_a_folder_without_sound_is_an_error(pamt, tmp_path):
    assert_one_error(pamt("search", "a.wav", tmp_path), "no sound file")


def test_an_index_without_usearch_says_what_to_install(folder, tmp_path):
    arguments = ("search", "a.wav", ".", "--approximate", "--cache", tmp_path)
    done = shell.run(folder, *arguments, without="usearch")
    assert_one_error(done, "pip install 'pamt-metric[search]'")
