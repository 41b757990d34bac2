"""Agreement with listeners: the figures, the cache, the files and the command."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from benchmarks import agreement, summary
from benchmarks.__main__ import main
from benchmarks.cache import ValueCache, waveform_hash
from benchmarks.datasets import READERS, load, synthetic
from benchmarks.metrics import REGISTRY, Measurement, UndefinedError
from tests.support.rated import items


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


class TestValues:
    def test_find_what_the_listeners_judged(self, root: Path) -> None:
        table = load(root, datasets=["timbre", "voice"])
        result = agreement.values(table, Brightness())
        assert tuple(result.columns) == agreement.ITEM_COLUMNS
        means = summary.by_dataset(result, n_resamples=20)
        # Six pairs of mp3 files: the centroid and the listeners may swap two close ones.
        assert (means["spearman"] > 0.9).all()

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
    def test_does_not_keep_what_another_run_may_change(self, tmp_path: Path) -> None:
        with ValueCache(tmp_path) as cache:
            cache.put_by_key("a", "b", "m", "1", Measurement(math.nan, "lost", lasting=False))
            assert cache.get_by_key("a", "b", "m", "1") is None

    def test_tells_waveforms_apart_by_samples_shape_and_rate(self) -> None:
        waveform = np.arange(6, dtype=np.float32).reshape(2, 3)
        hashes = {
            waveform_hash(waveform, 8000),
            waveform_hash(waveform, 16_000),
            waveform_hash(waveform.reshape(3, 2), 8000),
            waveform_hash(-waveform, 8000),
        }
        assert len(hashes) == 4
        assert waveform_hash(waveform.copy(), 8000) in hashes

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

    def test_names_sounds_by_their_path_in_the_public_repository(
        self, root: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "agreement.csv"
        table = load(root, datasets=["timbre", "sisec18"])
        agreement.write_items(agreement.values(table, Brightness()), path, root=root)
        written = pd.read_csv(path)
        timbre = written[written["dataset"] == "timbre"]
        assert timbre["reference"].str.startswith("timbremetrics/sounds/").all()
        for row in written.to_dict("records"):
            folder = root / READERS[row["dataset"]].SOURCES[0].folder
            assert (folder / row["reference"]).is_file()
            assert (folder / row["test"]).is_file()

    def test_keeps_what_a_float32_holds(self, tmp_path: Path) -> None:
        path = tmp_path / "agreement.csv"
        values = np.random.default_rng(0).random(3, np.float32)
        agreement.write_items(items([1.0, 2.0, 3.0], values.tolist()), path)
        # Seven significant digits.
        assert pd.read_csv(path)["value"].to_numpy() == pytest.approx(values, rel=1e-6)


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
        # Ratings of single listeners: the percussive tones and the song; spreads: the singer.
        ceilings = pd.read_csv(tmp_path / "ceilings.csv")
        assert set(ceilings["study"]) == {"Lakatos2000_Perc", synthetic.SONG, "f5lowPitch"}
        listeners = pd.read_csv(tmp_path / "listeners.csv")
        assert set(listeners["dataset"]) == {"timbre", "sisec18"}
        runs = pd.read_csv(tmp_path / "runs.csv")
        assert runs["metric"].tolist() == ["mr-stft", "log-mel-l1"]
        assert runs["implementation"].str.len().min() > 0

    def test_leaves_trained_metrics_out_of_the_train_split_unless_named(
        self, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("benchmarks.commands.agreement.DEFAULT_METRICS", ("pamt", "brightness"))
        for name in ("pamt", "brightness"):
            monkeypatch.setitem(REGISTRY, name, lambda _argument: Brightness())
        options = ("--data", root, "--cache", tmp_path, "--dataset", "voice")
        measured = []
        for split in ("train", "held-out"):
            csv = tmp_path / split / "items.csv"
            assert self.run(*options, "--split", split, "--items", csv) == 0
            measured.append(len(pd.read_csv(csv)))
        assert measured == [6, 12]

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
