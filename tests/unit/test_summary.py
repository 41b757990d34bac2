"""Statistics of agreement: coefficients, what is drawn again, ceilings, paired differences."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks import ceiling, summary
from benchmarks.correlation import spearman_rows, weighted_spearman
from benchmarks.datasets.table import make_judgements, make_table
from benchmarks.resampling import item_weights
from tests.support.rated import items


class TestCorrelations:
    def test_are_scipys_and_know_ties(self) -> None:
        human, value = [1.0, 2.0, 2.0, 4.0, 5.0], [0.1, 0.3, 0.2, 0.9, 0.4]
        (row,) = summary.by_study(items(human, value)).to_dict("records")
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
        (row,) = summary.by_dataset(both, n_resamples=50).to_dict("records")
        assert row["spearman"] == pytest.approx(1.0)
        assert (row["n_studies"], row["n_items"]) == (2, 8)

    def test_leave_out_pairs_without_a_value_and_count_them(self) -> None:
        table = items([1, 2, 3, 4], [1, 2, 3, math.nan])
        (row,) = summary.by_study(table).to_dict("records")
        assert row["spearman"] == pytest.approx(1.0)
        assert (row["n_items"], row["n_undefined"]) == (3, 1)

    @pytest.mark.parametrize("value", [[1.0, 1.0, 1.0], [1.0, 2.0, math.nan]])
    def test_are_undefined_for_a_constant_or_too_few(self, value: list[float]) -> None:
        table = items([1, 2, 3], value)
        assert math.isnan(summary.by_study(table)["spearman"].item())
        assert math.isnan(summary.by_dataset(table, n_resamples=20)["spearman"].item())

    def test_of_rows_are_scipys(self) -> None:
        generator = np.random.default_rng(0)
        a, b = generator.integers(0, 4, size=(2, 30, 6)).astype(float)
        a[3] = 1.0
        rows = spearman_rows(a, b)
        assert math.isnan(rows[3])
        for i in (0, 1, 2, 29):
            assert rows[i] == pytest.approx(stats.spearmanr(a[i], b[i]).statistic)


class TestInterval:
    def test_holds_the_estimate_and_is_the_same_each_time(self) -> None:
        generator = np.random.default_rng(0)
        human = generator.standard_normal(60)
        table = items(list(human), list(human + generator.standard_normal(60)))
        first, second = (summary.by_dataset(table).iloc[0] for _ in range(2))
        assert first["low"] < first["spearman"] < first["high"]
        assert (first["low"], first["high"]) == (second["low"], second["high"])

    def test_has_about_the_textbook_width(self) -> None:
        # Fisher's transform gives a standard error of sqrt(1.06 / (n - 3)) for Spearman's
        # coefficient; 15 % covers 1000 resamples and one sample of 400 pairs.
        generator = np.random.default_rng(1)
        human = generator.standard_normal(400)
        table = items(list(human), list(human + generator.standard_normal(400)))
        row = summary.by_dataset(table).iloc[0]
        width = np.arctanh(row["high"]) - np.arctanh(row["low"])
        assert width == pytest.approx(2 * 1.96 * math.sqrt(1.06 / 397), rel=0.15)


class TestWeights:
    def test_of_a_spearman_are_repetitions(self) -> None:
        generator = np.random.default_rng(0)
        a, b = generator.integers(0, 5, size=(2, 12)).astype(float)
        weights = generator.integers(0, 4, size=(20, 12))
        weights[7] = 0
        found = weighted_spearman(a, b, weights)
        assert math.isnan(found[7])
        for row in (0, 3, 19):
            written_out = [np.repeat(x, weights[row]) for x in (a, b)]
            assert found[row] == pytest.approx(stats.spearmanr(*written_out).statistic)

    def test_draw_sounds_where_all_pairs_were_rated(self) -> None:
        pairs = list(combinations("abcde", 2))
        references, tests = zip(*pairs, strict=True)
        weights = item_weights(references, tests, n_resamples=50, seed_text="s")
        # A resample of 5 sounds with counts c has sum over pairs of c_i c_j, which the sum of
        # squares completes to 25; and a pair is absent as soon as one of its sounds is.
        for row in weights:
            assert row.sum() <= 10
            present = {sound for pair, n in zip(pairs, row, strict=True) if n for sound in pair}
            for pair, n in zip(pairs, row, strict=True):
                assert (n > 0) == (set(pair) <= present)

    def test_draw_pairs_where_one_reference_was_rated_against(self) -> None:
        weights = item_weights(["r"] * 6, list("abcdef"), n_resamples=200, seed_text="s")
        assert (weights.sum(axis=1) == 6).all()
        # Each pair once per resample on average; 4 standard errors of sqrt(5/6/200).
        assert weights.mean(axis=0) == pytest.approx(np.ones(6), abs=0.26)

    @pytest.mark.parametrize("references", [list("aabb"), list("rrrr")])
    def test_do_not_depend_on_the_order_of_the_pairs(self, references: list[str]) -> None:
        tests = list("bcde")
        forth = item_weights(references, tests, n_resamples=9, seed_text="s")
        back = item_weights(references[::-1], tests[::-1], n_resamples=9, seed_text="s")
        assert np.array_equal(forth, back[:, ::-1])
        other = item_weights(references, tests, n_resamples=9, seed_text="t")
        assert not np.array_equal(forth, other)


def rated(n_listeners: int, noise: float, *, n_pairs: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """True distances `(pair,)` of unit variance, and ratings `(listener, pair)` around them."""
    generator = np.random.default_rng(3)
    truth = generator.standard_normal(n_pairs)
    return truth, truth + noise * generator.standard_normal((n_listeners, n_pairs))


def as_tables(ratings: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    pair = {"dataset": "d", "study": "s", "group": "s", "question": "", "split": "train"}
    rows = [
        pair
        | {"reference": "r", "test": f"{i:03d}", "human": said.mean(), "raters": len(said)}
        | {"human_sd": said.std()}
        for i, said in enumerate(ratings.T)
    ]
    judgements = [
        {key: row[key] for key in ("dataset", "study", "question", "reference", "test", "split")}
        | {"rater": str(rater), "human": value}
        for row, said in zip(rows, ratings.T, strict=True)
        for rater, value in enumerate(said)
        if np.isfinite(value)
    ]
    return make_table(rows), make_judgements(judgements)


class TestCeiling:
    def test_is_the_correlation_of_truth_and_mean(self) -> None:
        truth, ratings = rated(8, noise=1.5)
        table, judgements = as_tables(ratings)
        attained = stats.spearmanr(truth, ratings.mean(axis=0)).statistic
        for said in (judgements, make_judgements([])):
            (row,) = ceiling.by_study(table, said).to_dict("records")
            # Theory: sqrt(1 / (1 + 1.5^2 / 8)) = 0.88. One sample of 300 pairs strays by 0.02.
            assert row["ceiling"] == pytest.approx(attained, abs=0.03)
            assert row["n_listeners"] == 8
            # One listener with seven others: sqrt(1 / 3.25) * sqrt(1 / (1 + 2.25 / 7)) = 0.48.
            assert row["one_listener"] == pytest.approx(0.48, abs=0.05)
            # Two halves: reliability of four, 1 / (1 + 2.25 / 4) = 0.64.
            assert row["split_half"] == pytest.approx(0.64, abs=0.05)

    def test_says_what_it_rests_on(self) -> None:
        table, judgements = as_tables(rated(4, noise=1.0)[1])
        assert ceiling.by_study(table, judgements)["basis"].item() == ceiling.OWN_RATINGS
        assert ceiling.by_study(table, judgements[:0])["basis"].item() == ceiling.SPREAD
        assert ceiling.by_study(table.assign(human_sd=np.nan), judgements[:0]).empty

    def test_takes_listeners_who_did_not_hear_everything(self) -> None:
        ratings = rated(9, noise=0.5)[1]
        ratings[np.random.default_rng(4).random(ratings.shape) < 0.3] = np.nan
        given = ratings[:, np.isfinite(ratings).sum(axis=0) > 5]
        table, judgements = as_tables(given)
        found = ceiling.by_study(table.assign(human=0.0), judgements)
        # About six listeners a pair: sqrt(1 / (1 + 0.25 / 6)) = 0.98.
        assert found["ceiling"].item() == pytest.approx(0.98, abs=0.02)

    def test_is_nought_where_listeners_do_not_agree(self) -> None:
        alike = np.tile([0.1, 0.2, 0.3], (4, 1))
        table, _ = as_tables(alike)
        found = ceiling.by_study(table.assign(human_sd=5.0), make_judgements([]))
        assert found["ceiling"].item() == 0.0

    def test_of_a_dataset_is_the_mean_of_its_studies(self) -> None:
        table, judgements = as_tables(rated(6, noise=1.0)[1])
        noisy, noisy_judgements = (x.assign(study="t") for x in as_tables(rated(6, noise=3.0)[1]))
        both = pd.concat([table, noisy]), pd.concat([judgements, noisy_judgements])
        studies = ceiling.by_study(*both)
        (row,) = ceiling.by_dataset(studies).to_dict("records")
        assert row["n_studies"] == 2
        assert row["ceiling"] == pytest.approx(studies["ceiling"].mean())
        assert studies["ceiling"][0] > studies["ceiling"][1] + 0.1


class TestListeners:
    def test_interval_narrows_with_more_of_them(self) -> None:
        widths = []
        for n_listeners in (4, 40):
            truth, ratings = rated(n_listeners, noise=2.0, n_pairs=60)
            table, judgements = as_tables(ratings)
            values = table.assign(metric="m", value=truth, reason="")
            (row,) = summary.over_listeners(values, judgements, n_resamples=200).to_dict("records")
            assert (row["n_studies"], row["n_listeners"]) == (1, n_listeners)
            assert row["spearman"] == pytest.approx(
                stats.spearmanr(truth, ratings.mean(axis=0)).statistic
            )
            widths.append(row["high"] - row["low"])
        # sqrt(10) by theory, for a coefficient that does not change.
        assert widths[0] > 2.0 * widths[1]

    def test_of_one_opinion_give_no_width(self) -> None:
        truth, ratings = rated(5, noise=0.0, n_pairs=20)
        table, judgements = as_tables(ratings)
        values = table.assign(metric="m", value=truth**3, reason="")
        row = summary.over_listeners(values, judgements, n_resamples=50).iloc[0]
        assert (row["low"], row["high"]) == (pytest.approx(1.0), pytest.approx(1.0))

    def test_are_left_out_where_nothing_of_theirs_is_published(self) -> None:
        table, judgements = as_tables(rated(3, noise=1.0, n_pairs=10)[1])
        values = table.assign(metric="m", value=1.0, reason="", dataset="another")
        assert summary.over_listeners(values, judgements).empty


class TestDifferences:
    def compared(self, own: np.ndarray, other: np.ndarray, human: np.ndarray) -> dict:
        both = pd.concat(
            [
                items(list(human), list(own)).assign(metric="ours"),
                items(list(human), list(other)).assign(metric="theirs"),
            ],
            ignore_index=True,
        )
        (row,) = summary.differences(both, metric="ours").to_dict("records")
        return row

    def test_between_good_and_bad_are_significant(self) -> None:
        generator = np.random.default_rng(0)
        human = generator.standard_normal(100)
        good = human + 0.3 * generator.standard_normal(100)
        bad = human + 3.0 * generator.standard_normal(100)
        row = self.compared(good, bad, human)
        expected = stats.spearmanr(human, good).statistic - stats.spearmanr(human, bad).statistic
        assert row["difference"] == pytest.approx(expected)
        assert 0.0 < row["low"] < expected < row["high"]
        assert 0.0 < row["p"] < 0.01

    def test_between_equals_are_not(self) -> None:
        generator = np.random.default_rng(1)
        human = generator.standard_normal(100)
        own, other = (human + generator.standard_normal(100) for _ in range(2))
        row = self.compared(own, other, human)
        assert row["low"] < 0.0 < row["high"]
        assert row["p"] > 0.05

    def test_of_a_metric_and_itself_are_nought(self) -> None:
        human = np.arange(10.0)
        row = self.compared(human**2, human**3, human)
        assert (row["difference"], row["low"], row["high"], row["p"]) == (0.0, 0.0, 0.0, 1.0)

    def test_take_the_pairs_that_both_have(self) -> None:
        human = np.arange(6.0)
        own, other = human.copy(), human.copy()
        own[0], other[5] = np.nan, np.nan
        assert self.compared(own, other, human)["n_items"] == 4
        other[1:4] = np.nan
        assert math.isnan(self.compared(own, other, human)["p"])

    def test_need_the_metric(self) -> None:
        assert summary.differences(items([1, 2, 3], [1, 2, 3]), metric="ours").empty
