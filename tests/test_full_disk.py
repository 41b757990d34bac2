"""A disk without room, a cache that may not be written, a run that is interrupted."""

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from pamt_metric.batch.contents import Contents, remembered
from pamt_metric.batch.embedding_cache import EmbeddingCache
from pamt_metric.batch.vector_index import VectorIndex
from pamt_metric.errors import InputError
from tests.support import shell, signals
from tests.support.hub_server import HubServer
from tests.support.limits import files_of_at_most, without_privilege
from tests.support.shell import assert_one_error

RATE = 24_000
N_PAIRS = 40
LIMITED = (
    "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, -1)); " + shell.COMMAND[-1]
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux' limits and devices")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("full")
    for index in range(2):
        piece = signals.piece(0.3, seed=index, sample_rate=RATE)
        signals.write(path / f"{index}.wav", piece, sample_rate=RATE)
    rows = [(n, "0.wav", "1.wav") for n in range(N_PAIRS)]
    with (path / "pairs.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("n", "reference", "test"), *rows])
    return path


def score(output):
    return ("score", "--manifest", "pairs.csv", "-o", str(output), "--batch-size", "1", "--resume")


def assert_goes_on(pamt, output):
    """What was begun is ended: each pair once, and those that were done are not done again."""
    part = Path(f"{output}.part")
    before = [json.loads(line) for line in part.read_text().splitlines() if line.endswith("}")]
    assert 0 < len(before) < N_PAIRS
    done = pamt(*score(output))
    assert (done.returncode, done.stderr) == (0, "")
    with output.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["n"] for row in rows] == [str(n) for n in range(N_PAIRS)]
    assert {row["status"] for row in rows} == {"ok"}
    found = [float(row["distance"]) for row in rows]
    assert found[: len(before)] == [row["distance"] for row in before]
    assert not part.exists()


class TestRun:
    @pytest.mark.slow
    def test_without_room_keeps_what_is_done(self, pamt, folder, tmp_path):
        output = tmp_path / "out.csv"
        done = subprocess.run(
            [sys.executable, "-B", "-c", LIMITED.format(2000), *score(output)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert_one_error(done, f"cannot write {output}.part", "File too large")
        assert_goes_on(pamt, output)

    def test_interrupted_keeps_what_is_done(self, pamt, folder, tmp_path):
        output, part = tmp_path / "out.csv", tmp_path / "out.csv.part"
        with subprocess.Popen(
            # A background job of a shell ignores the interrupt unless told.
            [sys.executable, "-c", "import signal; signal.signal(signal.SIGINT, "
             "signal.default_int_handler); " + shell.COMMAND[-1], *score(output)],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:  # fmt: skip
            while not part.exists() or part.read_bytes().count(b"\n") < 2:
                assert process.poll() is None
                time.sleep(0.005)
            process.send_signal(signal.SIGINT)
            told = process.communicate()[1]
        assert (process.returncode, told) == (130, "pamt: interrupted\n")
        assert_goes_on(pamt, output)


@pytest.mark.parametrize(
    ("arguments", "device"),
    [
        (("embed", "0.wav", "-o", "{}.npz"), "{}.npz"),
        (("matrix", "0.wav", "1.wav", "-o", "{}.npz"), "{}.npz"),
        (("matrix", "0.wav", "1.wav", "-o", "{}.csv"), "{}.csv.tmp"),
        (("score", "0.wav", "1.wav", "-o", "{}.csv"), "{}.csv.tmp"),
        (("plot", "0.wav", "1.wav", "-o", "{}.png"), "{}.png"),
    ],
)
def test_an_output_on_a_full_disk_is_one_error(pamt, tmp_path, arguments, device):
    """`/dev/full` under the name that the command writes to."""
    name = str(tmp_path / "out")
    Path(device.format(name)).symlink_to("/dev/full")
    done = pamt(*(argument.format(name) for argument in arguments))
    assert_one_error(done, "cannot write", "No space left on device")


class TestCache:
    @pytest.fixture
    def sound(self, tmp_path):
        path = tmp_path / "a.wav"
        signals.write(path, signals.piece(0.3, seed=1))
        os.utime(path, (0, 0))
        return path

    def test_without_room_is_one_error_and_leaves_nothing(self, tiny_metric, sound, tmp_path):
        cache = EmbeddingCache(tmp_path / "c", tiny_metric, Contents({}), version="1")
        with (
            files_of_at_most(100),
            pytest.raises(InputError, match=r"cannot write the cache .*npy"),
        ):
            cache.embed(sound)
        index = VectorIndex(cache.folder / "x.index", ["0" * 16])
        with files_of_at_most(100), pytest.raises(InputError, match=r"cache .*x\.index: File too"):
            index.add(["0" * 16], np.zeros((1, 4), np.float32))
        with (
            files_of_at_most(20),
            pytest.raises(InputError, match=r"cannot write the cache .*\.json"),
            remembered(tmp_path / "c", tmp_path) as contents,
        ):
            contents.found["a"] = ([1, 2, 3, 4], "0" * 64)
        assert [path for path in (tmp_path / "c").rglob("*") if path.is_file()] == []
        assert np.isfinite(cache.embed(sound)).all()

    def test_that_may_not_be_written_is_still_read(self, tiny_metric, sound):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            root.chmod(0o755)
            copy = root / "a.wav"
            copy.write_bytes(sound.read_bytes())
            entry = EmbeddingCache(root / "c", tiny_metric, Contents({}), version="1")
            expected = entry.embed(copy)
            for path in (entry.folder, root / "c"):
                path.chmod(0o555)
            with without_privilege():
                again = EmbeddingCache(root / "c", tiny_metric, Contents({}), version="1")
                assert np.array_equal(again.embed(copy), expected)
                with pytest.raises(InputError, match=r"cannot write the cache .*denied"):
                    EmbeddingCache(root / "c", tiny_metric, Contents({}), version="2")
            entry.folder.chmod(0o755)  # so that it can be removed
            (root / "c").chmod(0o755)

    def test_holds_nothing_of_a_file_that_changed_between_hash_and_reading(
        self, tiny_metric, sound, tmp_path, monkeypatch
    ):
        contents = Contents({})
        sha256 = contents.sha256

        def hash_and_change(path):
            found = sha256(path)
            if not calls:
                signals.write(sound, signals.piece(0.3, seed=2))
            calls.append(found)
            return found

        calls = []
        monkeypatch.setattr(contents, "sha256", hash_and_change)
        cache = EmbeddingCache(tmp_path / "c", tiny_metric, contents, version="1")
        with pytest.raises(InputError, match=r"a\.wav': changed while it was read"):
            cache.embed(sound)
        assert list((tmp_path / "c").rglob("*.npy")) == []


DOWNLOAD = """
import resource, sys
from pamt_metric import hub
from pamt_metric.errors import CheckpointError
wanted = [hub.Wanted(("config.json",)), hub.Wanted(("pytorch_model.bin",))]
for limit in (1_000_000, -1):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, -1))
    try:
        print(hub.fetch("a/large", wanted).folder)
    except CheckpointError as error:
        print(error)
"""


def test_a_download_without_room_says_so_and_goes_on(tmp_path):
    weights = bytes(range(256)) * 8000
    with HubServer() as server:
        server.add("a/large", {"config.json": b"{}", "pytorch_model.bin": weights})
        places = {"HF_ENDPOINT": server.endpoint, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
        done = subprocess.run(
            [sys.executable, "-c", DOWNLOAD],
            env=os.environ | places | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
    refused, folder = done.stdout.splitlines()
    assert "cannot get a/large at revision main: cannot write into" in refused
    assert "File too large; what came is kept" in refused
    assert (Path(folder) / "pytorch_model.bin").read_bytes() == weights
