"""Thousands of broken files: each is refused or loads, and none takes the process with it."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.audio_files import needs_ffmpeg
from tests.support.broken_files import KINDS, broken, sound

ROOT = Path(__file__).parents[2]
N_OF_EACH = 200
# The files have some kilobytes; libraries allocate their tables when they first meet a format.
MAX_GROWTH_BYTES = 64e6
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux's own kind")


def load_all(last, *, path):
    """Outcomes of `last` files of each kind, loaded in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.decode_broken", "0", str(last)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": path},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    *lines, growth = done.stdout.splitlines()
    assert done.returncode == 0, f"ended with code {done.returncode} after {growth}"
    assert "Traceback" not in done.stderr
    assert int(growth) < MAX_GROWTH_BYTES
    found = {(kind, number): outcome for kind, number, outcome in map(json.loads, lines)}
    assert len(found) == last * len(KINDS)
    return found


def assert_refused_or_loaded(found):
    words = {file: outcome.split()[0] for file, outcome in found.items()}
    wrong = {file: found[file] for file, word in words.items() if word not in ("refused:", "ok")}
    assert wrong == {}
    counts = Counter(words.values())
    # Some damage does no harm; a test of which all or none is refused would test nothing.
    assert min(counts["ok"], counts["refused:"]) > 0.1 * len(found)


def test_the_files_differ_from_what_is_whole_and_from_each_other():
    files = {broken(kind, number) for kind in KINDS for number in range(N_OF_EACH)}
    assert len(files) > 0.9 * N_OF_EACH * len(KINDS)
    assert len(files & {sound(kind) for kind in KINDS}) < 0.05 * len(files)
    assert broken("flac", 7) == broken("flac", 7)


@linux_only
def test_are_refused_or_load():
    found = load_all(N_OF_EACH, path="")
    assert len(found) >= 2_000
    assert_refused_or_loaded(found)


@linux_only
@pytest.mark.slow
@pytest.mark.timeout(1200)  # starts a process for every second file
@needs_ffmpeg
def test_are_refused_or_load_with_ffmpeg():
    assert_refused_or_loaded(load_all(N_OF_EACH // 5, path=os.environ["PATH"]))
