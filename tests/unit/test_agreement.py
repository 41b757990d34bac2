"""Agreement with listeners: the figures, the cache, the files and the command."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy import stats

from benchmarks import agreement
from benchmarks.__main__ import main
from benchmarks.cache import ValueCache
from benchmarks.datasets import load, synthetic
from benchmarks.metrics import REGISTRY, Measurement, UndefinedError


class Brightness:
    """Difference of spectral centroid: what the made-up listeners judge."""

    name = "brightness"

    def __init__(self, version: str = "1") -> None:
        self.version = version
        self.n_calls = 0

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        self.n_calls += 1
        centroids = []
        for waveform in (a, b):
            spectrum = np.abs(np.fft.rfft(waveform.mean(axis=0)))
            frequencies = np.fft.rfftfreq(waveform.shape[-1], 1 / sample_rate)
            centroids.append(np.log((spectrum * frequencies).sum() / spectrum.sum()))
        return abs(centroids[0] - centroids[1])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    synthetic.write(folder)
    return folder


def items(human: list[float], value: list[float], *, study: str = "s") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "dataset": "d",
            "study": study,
            "question": "",
            "reference": "a.wav",
            "test": [f"{i}.wav" for i in range(len(human))],
            "split": "train",
            "human": human,
            "metric": "m",
            "value": value,
            "reason": "",
        }
    )


class TestCorrelations:
    def test_are_scipys_and_know_ties(self) -> None:
        human, value = [1.0, 2.0, 2.0, 4.0, 5.0], [0.1, 0.3, 0.2, 0.9, 0.4]
        (row,) = agreement.by_study(items(human, value)).to_dict("records")
        assert row["spearman"] == pytest.approx(stats.spearmanr(human, value).statistic)
        assert row["pearson"] == pytest.approx(np.corrcoef(human, value)[0, 1])
        assert row["kendall"] == pytest.approx(stats.kendalltau(human, value).statistic)
        assert (row["n_items"], row["n_undefined"]) == (5, 0)

    def test_never_compare_across_studies(self) -> None:
        # Perfect in each study, on scales so far apart that pooled they would be reversed.
        first = items([1, 2, 3, 4], [101, 102, 103, 104], study="a")
        second = items([11, 12, 13, 14], [1, 2, 3, 4], study="b")
        both = pd.concat([first, second], ignore_index=True)
        assert stats.spearmanr(both["human"], both["value"]).statistic < 0
        (row,) = agreement.by_dataset(both, n_resamples=50).to_dict("records")
        assert row["spearman"] == pytest.approx(1.0)
        assert (row["n_studies"], row["n_items"]) == (2, 8)

    def test_leave_out_pairs_without_a_value_and_count_them(self) -> None:
        table = items([1, 2, 3, 4], [1, 2, 3, math.nan])
        (row,) = agreement.by_study(table).to_dict("records")
        assert row["spearman"] == pytest.approx(1.0)
        assert (row["n_items"], row["n_undefined"]) == (3, 1)

    @pytest.mark.parametrize("value", [[1.0, 1.0, 1.0], [1.0, 2.0, math.nan]])
    def test_are_undefined_for_a_constant_or_too_few(self, value: list[float]) -> None:
        table = items([1, 2, 3], value)
        assert math.isnan(agreement.by_study(table)["spearman"].item())
        assert math.isnan(agreement.by_dataset(table, n_resamples=20)["spearman"].item())

    def test_of_rows_are_scipys(self) -> None:
        generator = np.random.default_rng(0)
        a, b = generator.integers(0, 4, size=(2, 30, 6)).astype(float)
        a[3] = 1.0
        rows = agreement._spearman_rows(a, b)
        assert math.isnan(rows[3])
        for i in (0, 1, 2, 29):
            assert rows[i] == pytest.approx(stats.spearmanr(a[i], b[i]).statistic)


class TestInterval:
    def test_holds_the_estimate_and_is_the_same_each_time(self) -> None:
        generator = np.random.default_rng(0)
        human = generator.standard_normal(60)
        table = items(list(human), list(human + generator.standard_normal(60)))
        first, second = (agreement.by_dataset(table).iloc[0] for _ in range(2))
        assert first["low"] < first["spearman"] < first["high"]
        assert (first["low"], first["high"]) == (second["low"], second["high"])

    def test_has_about_the_textbook_width(self) -> None:
        # Fisher's transform gives a standard error of sqrt(1.06 / (n - 3)) for Spearman's
        # coefficient; 15 % covers 1000 resamples and one sample of 400 pairs.
        generator = np.random.default_rng(1)
        human = generator.standard_normal(400)
        table = items(list(human), list(human + generator.standard_normal(400)))
        row = agreement.by_dataset(table).iloc[0]
        width = np.arctanh(row["high"]) - np.arctanh(row["low"])
        assert width == pytest.approx(2 * 1.96 * math.sqrt(1.06 / 397), rel=0.15)


class TestValues:
    def test_find_what_the_listeners_judged(self, root: Path) -> None:
        table = load(root, datasets=["timbre", "voice"])
        result = agreement.values(table, Brightness())
        assert tuple(result.columns) == agreement.ITEM_COLUMNS
        summary = agreement.by_dataset(result, n_resamples=20)
        # Six pairs of mp3 files: the centroid and the listeners may swap two close ones.
        assert (summary["spearman"] > 0.9).all()

    def test_are_served_from_the_cache(self, root: Path, tmp_path: Path) -> None:
        table = load(root, datasets=["sisec18"])
        metric = Brightness()
        with ValueCache(tmp_path) as cache:
            first = agreement.values(table, metric, cache=cache)
        assert metric.n_calls == len(table)
        with ValueCache(tmp_path) as cache:
            second = agreement.values(table, metric, cache=cache)
            assert metric.n_calls == len(table)
            agreement.values(table, changed := Brightness(version="2"), cache=cache)
        assert changed.n_calls == len(table)
        pd.testing.assert_frame_equal(first, second)

    def test_report_each_pair_once(self, root: Path) -> None:
        table = load(root, datasets=["sisec18"])
        seen = []
        agreement.values(table, Brightness(), on_item=lambda: seen.append(1))
        assert len(seen) == len(table)

    def test_that_are_undefined_cost_one_pair_and_have_a_reason(self, tmp_path: Path) -> None:
        class Fussy:
            name, version = "fussy", "1"

            def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
                if b.shape[-1] < 100:
                    raise UndefinedError("too short")
                return 1.0

        for name, n_samples in (("a", 200), ("b", 50), ("c", 300)):
            soundfile.write(tmp_path / f"{name}.wav", np.ones(n_samples) / 2, 8000)
        table = items([1, 2], [0, 0]).assign(
            reference=str(tmp_path / "a.wav"),
            test=[str(tmp_path / "b.wav"), str(tmp_path / "c.wav")],
        )
        with ValueCache(tmp_path) as cache:
            for _ in range(2):
                result = agreement.values(table, Fussy(), cache=cache)
                assert math.isnan(result["value"][0])
                assert result["value"][1] == 1.0
                assert result["reason"].tolist() == ["too short", ""]

    def test_name_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "a.wav").write_text("no sound")
        table = items([1], [0]).assign(reference=str(tmp_path / "a.wav"), test="gone.wav")
        (reason,) = agreement.values(table, Brightness())["reason"]
        assert reason.startswith("cannot read")


class TestCache:
    def test_is_keyed_by_content_not_by_place(self, tmp_path: Path) -> None:
        for name, text in (("a", "1"), ("b", "2"), ("copy", "1")):
            (tmp_path / name).write_text(text)
        a, b, copy = (str(tmp_path / name) for name in ("a", "b", "copy"))
        with ValueCache(tmp_path) as cache:
            cache.put(a, b, "m", "1", Measurement(0.5))
            assert cache.get(copy, b, "m", "1") == Measurement(0.5)
            assert cache.get(b, a, "m", "1") is None
            assert cache.get(a, b, "n", "1") is None
        (tmp_path / "b").write_text("changed")
        with ValueCache(tmp_path) as cache:
            assert cache.get(a, b, "m", "1") is None

    def test_lies_outside_the_repository(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PAMT_BENCH_CACHE", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
        from benchmarks.cache import default_folder

        assert default_folder() == Path("/somewhere/pamt-metric/benchmarks")
        monkeypatch.setenv("PAMT_BENCH_CACHE", "/else")
        assert default_folder() == Path("/else")


class TestFile:
    def test_has_relative_paths_and_keeps_other_metrics(self, tmp_path: Path) -> None:
        path = tmp_path / "results/agreement.csv"
        mine = items([1.0, 2.0], [0.25, math.nan]).assign(reference=f"{tmp_path}/x/a.wav")
        agreement.write_items(mine.assign(metric="other"), path, root=tmp_path)
        agreement.write_items(mine.assign(value=9.0), path, root=tmp_path)
        agreement.write_items(mine, path, root=tmp_path)
        written = pd.read_csv(path, keep_default_na=False, na_values={"value": [""]})
        assert tuple(written.columns) == agreement.ITEM_COLUMNS
        assert written["metric"].tolist() == ["other", "other", "m", "m"]
        assert written["reference"].tolist() == ["x/a.wav"] * 4
        assert written["value"][2] == 0.25
        assert math.isnan(written["value"][3])
        assert str(tmp_path) not in path.read_text()


class TestCommand:
    def run(self, *arguments: object) -> int:
        with pytest.raises(SystemExit) as stopped:
            main(["agreement", *(str(argument) for argument in arguments)])
        return int(stopped.value.code or 0)

    def test_runs_the_whole_benchmark(
        self, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        csv = tmp_path / "items.csv"
        options = ("--data", root, "--cache", tmp_path, "--items", csv, "--studies")
        assert self.run(*options, "--metrics", "mr-stft,log-mel-l1", "--split", "held-out") == 0
        output = capsys.readouterr().out
        for expected in ("timbre", "voice", "sisec18", "mr-stft", "log-mel-l1", "Barthet2010"):
            assert expected in output
        written = pd.read_csv(csv)
        # Held out: 6 + 153 of timbre, 6 of voice, 4 of SiSEC18; two metrics.
        assert len(written) == 2 * (6 + 153 + 6 + 4)
        assert np.isfinite(written["value"]).all()
        assert set(written["split"]) == {"held-out"}

    def test_takes_a_listening_test_of_ones_own(
        self,
        root: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setitem(REGISTRY, "brightness", lambda _argument: Brightness())
        table = load(root, datasets=["sisec18"])[["reference", "test", "human"]]
        table.to_csv(tmp_path / "mine.csv", index=False)
        options = ("--csv", tmp_path / "mine.csv", "--cache", tmp_path)
        items_file = ("--items", tmp_path / "items.csv")
        assert self.run(*options, *items_file, "--metric", "brightness") == 0
        assert "mine" in capsys.readouterr().out
        assert len(pd.read_csv(tmp_path / "items.csv")) == 4

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--metric", "nope"), "unknown metric 'nope'"),
            (("--split", "test"), "--split must be one of train, held-out"),
            (("--dataset", "nope"), "unknown dataset 'nope'"),
            (("--dataset", "sisec18", "--split", "train"), "no rated pairs"),
        ],
    )
    def test_fails_in_one_line(
        self,
        root: Path,
        tmp_path: Path,
        options: tuple[str, ...],
        message: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert self.run("--data", root, "--cache", tmp_path, *options) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {message}")
