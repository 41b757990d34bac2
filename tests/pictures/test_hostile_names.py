"""Names that are code, in a browser and on a terminal: of files, columns, tables and models."""

import csv
import os
import shutil

import pytest

from pamt_metric import checkpoint
from tests.pictures.conftest import HOSTILE_NAME
from tests.support import browser, shell

By = pytest.importorskip("selenium.webdriver.common.by").By

CODE = "<script>window.hacked=1</script>"
TABLE = "'\" autofocus onfocus=window.hacked=1><img src=x onerror=window.hacked=1>.csv"
MODEL = f"</style></title>{CODE}"
STEERING = "\x1b]0;hacked\x07\x1b[2J"


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as driver:
        yield driver


def assert_harmless(chromium):
    """Nothing of the page was run, and nothing in it would run."""
    assert chromium.execute_script("return window.hacked") is None
    found = chromium.execute_script(
        "return [...document.querySelectorAll('*')].flatMap(x => [...x.attributes])"
        ".filter(x => x.name.startsWith('on')).map(x => x.name)"
    )
    assert found == []


def test_in_a_report(chromium, pamt, folder, tiny_metric, tiny_head_config):
    """The table's name, a column's, and those of the model that scored."""
    model = folder / "hostile-model"
    checkpoint.save(
        tiny_metric, model, name=MODEL, version=CODE, head_config=tiny_head_config, card={}
    )
    rows = [[CODE, "reference", "test"], ["=1+1", "piece.wav", "noisy.wav"]]
    with (folder / "hostile.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    options = ("--model", model)
    done = pamt("score", "--manifest", "hostile.csv", "-o", TABLE, *options)
    assert done.returncode == 0, done.stderr
    done = pamt("report", TABLE, "-o", "hostile.html", "--audio", "none", *options)
    assert done.returncode == 0, done.stderr
    chromium.get((folder / "hostile.html").as_uri())
    assert_harmless(chromium)
    text = chromium.find_element(By.TAG_NAME, "body").get_attribute("textContent")
    for name in (CODE, MODEL, TABLE):
        assert name in text
    assert chromium.find_elements(By.TAG_NAME, "img") == []


def test_in_a_picture(chromium, pamt, folder):
    """A .svg that a browser opens by itself: the title of a plot, the labels of a heat map."""
    pytest.importorskip("matplotlib")
    done = pamt("plot", "piece.wav", HOSTILE_NAME, "-o", "hostile.svg")
    assert (done.returncode, done.stderr) == (0, "")
    files = ("piece.wav", HOSTILE_NAME, "noisy.wav")
    done = pamt("matrix", *files, "-o", "hostile.csv", "--plot", "map.svg")
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("hostile.svg", "map.svg"):
        chromium.get((folder / name).as_uri())
        assert_harmless(chromium)
        assert chromium.find_element(By.TAG_NAME, "svg")
        for element in ("script", "img", "image[href^=http]", "foreignObject"):
            assert chromium.find_elements(By.CSS_SELECTOR, element) == []


def test_in_a_matrix_is_no_formula(pamt, folder):
    shutil.copy(folder / "piece.wav", folder / "=cmd.wav")
    assert pamt("matrix", "=cmd.wav", "noisy.wav", "-o", "formula.csv").returncode == 0
    with (folder / "formula.csv").open(newline="") as stream:
        header, first, _ = csv.reader(stream)
    assert header[1] == first[0] == "./=cmd.wav"


@pytest.mark.parametrize("name", [STEERING, os.fsdecode(b"\xff")])
def test_on_a_terminal_is_spelled_out(pamt, folder, tmp_path, name):
    found = tmp_path / f"{name}.wav"
    shutil.copy(folder / "piece.wav", found)
    missing = tmp_path / f"{name}.txt"
    printed = [
        pamt("score", folder / "piece.wav", found, missing),
        pamt("search", folder / "piece.wav", tmp_path, "--cache", tmp_path / "cache"),
    ]
    for done in printed:
        assert done.stdout.count(".wav") == 1
        assert all(x.isprintable() or x == "\n" for x in done.stdout + done.stderr)
    assert printed[1].returncode == 0


@pytest.mark.slow
def test_on_a_real_terminal(folder, tmp_path):
    """With bytes that are no text, where strict output would end the command."""
    found = tmp_path / os.fsdecode(b"\xff.wav")
    shutil.copy(folder / "piece.wav", found)
    done = shell.run(folder, "score", "piece.wav", found)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\udcff.wav" in done.stdout
