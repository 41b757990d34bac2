"""`pamt plot`: the picture it draws, and what it says of bad input."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest

from tests.pictures.conftest import DURATION_S
from tests.support import shell
from tests.support.shell import assert_one_error

matplotlib = pytest.importorskip("matplotlib")


def pixels(path):
    return np.asarray(matplotlib.image.imread(path))[..., :3]


def test_draws_the_difference_where_it_is(pamt, folder):
    """Blue in the upper half of the map for what a low pass took; none for a copy of itself."""
    import matplotlib.image  # noqa: F401

    shutil.copy(next(folder.glob("<img*")), folder / "low.wav")
    done = pamt("plot", "piece.wav", "low.wav", "-o", "low.png")
    (found,) = json.loads(pamt("score", "piece.wav", "low.wav", "--json").stdout)["results"]
    assert (done.returncode, done.stderr) == (0, "")
    assert f"wrote low.png: distance {found['distance']:.3f}" in done.stdout
    assert pamt("plot", "piece.wav", "piece.wav", "-o", "same.png").returncode == 0
    red, green, blue = np.moveaxis(pixels(folder / "low.png"), -1, 0)
    height, width = red.shape
    # the map alone: third of five rows, without its colour scale on the right
    is_blue = ((blue > 0.5) & (blue > green + 0.2) & (green > red + 0.1))[:, : int(0.9 * width)]
    rows = np.nonzero(is_blue[int(0.4 * height) : int(0.6 * height)].sum(1) > 20)[0]
    assert len(rows) > 20
    assert rows.max() < 0.14 * height  # nothing in the lower third of the map
    same = pixels(folder / "same.png")
    assert not np.array_equal(same, pixels(folder / "low.png"))


def test_at_shows_another_moment(pamt, folder):
    for at in ("0.2", "1.2"):
        assert pamt("plot", "piece.wav", "noisy.wav", "-o", f"{at}.svg", "--at", at).returncode == 0
    early, late = ((folder / f"{at}.svg").read_text() for at in ("0.2", "1.2"))
    assert "<!-- at 0.20 s (dotted line above) -->" in early
    assert "<!-- at 1.20 s (dotted line above) -->" in late


def test_any_name_is_drawn_as_it_is(pamt, folder):
    for name in ("$\\frac{$.wav", "音楽 🎵.wav"):
        shutil.copy(folder / "piece.wav", folder / name)
        done = pamt("plot", "piece.wav", name, "-o", "name.png")
        assert (done.returncode, done.stderr) == (0, ""), name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("piece.wav", "gone.wav", "-o", "x.png"), ("gone.wav", "there is no such file")),
        (("text.wav", "piece.wav", "-o", "x.png"), ("text.wav",)),
        (("piece.wav", "noisy.wav", "-o", "x.gif"), (".png, .svg, .pdf", "x.gif")),
        (("piece.wav", "noisy.wav", "-o", "nowhere/x.png"), ("no folder nowhere",)),
        (("piece.wav", "noisy.wav", "-o", "/proc/x.png"), ("cannot write /proc/x.png",)),
        (("piece.wav", "noisy.wav", "-o", "x.png", "--at", "99"), ("99 s", f"{DURATION_S:g} s")),
        (("piece.wav", "noisy.wav", "-o", "x.png", "--at", "-1"), ("--at",)),
        (("piece.wav", "noisy.wav"), ("--output",)),
        (("piece.wav", "-o", "x.png"), ("'test'",)),
        (("piece.wav", "noisy.wav", "-o", "x.png", "--level", "loud"), ("match", "absolute")),
        (("piece.wav", "noisy.wav", "-o", "x.png", "--align", "dtw"), ("one time axis", "dtw")),
    ],
)
def test_bad_input_is_one_line(pamt, folder, arguments, words):
    assert_one_error(pamt("plot", *arguments), *words)
    assert not (folder / "x.png").exists()


def test_without_matplotlib_says_what_to_install(folder):
    hidden = "import sys; sys.modules['matplotlib'] = None; " + shell.COMMAND[-1]
    command = [*shell.COMMAND[:-1], hidden, "plot", "piece.wav", "noisy.wav", "-o", "x.png"]
    done = subprocess.run(
        command, cwd=folder, env=os.environ, capture_output=True, text=True, check=False
    )
    assert_one_error(done, "pip install 'pamt-metric[plot]'")
