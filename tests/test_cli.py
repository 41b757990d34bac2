"""The `pamt` command on the bundled model: its output, errors and exit codes.

Most tests share one process, which spares each the import of torch; `TestProcess` runs it as a
shell does.
"""

import json
from functools import partial

import numpy as np
import pytest

import pamt_metric
from tests.support import shell, signals
from tests.support.shell import assert_one_error

RATE = 24_000
FIELDS = {
    "distance", "fidelity", "content", "added", "missing", "same_content", "lag_ms", "gain_db",
    "p_audible", "ci", "coverage", "model", "warnings",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """reference.wav, its copy, a noisy one, something silent and something that is no audio."""
    path = tmp_path_factory.mktemp("audio")
    piece = signals.piece(0.6, seed=1, sample_rate=RATE)
    sounds = {
        "reference": piece,
        "copy": piece,
        "noisy": signals.with_noise(piece, 10.0),
        "silent": 0.0 * piece,
    }
    for name, waveform in sounds.items():
        signals.write(path / f"{name}.wav", waveform, sample_rate=RATE)
    (path / "text.wav").write_text("not a sound")
    (path / "folder.npz").mkdir()
    return path


@pytest.fixture
def pamt_process(folder):
    return partial(shell.run, folder)


class TestProcess:
    def test_of_a_failure_writes_to_both_streams_and_ends_with_code_2(self, pamt_process):
        done = pamt_process("score", "reference.wav", "copy.wav", "text.wav")
        assert_one_error(done, "text.wav")
        names = [line.split()[0] for line in done.stdout.splitlines()]
        assert names == ["test", "copy.wav", "text.wav"]

    def test_of_a_success_writes_no_error_and_ends_with_code_0(self, pamt_process):
        done = pamt_process("score", "reference.wav", "noisy.wav")
        assert (done.returncode, done.stderr) == (0, "")

    def test_of_a_wrong_call_shows_no_traceback(self, pamt_process):
        assert_one_error(pamt_process("score", "copy.wav", "--colour", "red"), "--colour")


class TestScore:
    def test_table(self, pamt):
        done = pamt("score", "reference.wav", "copy.wav", "noisy.wav")
        assert (done.returncode, done.stderr) == (0, "")
        header, copy, noisy = done.stdout.splitlines()
        assert header.split()[:3] == ["test", "distance", "fidelity"]
        assert copy.split()[:2] == ["copy.wav", "0.000"]
        assert float(noisy.split()[1]) > 0.0

    def test_one_bad_file_of_several(self, pamt):
        done = pamt("score", "reference.wav", "copy.wav", "text.wav", "noisy.wav")
        assert_one_error(done, "text.wav")
        names = [line.split()[0] for line in done.stdout.splitlines()]
        assert names == ["test", "copy.wav", "text.wav", "noisy.wav"]
        assert "failed" in done.stdout.splitlines()[2]

    def test_json(self, pamt):
        done = pamt("score", "reference.wav", "noisy.wav", "text.wav", "--json")
        assert_one_error(done, "text.wav")
        report = json.loads(done.stdout)
        assert report["reference"] == "reference.wav"
        noisy, text = report["results"]
        assert set(noisy) == FIELDS | {"test", "status"}
        assert (noisy["status"], text["status"]) == ("ok", "failed")
        assert text["distance"] is None
        assert "text.wav" in text["reason"]
        assert noisy["model"]["name"] == "pamt-mini"

    def test_a_warning_goes_to_stderr_and_the_result_counts(self, pamt):
        done = pamt("score", "reference.wav", "silent.wav")
        assert done.returncode == 0
        assert done.stderr == (
            "pamt: silent.wav: warning: the test is inaudible: it was compared as silence\n"
        )


def test_help_fits_a_screen(pamt):
    lines = pamt("--help").stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    cut_off = [line for line in lines[1:] if line.endswith("...")]  # the first is the usage
    assert cut_off == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("score", "no.wav", "copy.wav"), ("no.wav",), id="reference missing"),
        pytest.param(("score", "text.wav", "copy.wav"), ("text.wav",), id="reference not audio"),
        pytest.param(("score", "copy.wav", "no.wav"), ("no.wav",), id="test missing"),
        pytest.param(("score", "copy.wav", "."), (), id="a folder as a test"),
        pytest.param(
            ("score", "copy.wav", "copy.wav", "--model", "nano"), ("nano",), id="unknown model"
        ),
        pytest.param(
            ("score", "copy.wav", "noisy.wav", "copy.wav", "--level", "loud"),
            ("is not one of 'match', 'absolute'", "loud"),
            id="bad level, two tests",
        ),
        pytest.param(
            ("score", "copy.wav", "noisy.wav", "--align", "dtw2"),
            ("is not one of 'auto', 'none', 'dtw'",),
            id="bad align",
        ),
        pytest.param(("score", "copy.wav", "--colour", "red"), ("--colour",), id="bad option"),
        pytest.param(("score", "copy.wav"), ("TEST",), id="no test"),
        pytest.param(("scrore",), ("scrore",), id="no such command"),
        pytest.param(("embed", "copy.wav"), ("-o",), id="no output"),
        pytest.param(("embed", "copy.wav", "-o", "out.txt"), (".npz", "out.txt"), id="suffix"),
        pytest.param(("embed", "copy.wav", "-o", "no/out.npz"), ("no folder",), id="no folder"),
        pytest.param(("embed", "copy.wav", "-o", "folder.npz"), ("folder.npz",), id="a folder"),
        pytest.param(("embed", "text.wav", "-o", "out.npz"), ("text.wav",), id="not audio"),
    ],
)
def test_every_error_is_one_line_and_exit_code_2(pamt, arguments, words):
    assert_one_error(pamt(*arguments), *words)


def test_score_warps_where_asked(pamt, folder):
    done = pamt("score", "copy.wav", "noisy.wav", "--align", "dtw", "--json")
    assert done.returncode == 0
    files = folder / "copy.wav", folder / "noisy.wav"
    expected = pamt_metric.distance(*files, align="dtw")
    (found,) = json.loads(done.stdout)["results"]
    assert found["distance"] == pytest.approx(expected, abs=1e-4)


def test_embed(pamt, folder):
    done = pamt("embed", "copy.wav", "text.wav", "noisy.wav", "-o", "out.npz")
    assert_one_error(done, "text.wav")
    with np.load(folder / "out.npz") as stored:
        assert stored["files"].tolist() == ["copy.wav", "noisy.wav"]
        assert stored["embeddings"].shape[0] == 2
        expected = pamt_metric.embed(folder / "noisy.wav").numpy()
        np.testing.assert_allclose(stored["embeddings"][1], expected, rtol=1e-4, atol=1e-5)
        assert str(stored["model"]).startswith("pamt-mini ")
        assert str(stored["kind"]) == "sound"


def test_embed_harmony(pamt, folder):
    done = pamt("embed", "copy.wav", "-o", "harmony.npz", "--kind", "harmony")
    assert done.returncode == 0, done.stderr
    with np.load(folder / "harmony.npz") as stored:
        expected = pamt_metric.embed(folder / "copy.wav", kind="harmony").numpy()
        np.testing.assert_allclose(stored["embeddings"][0], expected, rtol=1e-5, atol=1e-6)
        assert str(stored["kind"]) == "harmony"


def test_info(pamt):
    done = pamt("info")
    assert (done.returncode, done.stderr) == (0, "")
    names = {line.split("  ")[0].strip() for line in done.stdout.splitlines()}
    assert {"pamt-metric", "python", "torch", "device", "model pamt-mini"} <= names
    assert "/" not in done.stdout  # files are the doctor's


def test_version(pamt):
    done = pamt("--version")
    assert (done.returncode, done.stdout) == (0, f"{pamt_metric.__version__}\n")


def test_help_without_arguments(pamt):
    done = pamt()
    assert (done.returncode, done.stderr) == (0, "")
    commands = ("score", "embed", "info", "download", "doctor")
    assert all(word in done.stdout for word in ("Usage", *commands))
    assert len(done.stdout.splitlines()) <= 24  # one screen
