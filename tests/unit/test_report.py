"""The whole benchmark on data that the project makes itself, and the report of its results."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import report
from benchmarks.__main__ import main
from benchmarks.datasets import synthetic
from benchmarks.metrics import REGISTRY

PNG_TEXT_CHUNKS = (b"tEXt", b"iTXt", b"zTXt", b"tIME")

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


class Centroids:
    """Difference of the spectral centroid, after or before a tilt."""

    version, implementation = "1", "a test's own"

    def __init__(self, name: str, power: float) -> None:
        self.name = name
        self._power = power

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        centroids = []
        for waveform in (a, b):
            spectrum = np.abs(np.fft.rfft(waveform.mean(axis=0))) ** self._power
            frequencies = np.fft.rfftfreq(waveform.shape[-1], 1.0 / sample_rate)
            centroids.append(np.log((spectrum * frequencies).sum() / spectrum.sum()))
        return abs(centroids[0] - centroids[1])


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results of `data`, `agreement`, `sanity` and `report`."""
    root = tmp_path_factory.mktemp("data")
    synthetic.write(root)
    folder = tmp_path_factory.mktemp("benchmark")
    results = folder / "results"
    options = ("--data", root, "--metrics", "pamt,tilted", "--cache", folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, power in (("pamt", 1.0), ("tilted", 2.0)):
            patch.setitem(REGISTRY, name, lambda _, n=name, p=power: Centroids(n, p))
        assert run("data", "--data", root) == 0
        for split in ("held-out", "train"):
            items = ("--items", results / "agreement.csv", "--split", split)
            assert run("agreement", *options, *items) == 0
        assert run("sanity", *options, "--clips", 3, "--results", results / "sanity.csv") == 0
    assert run("report", "--results", results, "--output", folder / "REPORT.md") == 0
    return folder


@needs_ffmpeg
class TestWholeBenchmark:
    def test_reports_every_dataset_and_question(self, written: Path) -> None:
        text = (written / "REPORT.md").read_text()
        for title in (
            "#### Instrument timbre, held-out",
            "#### Singing technique, train",
            "#### Separated vocals: quality, train",
            "#### Separated vocals: interference, train",
            "#### Separated vocals 2018, held-out",
        ):
            assert title in text
        assert "Not measured: `python -m benchmarks orderings` does." in text

    def test_is_stamped(self, written: Path) -> None:
        text = (written / "REPORT.md").read_text()
        assert re.search(r"pamt-metric \d+\.\d+\.\d+; newest results of 20\d\d-\d\d-\d\d", text)
        assert "| pamt | a test's own | `1` | agreement held-out, agreement train, sanity |" in text

    def test_gives_the_figures_of_the_items(self, written: Path) -> None:
        items = pd.read_csv(written / "results/agreement.csv")
        session = items.query("study == 'f5lowPitch' and metric == 'tilted'")
        expected = session["human"].corr(session["value"], method="spearman")
        text = (written / "REPORT.md").read_text()
        row = next(line for line in text.splitlines() if line.startswith("| f5lowPitch |"))
        assert row.split("|")[-2].strip() == f"{expected:.2f}"

    def test_names_ceilings_listeners_and_differences(self, written: Path) -> None:
        text = (written / "REPORT.md").read_text()
        # Two listeners of the percussive tones differ by a factor: the same ranks.
        assert "Noise ceiling 1.00 (1 of 2 studies)" in text
        assert "(1 of 2 studies) |" in text
        assert "From standard deviation and number of listeners." in text
        assert "| tilted | " in text.split("| pamt minus |")[1]

    def test_links_every_plot(self, written: Path) -> None:
        text = (written / "REPORT.md").read_text()
        linked = set(re.findall(r"\]\((.+?\.png)\)", text))
        plots = {
            path.relative_to(written).as_posix() for path in written.glob("results/plots/*.png")
        }
        assert linked == plots
        assert len(plots) == 4

    def test_is_the_same_each_time_to_the_byte(self, written: Path, tmp_path: Path) -> None:
        copy = tmp_path / "again"
        shutil.copytree(written, copy, ignore=shutil.ignore_patterns("plots", "*.md"))
        report.write(copy / "results", copy / "REPORT.md")
        made = sorted(path.relative_to(copy) for path in copy.rglob("*") if path.is_file())
        assert Path("results/plots/sanity.png") in made
        for path in made:
            assert (copy / path).read_bytes() == (written / path).read_bytes(), path

    def test_plots_carry_no_time_and_no_text(self, written: Path) -> None:
        for path in written.glob("results/plots/*.png"):
            head = path.read_bytes().split(b"IDAT")[0]
            assert not any(chunk in head for chunk in PNG_TEXT_CHUNKS)


def test_of_nothing_says_what_to_run(tmp_path: Path) -> None:
    report.write(tmp_path, tmp_path / "REPORT.md")
    text = (tmp_path / "REPORT.md").read_text()
    for command in ("agreement", "orderings", "sanity"):
        assert f"Not measured: `python -m benchmarks {command}` does." in text
    assert "`runs.csv` is missing" in text
    assert not (tmp_path / "plots").exists()
