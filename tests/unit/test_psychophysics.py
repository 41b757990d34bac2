"""The suite as a whole: on toy metrics, its tables, its command, and the listeners' values."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import benchmarks.baselines  # noqa: F401 (registers the metrics)
from benchmarks import metrics, psychophysics
from benchmarks.__main__ import main
from benchmarks.baselines.pamt import Pamt
from benchmarks.baselines.pamt_ear import PamtEar
from benchmarks.cache import ValueCache
from benchmarks.metrics import REGISTRY, UndefinedError
from benchmarks.psychophysics import human, shapes, suite
from benchmarks.psychophysics.experiment import LINEAR, LOGARITHMIC, WEBER, Point, Shape
from benchmarks.psychophysics.experiments import EXPERIMENTS
from benchmarks.psychophysics.human import HumanPoint
from benchmarks.psychophysics.judgement import Match, Rating
from benchmarks.psychophysics.section import section
from benchmarks.psychophysics.subject import Sound, Subject
from pamt_metric.errors import InputError


class Level:
    """Difference in level, dB, above a floor of 40 dB SPL for the whole interval."""

    version, implementation = "1", "a test's own"

    def __init__(self, name: str = "level") -> None:
        self.name = name
        self.n_calls = 0

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        self.n_calls += 1
        power = [1e4 + 2e10 * float(np.mean(x.astype(np.float64) ** 2)) for x in (a, b)]
        return abs(10.0 * math.log10(power[0] / power[1]))


class Judging(Level):
    """The same, which also says how loud a sound is: its level above the floor."""

    def judge(self, quantity: str, waveform: np.ndarray, sample_rate: int) -> float:
        if quantity != "loudness_level":
            raise UndefinedError(f"no {quantity}")
        return 10.0 * math.log10(1e4 + 2e10 * float(np.mean(waveform.astype(np.float64) ** 2)))


class Deaf(Level):
    """Hears no difference."""

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        return 0.0


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def statuses(results: pd.DataFrame, tier: str) -> set[str]:
    return set(results.loc[results["tier"] == tier, "status"])


class TestRun:
    def test_a_level_meter_has_the_same_jnd_at_all_levels(self) -> None:
        verdicts, points = psychophysics.run(Level(), psychophysics.chosen(["e1"]))
        at = points[(points["experiment"] == "e1") & (points["x"] > 50.0)]
        # Above its floor of 40 dB. Tracks move in steps of 9 % and lie about 3 % high.
        assert np.allclose(at["value"], 0.69, rtol=0.1)
        slope = verdicts.loc[verdicts["condition"].str.startswith("log10 dI/I"), "status"]
        assert list(slope) == ["failed"]
        fitted = verdicts["condition"] == "1 kHz, 60"
        assert not fitted.any()

    def test_internal_noise_stands_among_the_points(self) -> None:
        _, points = psychophysics.run(Level(), psychophysics.chosen(["c"]))
        (sigma,) = points.loc[points["experiment"] == psychophysics.SIGMA, "value"]
        assert sigma == pytest.approx(0.69 / 1.25, rel=0.2)

    def test_its_threshold_in_quiet_is_the_floor(self) -> None:
        verdicts, points = psychophysics.run(Level(), psychophysics.chosen(["a"]))
        values = points.loc[points["experiment"] == "a", "value"]
        # As strong as 0.69 dB over 40 dB in the interval: 32.3 dB, and 0.8 dB for the silence.
        assert np.allclose(values, 33.1, atol=0.7)
        assert statuses(verdicts, "shape") == {"failed"}
        low = verdicts[verdicts["condition"] == "tone, 125"]
        assert list(low["z"]) == [pytest.approx((33.1 - 22.1) / 5.5, abs=0.15)]

    def test_a_deaf_metric_cannot_have_thresholds(self) -> None:
        verdicts, _ = psychophysics.run(Deaf(), psychophysics.chosen(["e1", "c"]))
        assert statuses(verdicts, "threshold") == {"not applicable"}
        assert statuses(verdicts, "shape") == {"not applicable"}
        assert statuses(verdicts, "ordering") == {"failed", "not applicable"}
        reasons = set(verdicts.loc[verdicts["tier"] == "threshold", "reason"])
        assert reasons == {"it hears no difference in level: no internal noise could be fitted"}

    def test_orderings_alone_need_no_internal_noise(self) -> None:
        verdicts, points = psychophysics.run(
            Level(), psychophysics.chosen(["m1"]), orderings_only=True
        )
        assert set(verdicts["tier"]) == {"ordering"}
        assert statuses(verdicts, "ordering") == {"held"}
        assert points.empty

    def test_an_undefined_ordering_is_not_applicable(self) -> None:
        verdicts, _ = psychophysics.run(Level(), psychophysics.chosen(["o1"]), orderings_only=True)
        assert statuses(verdicts, "ordering") == {"not applicable"}
        assert set(verdicts["reason"]) == {"a distance has no roughness of one sound"}

    def test_another_run_takes_its_values_from_the_cache(self, tmp_path: Path) -> None:
        metric = Level()
        found = []
        for _ in range(2):
            with ValueCache(tmp_path) as cache:
                verdicts, _ = psychophysics.run(metric, psychophysics.chosen(["e1"]), cache=cache)
            found.append(verdicts)
            calls = metric.n_calls
        assert calls == metric.n_calls
        assert calls > 0
        pd.testing.assert_frame_equal(*found)
        with ValueCache(tmp_path) as cache:
            again = Level()
            psychophysics.run(again, psychophysics.chosen(["e1"]), cache=cache)
        assert again.n_calls == 0

    def test_a_metric_for_absolute_levels_takes_the_place_of_one_that_matches_them(self) -> None:
        class Matching(Deaf):
            def at_absolute_level(self) -> Level:
                return Level("matching")

        verdicts, _ = psychophysics.run(Matching("matching"), psychophysics.chosen(["e1"]))
        assert "held" in statuses(verdicts, "threshold")
        assert set(verdicts["metric"]) == {"matching"}


class TestVerdicts:
    def test_an_unheard_signal_failed_and_a_refused_one_is_not_applicable(self) -> None:
        listeners = {("tone", 1.0): HumanPoint(10.0, 2.0, "confirmed", "")}
        for can, status in ((True, "failed"), (False, "not applicable")):
            point = {("tone", 1.0): Point(math.nan, "because", can=can)}
            (verdict,) = suite._judge_points(EXPERIMENTS["a"], point, listeners)
            assert (verdict.status, verdict.reason) == (status, "because")

    @pytest.mark.parametrize(("value", "status"), [(13.9, "held"), (6.1, "held"), (14.1, "failed")])
    def test_two_sd_are_allowed(self, value: float, status: str) -> None:
        listeners = {("tone", 1.0): HumanPoint(10.0, 2.0, "confirmed", "")}
        (verdict,) = suite._judge_points(EXPERIMENTS["a"], {("tone", 1.0): Point(value)}, listeners)
        assert verdict.status == status

    def test_no_threshold_is_held_to_what_was_remembered(self) -> None:
        listeners = {("tone", 1.0): HumanPoint(10.0, 2.0, "memory", "")}
        points = {("tone", 1.0): Point(10.0)}
        assert not list(suite._judge_points(EXPERIMENTS["a"], points, listeners))

    def test_a_curve_with_a_hole_has_no_shape(self) -> None:
        shape = Shape("sum", lambda points, _: points["a", 1.0] + points["a", 2.0], low=0.0)
        hole = {("a", 1.0): Point(1.0), ("a", 2.0): Point(math.nan, "not heard")}
        verdict = suite._judge_shape(shape, hole, {})
        assert (verdict.status, verdict.reason) == ("failed", "points are missing: not heard")
        whole = {("a", 1.0): Point(1.0), ("a", 2.0): Point(2.0)}
        assert suite._judge_shape(shape, whole, {}).status == "held"

    def test_a_shape_that_asks_for_a_condition_nobody_measured_is_an_error(self) -> None:
        shape = Shape("wrong", lambda points, _: points["b", 1.0])
        with pytest.raises(KeyError):
            suite._judge_shape(shape, {("a", 1.0): Point(1.0)}, {})

    def test_scales(self) -> None:
        assert LINEAR.z(12.0, HumanPoint(10.0, 2.0, "", "")) == pytest.approx(1.0)
        assert LOGARITHMIC.z(4.0, HumanPoint(1.0, 2.0, "", "")) == pytest.approx(2.0)
        # dI/I of 3.01 dB is 1, of 4.77 dB is 2.
        assert WEBER.z(4.7712, HumanPoint(3.0103, 2.0, "", "")) == pytest.approx(1.0, abs=1e-3)


class TestShapes:
    def test_against_curves_by_hand(self) -> None:
        values = {("t", x): y for x, y in ((1.0, 0.0), (2.0, 3.0), (4.0, 1.0))}
        assert shapes.peak(values, "t") == 2.0
        assert shapes.peak(values, "t", sign=-1.0) == 1.0
        assert shapes.peak_between(values, "t", 3.0, 5.0, sign=1.0) == 4.0
        assert shapes.slope(values, "t", low=1.0, high=2.0, transform=float) == pytest.approx(3.0)
        # Halfway from 0 to 3 on a logarithmic axis from 1 to 2.
        assert shapes.cutoff(values, "t", rise=1.5, plateau=0.0) == pytest.approx(math.sqrt(2.0))

    def test_an_offset_is_forgiven_only_where_it_says_so(self) -> None:
        listeners = {("t", x): HumanPoint(x, 1.0, "confirmed", "") for x in (1.0, 2.0, 5.0)}
        shifted = {key: each.value + 7.0 for key, each in listeners.items()}
        assert shapes.rms_error_after_offset(shifted, listeners) == pytest.approx(0.0, abs=1e-12)
        assert shapes.rms_error(shifted, listeners) == pytest.approx(7.0)
        assert shapes.correlation(shifted, listeners) == pytest.approx(1.0)
        assert shapes.rank_correlation(shifted, listeners, ["t"], sign=-1.0) == pytest.approx(-1.0)


class TestJudgement:
    def test_match_by_loudness_and_by_distance(self) -> None:
        task = EXPERIMENTS["b"].task
        assert isinstance(task, Match)
        small = Match(
            task.references,
            task.comparison,
            [("60 phon", 250.0)],
            tuple(np.arange(40.0, 90.0, 5.0)),
        )
        for metric in (Judging(), Level()):
            ((_, point),) = small.measure(Subject(metric))
            # Both go by level alone; a parabola through |x| misses its corner by part of a step.
            assert point.value == pytest.approx(60.0, abs=0.5)

    def test_a_match_at_the_end_of_the_range_is_none(self) -> None:
        task = EXPERIMENTS["b"].task
        assert isinstance(task, Match)
        small = Match(task.references, task.comparison, [("60 phon", 250.0)], (70.0, 80.0, 90.0))
        for metric in (Judging(), Level()):
            ((_, point),) = small.measure(Subject(metric))
            assert math.isnan(point.value)
            assert point.can
            assert point.reason

    def test_ratings_in_percent_of_the_largest(self) -> None:
        sounds = {
            ("s", db): lambda _seed, db=db: np.full(4800, 10 ** (db / 20.0)) for db in (-40.0, 0.0)
        }
        task = Rating("loudness_level", sounds, relative=True)
        points = dict(task.measure(Subject(Judging())))
        assert points["s", 0.0].value == pytest.approx(100.0)
        assert 0.0 < points["s", -40.0].value < 100.0

    def test_a_distance_has_no_loudness(self) -> None:
        with pytest.raises(UndefinedError, match="a distance has no loudness"):
            Subject(Level()).judge("loudness", Sound(np.zeros(4800)))


class TestContestants:
    def test_the_ear_encoded_once_is_the_ear(self) -> None:
        ear = PamtEar().at_absolute_level()
        sounds = [Sound(0.1 * np.random.default_rng(i).standard_normal(9600)) for i in range(2)]
        together = Subject(PamtEar()).distances([(sounds[0], sounds[1])])[0]
        apart = ear(sounds[0].waveform, sounds[1].waveform, 48_000)
        # Batches of other sizes round differently.
        assert together == pytest.approx(apart, rel=1e-4)
        assert together > 0.1

    def test_the_ear_hears_levels_only_at_absolute_level(self) -> None:
        wave = Sound(0.1 * np.random.default_rng(0).standard_normal(9600)).waveform
        assert PamtEar()(wave, 0.5 * wave, 48_000) < 1e-3
        assert PamtEar().at_absolute_level()(wave, 0.5 * wave, 48_000) > 0.1

    def test_the_ear_says_what_it_cannot_judge(self) -> None:
        with pytest.raises(UndefinedError, match="no function pleasantness"):
            PamtEar().judge("pleasantness", np.zeros((1, 4800), np.float32), 48_000)

    def test_the_ear_judges_with_the_public_functions(self, monkeypatch) -> None:
        def loudness(waveform: torch.Tensor, sample_rate: int) -> torch.Tensor:
            return torch.tensor([[1.0, 5.0, 6.0, 5.0, 1.0]]) * waveform.shape[-1] / sample_rate

        monkeypatch.setattr("pamt_metric.psychoacoustics.loudness", loudness)
        assert PamtEar().judge("loudness", np.zeros((1, 48_000), np.float32), 48_000) == 5.0

    @pytest.mark.parametrize("name", ["mr-stft", "zimtohrli"])
    def test_baselines_hear_levels_at_absolute_level(self, name: str) -> None:
        pytest.importorskip({"mr-stft": "auraloss", "zimtohrli": "zimtohrli"}[name])
        metric = metrics.make(name)
        absolute = metric.at_absolute_level()
        wave = Sound(0.1 * np.random.default_rng(0).standard_normal(9600)).waveform
        try:
            near, far = metric(wave, 0.5 * wave, 48_000), absolute(wave, 0.5 * wave, 48_000)
        finally:
            for each in (metric, absolute):
                metrics.release(each)
        assert far > 10.0 * abs(near) + 1e-6
        assert metric.version != absolute.version

    def test_our_metric_encodes_once_what_it_compares(self) -> None:
        import pamt_metric

        whole = Pamt(pamt_metric.load()).at_absolute_level()
        sounds = [Sound(0.1 * np.random.default_rng(i).standard_normal(9600)) for i in range(2)]
        encoded = whole.encode_all([sound.waveform for sound in sounds], 48_000)
        apart = whole(sounds[0].waveform, sounds[1].waveform, 48_000)
        assert whole.between([(encoded[0], encoded[1])])[0] == pytest.approx(apart, rel=1e-4)
        with pytest.raises(InputError, match="have to be at 48000 Hz"):
            whole.encode_all([sounds[0].waveform], 44_100)


class TestHumanValues:
    @pytest.mark.parametrize("name", sorted(EXPERIMENTS))
    def test_every_value_has_a_source_and_belongs_to_a_condition(self, name: str) -> None:
        experiment, listeners = EXPERIMENTS[name], human.read(name)
        assert listeners
        conditions = {*experiment.task.keys(), *(("16 minus 250 ms", hz) for hz in (250.0, 500.0))}
        for key, each in listeners.items():
            assert each.confidence in human.CONFIDENCES
            assert each.source
            assert math.isfinite(each.value)
            assert key in conditions or key[0] == "16 minus 250 ms", key

    def test_only_read_values_with_a_spread_are_targets(self) -> None:
        assert HumanPoint(1.0, 1.0, "confirmed", "").is_target
        assert not HumanPoint(1.0, 1.0, "memory", "").is_target
        assert not HumanPoint(1.0, math.nan, "confirmed", "").is_target

    def test_an_experiment_without_a_file_has_none(self, tmp_path: Path) -> None:
        assert human.read("a", tmp_path) == {}


class TestCommand:
    def test_writes_results_plots_and_a_section(self, tmp_path: Path, monkeypatch) -> None:
        for name in ("one", "pamt-two"):
            monkeypatch.setitem(REGISTRY, name, lambda _, name=name: Level(name))
        results = tmp_path / "results" / psychophysics.FILE_NAME
        options = ("--experiment", "e1,c", "--results", results, "--cache", tmp_path)
        assert run("psychophysics", "--metrics", "one,pamt-two", *options) == 0
        table = pd.read_csv(results)
        assert tuple(table.columns) == suite.COLUMNS
        assert set(table["metric"]) == {"one", "pamt-two"}
        assert set(table["tier"]) == set(psychophysics.TIERS)
        picture = results.parent / "plots" / "psychophysics-e1.png"
        assert picture.read_bytes().startswith(b"\x89PNG")
        text = "\n".join(section(results.parent, tmp_path / "REPORT.md"))
        # Our own first; c is no task for a distance.
        assert "| experiment | pamt-two | one |" in text
        assert "| c: Growth of loudness | - (2) | - (2) |" in text
        assert "(results/plots/psychophysics-e1.png)" in text

    def test_a_second_run_replaces_its_own_rows_only(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setitem(REGISTRY, "one", lambda _: Level("one"))
        monkeypatch.setitem(REGISTRY, "two", lambda _: Level("two"))
        results = tmp_path / psychophysics.FILE_NAME
        options = ("--experiment", "e1", "--results", results, "--cache", tmp_path)
        for name in ("one", "two", "one"):
            assert run("psychophysics", "--metrics", name, "--tier", "orderings", *options) == 0
        table = pd.read_csv(results)
        assert not table.duplicated(["metric", "condition"]).any()
        assert set(table["metric"]) == {"one", "two"}

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--tier", "thresholds"), "--tier must be all or orderings"),
            (("--experiment", "zz"), "unknown experiment 'zz'; there are a, b"),
            (("--metrics", "nobody"), "unknown metric 'nobody'"),
        ],
    )
    def test_a_wrong_option_is_one_line_and_code_2(
        self, options: tuple[str, str], message: str, capsys, tmp_path: Path
    ) -> None:
        where = ("--results", tmp_path / "r.csv", "--cache", tmp_path)
        assert run("psychophysics", *options, *where) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "r.csv").exists()

    def test_the_report_says_what_was_not_measured(self, tmp_path: Path) -> None:
        text = "\n".join(section(tmp_path, tmp_path / "REPORT.md"))
        assert "Not measured: `python -m benchmarks psychophysics` does." in text


class TestEarInContinuousIntegration:
    """The reduced fast tier: what the ear must get right whatever its parameters."""

    def test_orderings_of_the_ear(self) -> None:
        experiments = psychophysics.chosen(["a", "e1", "j1", "j2", "l", "m1", "s"])
        verdicts, _ = psychophysics.run(PamtEar(), experiments, orderings_only=True)
        held = (verdicts["status"] == "held").mean()
        # 0.98 when this was written; the issue asks for 0.9 of all experiments.
        assert held >= 0.9, verdicts.loc[verdicts["status"] != "held", "condition"].tolist()
