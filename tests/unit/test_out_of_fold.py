"""Out-of-fold values: what the file may hold, and what of it stands in results and report."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import agreement, out_of_fold, report
from benchmarks.__main__ import main
from benchmarks.agreement import CROSS_VALIDATED, repository_paths
from benchmarks.datasets import load, synthetic
from pamt_metric.errors import InputError
from tests.support.rated import items


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    synthetic.write(folder)
    return folder


@pytest.fixture(scope="module")
def table(root: Path) -> pd.DataFrame:
    return load(root, split="train")


def values_of(table: pd.DataFrame, *, metric: str = "pamt-added") -> pd.DataFrame:
    """As training writes them: a value for every pair of one question."""
    part = table[table["question"] == "interference"]
    value = np.arange(len(part)) / 7.0
    return part.assign(metric=metric, value=value)[list(out_of_fold.COLUMNS)]


def written(values: pd.DataFrame, folder: Path) -> Path:
    path = folder / "crossval.csv"
    values.to_csv(path, index=False)
    return path


class TestRead:
    @pytest.mark.parametrize("form", ["absolute", "below the root", "in the repository"])
    def test_finds_the_pairs_however_they_are_named(
        self, root: Path, table: pd.DataFrame, tmp_path: Path, form: str
    ) -> None:
        given = values_of(table)
        if form == "below the root":
            for column in ("reference", "test"):
                given[column] = [Path(x).relative_to(root).as_posix() for x in given[column]]
        elif form == "in the repository":
            given = repository_paths(given, root)
        read = out_of_fold.read(written(given[::-1], tmp_path), table, root=root)
        assert tuple(read.columns) == agreement.ITEM_COLUMNS
        rated = table[table["question"] == "interference"]
        assert read["human"].tolist() == rated["human"].tolist()
        assert read["test"].tolist() == rated["test"].tolist()
        assert read["value"].to_numpy() == pytest.approx(values_of(table)["value"].to_numpy())
        assert set(read["origin"]) == {CROSS_VALIDATED}

    def test_gives_pairs_that_the_file_leaves_out_a_reason(
        self, root: Path, table: pd.DataFrame, tmp_path: Path
    ) -> None:
        given = values_of(table)
        given.loc[given.index[-1], "value"] = math.nan
        read = out_of_fold.read(written(given[1:], tmp_path), table, root=root)
        assert len(read) == len(given)
        assert read["reason"].tolist()[0] == read["reason"].tolist()[-1] == out_of_fold.LACKING
        assert np.isnan(read["value"].to_numpy()[[0, -1]]).all()
        assert np.isfinite(read["value"].to_numpy()[1:-1]).all()

    def test_refuses_what_is_not_out_of_fold(
        self, root: Path, table: pd.DataFrame, tmp_path: Path
    ) -> None:
        good = values_of(table)
        refused = {
            "expected rows with the columns": good.drop(columns="value"),
            r"of the split 'train', got \['held-out'\]": good.assign(split="held-out"),
            "no rated pair of the train split": good.assign(test="other.flac"),
            "pamt-added has 2 values of": pd.concat([good, good[:1]]),
            "value must be a number": good.assign(value="high"),
        }
        for message, values in refused.items():
            with pytest.raises(InputError, match=message):
                out_of_fold.read(written(values, tmp_path), table, root=root)
        with pytest.raises(InputError, match="do not exist"):
            out_of_fold.read(tmp_path / "none.csv", table, root=root)


def test_command_adds_them_to_the_results(
    root: Path, table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "agreement.csv"
    agreement.write_items(items([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), results)
    given = written(values_of(table), tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["crossval", str(given), "--data", str(root), "--items", str(results)])
    assert not stopped.value.code
    assert "interference" in capsys.readouterr().out
    rows = pd.read_csv(results, keep_default_na=False)
    assert rows["metric"].tolist() == ["m"] * 3 + ["pamt-added"] * 4
    assert set(rows["origin"]) == {"", CROSS_VALIDATED}
    (run,) = pd.read_csv(tmp_path / "runs.csv").to_dict("records")
    assert (run["benchmark"], run["split"], run["metric"]) == ("crossval", "train", "pamt-added")
    assert pd.read_csv(tmp_path / "listeners.csv")["metric"].tolist() == ["pamt-added"]


def test_report_shows_ours_on_the_train_split_only_out_of_fold(tmp_path: Path) -> None:
    human = [1.0, 2.0, 3.0, 4.0]
    seen = items(human, human).assign(metric="pamt")
    unseen = items(human, [2.0, 1.0, 3.0, 4.0]).assign(metric="pamt-added", origin=CROSS_VALIDATED)
    baseline = items(human, human[::-1]).assign(metric="mr-stft")
    all_items = pd.concat([seen, unseen, baseline]).assign(question="interference")
    agreement.write_items(all_items, tmp_path / "agreement.csv")
    report.write(tmp_path, tmp_path / "REPORT.md")
    text = (tmp_path / "REPORT.md").read_text()
    assert "| pamt-added, cross-validated | 4 | 0.80 |" in text
    assert "| mr-stft | 4 | -1.00 |" in text
    assert "| pamt |" not in text
    assert "| pamt-added, cross-validated minus | pairs of both |" in text
