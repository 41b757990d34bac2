"""Several processes and threads at once: one download, one cache, and the results of one alone."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from pamt_metric.batch.contents import Contents
from pamt_metric.batch.embedding_cache import EmbeddingCache
from tests.support import signals
from tests.support.hub_server import HubServer

FILES = {"config.json": b"{}", "pytorch_model.bin": bytes(range(256)) * 4096}
FETCH = """
import sys
from pamt_metric import hub
wanted = [hub.Wanted(("config.json",)), hub.Wanted(("pytorch_model.bin",))]
print(hub.fetch(sys.argv[1], wanted).folder)
"""


def environment(**changes):
    unwanted = {"HF_TOKEN", "HF_HUB_CACHE", "HF_TOKEN_PATH"}
    kept = {k: v for k, v in os.environ.items() if k not in unwanted}
    return kept | {"PYTHONPATH": os.pathsep.join(sys.path)} | changes


class TestDownload:
    def test_of_two_processes_is_one(self, tmp_path):
        with HubServer() as server:
            server.add("a/shared", FILES, together=Barrier(2))
            there = environment(
                HF_ENDPOINT=server.endpoint,
                HF_HOME=str(tmp_path),
                HF_HUB_OFFLINE="0",
                HF_HUB_ETAG_TIMEOUT="60",
            )
            command = [sys.executable, "-c", FETCH, "a/shared"]
            processes = [
                subprocess.Popen(command, env=there, stdout=subprocess.PIPE, text=True)
                for _ in range(2)
            ]
            folders = {process.communicate()[0].strip() for process in processes}
            assert [process.returncode for process in processes] == [0, 0]
            (folder,) = folders
            assert (Path(folder) / "pytorch_model.bin").read_bytes() == FILES["pytorch_model.bin"]
            stored = [r for r in server.asked("GET", "pytorch_model.bin") if r.is_storage]
            assert len(stored) == 1


class TestCache:
    def test_of_two_threads_holds_one_whole_entry(self, tiny_metric, tmp_path, monkeypatch):
        sound = tmp_path / "a.wav"
        signals.write(sound, signals.piece(0.3, seed=1))
        barrier, replace = Barrier(2), Path.replace

        def replace_together(path, target):
            barrier.wait(timeout=60)
            return replace(path, target)

        monkeypatch.setattr(Path, "replace", replace_together)
        caches = [EmbeddingCache(tmp_path / "c", tiny_metric, Contents({}), version="1")] * 2
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda cache: cache.embed(sound), caches)
        assert np.array_equal(first, second)
        (entry,) = (tmp_path / "c").rglob("*.*")
        assert np.array_equal(np.load(entry), first)


class TestModel:
    CLIPS = tuple(signals.piece(0.3 + 0.05 * seed, seed=seed) for seed in range(8))

    def test_shared_by_eight_threads_gives_the_serial_results(self, tiny_metric):
        def measure(number):
            a, b = self.CLIPS[number % 8], self.CLIPS[(3 * number + 1) % 8]
            return tiny_metric.distance(a, b, sample_rate=signals.SAMPLE_RATE)

        serial = [measure(number) for number in range(24)]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(measure, range(24))) == serial

    @pytest.mark.slow
    @pytest.mark.parametrize("start", ["fork", "spawn"])
    def test_shared_by_four_processes_gives_the_serial_results(self, start):
        """In a process of its own: a fork of the tests' process would take its threads' locks."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.share_model", start],
            cwd=Path(__file__).parents[1],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
        serial, parallel, processes = json.loads(done.stdout)
        assert parallel == serial
        assert len(set(serial)) == len(serial)
        assert processes == 4
