"""`pamt score --engine ray`: the rows of the local engine, whatever happens to a worker."""

import csv
import os
import signal
import subprocess
import time

import psutil
import pytest

from tests.support import shell, signals
from tests.support.shell import assert_one_error

RATE = 24_000
N_SOUNDS = 6
N_PAIRS = 60
# Ray gives a process of its own one thread; another number changes the order of sums. Its workers
# would wait for all others of the machine otherwise.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A manifest of many pairs of a few sounds, in which every eleventh has no test."""
    path = tmp_path_factory.mktemp("ray")
    for index in range(N_SOUNDS):
        piece = signals.piece(0.4, seed=index, sample_rate=RATE)
        noisy = signals.with_noise(piece, 5.0 * index)
        signals.write(path / f"clean{index}.wav", piece, sample_rate=RATE)
        signals.write(path / f"noisy{index}.wav", noisy, sample_rate=RATE)
    with (path / "pairs.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["n", "reference", "test"])
        for n in range(N_PAIRS):
            test = f"noisy{(5 * n + n // N_SOUNDS) % N_SOUNDS}.wav" if n % 11 else "no.wav"
            writer.writerow([n, f"clean{n % N_SOUNDS}.wav", test])
    return path


@pytest.fixture(scope="module")
def pamt(folder):
    with shell.server(folder, os.environ | ENVIRONMENT) as run:
        yield run


def ray_workers(process):
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "".join(child.cmdline()).startswith("ray::MapWorker")]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_worker_that_is_killed_takes_nothing_with_it(pamt, folder):
    arguments = ("score", "--manifest", "pairs.csv", "--batch-size", "2", "-o")
    process = subprocess.Popen(
        [*shell.COMMAND, *arguments, "ray.csv", "--engine", "ray", "--actors", "2"],
        cwd=folder,
        env=os.environ | ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    part = folder / "ray.csv.part"
    while not part.exists() or not part.read_bytes():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    victim, other = ray_workers(process)
    victim.send_signal(signal.SIGKILL)
    done_before = part.read_bytes().count(b"\n")
    stdout, stderr = process.communicate()
    assert 0 < done_before < N_PAIRS
    assert not psutil.pid_exists(victim.pid)
    assert not psutil.pid_exists(other.pid)  # the cluster ends with the run
    assert f"{len(range(0, N_PAIRS, 11))} of {N_PAIRS} pairs failed" in stderr
    local = pamt(*arguments, "local.csv")
    assert (local.returncode, local.stdout) == (process.returncode, stdout)
    assert (folder / "ray.csv").read_bytes() == (folder / "local.csv").read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--engine", "ray", "--address", "127.0.0.1:1"), ("answers at 127.0.0.1:1", "refused")),
        (("--engine", "ray", "--address", "ray://head:10001"), ("host:port", "ray job submit")),
        (("--engine", "ray", "--address", "auto"), ("no Ray cluster at auto",)),
        (("--engine", "dask"), ("'local', 'ray'",)),
        (("--engine", "ray", "--actors", "0"), ("--actors",)),
        (("--actors", "2"), ("--engine ray",)),
    ],
)
def test_bad_input_is_one_error(pamt, options, words, tmp_path):
    arguments = ("score", "--manifest", "pairs.csv", "-o", tmp_path / "out.csv")
    assert_one_error(pamt(*arguments, *options), *words)
    assert not list(tmp_path.iterdir())


def test_without_ray_says_what_to_install(folder):
    arguments = ("score", "clean0.wav", "noisy0.wav", "--engine", "ray")
    done = shell.run(folder, *arguments, without="ray")
    assert_one_error(done, "pip install 'pamt-metric[ray]'")
