"""`pamt matrix`: values, pictures, and what it says of bad input."""

import csv
import itertools

import numpy as np
import pytest

import pamt_metric
from tests.support import clips, shell
from tests.support.shell import assert_one_error

FILES = clips.FILES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return clips.write(tmp_path_factory.mktemp("many"))


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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("matrix", "a.wav", "noisy.wav", "-o", "out.txt"), (".csv or .npz", "out.txt")),
        (("matrix", "a.wav", "noisy.wav", "-o", "no/out.csv"), ("no folder no",)),
        (("matrix", "a.wav", "-o", "out.csv"), ("need two clips, got 1",)),
        (("matrix", "a.wav", "text.wav", "-o", "out.csv"), ("got 1", "text.wav")),
        (("matrix", "a.wav", "noisy.wav", "-o", "o.csv", "--plot", "m.bmp"), (".png", "m.bmp")),
        (("matrix", "a.wav", "noisy.wav"), ("-o",)),
    ],
)
def test_bad_input_is_one_error(pamt, arguments, words):
    assert_one_error(pamt(*arguments), *words)
