"""`--max-duration`: what is longer fails undecoded, in every command that reads sound."""

import csv
import json

import numpy as np
import pytest

from tests.support import signals
from tests.support.shell import assert_one_error

RATE = 24_000
LONG = "it lasts 1 s, longer than max_duration=0.7 s"
LIMIT = ("--max-duration", "0.7")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("lengths")
    for name, duration in (("a", 0.4), ("b", 0.5), ("long", 1.0)):
        piece = signals.piece(duration, seed=len(name), sample_rate=RATE)
        signals.write(path / f"{name}.wav", piece, sample_rate=RATE)
    (path / "pairs.csv").write_text("reference,test\na.wav,b.wav\na.wav,long.wav\nlong.wav,b.wav\n")
    return path


def read_csv(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_of_score_fails_the_test_alone(pamt):
    done = pamt("score", "a.wav", "b.wav", "long.wav", "--json", *LIMIT)
    assert_one_error(done, "'long.wav'", LONG)
    good, bad = json.loads(done.stdout)["results"]
    without = json.loads(pamt("score", "a.wav", "b.wav", "--json").stdout)["results"]
    assert good == without[0]
    assert (bad["status"], bad["distance"]) == ("failed", None)
    assert LONG in bad["reason"]


def test_of_score_refuses_the_reference(pamt):
    done = pamt("score", "long.wav", "b.wav", *LIMIT)
    assert_one_error(done, "'long.wav'", LONG)
    assert done.stdout == ""


def test_of_a_list_is_the_reason_of_its_row(pamt, folder):
    done = pamt("score", "--manifest", "pairs.csv", "-o", "out.csv", *LIMIT)
    assert_one_error(done, "2 of 3 pairs failed")
    good, test, reference = read_csv(folder / "out.csv")
    assert good["status"] == "ok"
    assert test["reason"] == f"test: 'long.wav': {LONG}"
    assert reference["reason"] == f"reference: 'long.wav': {LONG}"
    done = pamt("score", "--manifest", "pairs.csv", "-o", "out.csv", "--resume")
    assert_one_error(done, "another --max-duration (0.7, now None)")


def test_of_embed_and_matrix_leaves_the_file_out(pamt, folder):
    for command in ("embed", "matrix"):
        done = pamt(command, "a.wav", "long.wav", "b.wav", "-o", "out.npz", *LIMIT)
        assert_one_error(done, "'long.wav'", LONG)
        with np.load(folder / "out.npz") as stored:
            assert stored["files"].tolist() == ["a.wav", "b.wav"]


@pytest.mark.parametrize("is_cached", [False, True])
def test_of_search_leaves_the_file_out(pamt, tmp_path, is_cached):
    arguments = ("search", "a.wav", ".", "--cache", tmp_path, "--json")
    if is_cached:
        assert {hit["file"] for hit in json.loads(pamt(*arguments).stdout)["hits"]} == {
            "b.wav",
            "long.wav",
        }
    done = pamt(*arguments, *LIMIT)
    assert_one_error(done, "'long.wav'", LONG)
    (hit,) = json.loads(done.stdout)["hits"]
    assert hit["file"] == "b.wav"


def test_of_plot_refuses_either_file(pamt, folder):
    for files in (("a.wav", "long.wav"), ("long.wav", "a.wav")):
        assert_one_error(pamt("plot", *files, "-o", "x.png", *LIMIT), "'long.wav'", LONG)
    assert not (folder / "x.png").exists()


def test_of_report_leaves_the_pair_closed(pamt, folder):
    pamt("score", "--manifest", "pairs.csv", "-o", "all.csv")
    done = pamt("report", "all.csv", "-o", "page.html", *LIMIT)
    assert done.returncode == 2
    reasons = sorted(done.stderr.splitlines())
    assert len(reasons) == 2
    assert f"row 2 cannot be opened: test: 'long.wav': {LONG}" in reasons[0]
    assert f"row 3 cannot be opened: reference: 'long.wav': {LONG}" in reasons[1]
    assert "3 pairs, 1 of them to open" in done.stdout


@pytest.mark.parametrize("value", ["0", "-1", "nan", "long"])
def test_takes_seconds_alone(pamt, value):
    for command in (
        ("score", "a.wav", "b.wav"),
        ("embed", "a.wav", "-o", "out.npz"),
        ("search", "a.wav", "."),
        ("plot", "a.wav", "b.wav", "-o", "x.png"),
    ):
        assert_one_error(pamt(*command, "--max-duration", value), "--max-duration")
