"""Readers of rated datasets: what they give, leave out and say is missing; and the split."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.__main__ import main
from benchmarks.datasets import (
    COLUMNS,
    custom,
    find_root,
    load,
    recordings,
    sisec18,
    source_separation,
    synthetic,
    timbre,
    voice,
)
from benchmarks.datasets.crossing import crossings
from benchmarks.datasets.sources import SISEC18, SOURCE_SEPARATION, TIMBRE, VOICE
from benchmarks.datasets.splits import read_splits, splits
from pamt_metric.errors import ConfigError, InputError


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    synthetic.write(folder)
    return folder


@pytest.fixture
def root(written: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(written, tmp_path, dirs_exist_ok=True))


class TestTable:
    def test_holds_every_pair_of_every_dataset(self, root: Path) -> None:
        table = load(root)
        assert tuple(table.columns) == COLUMNS
        # 3 timbre studies of 4 sounds and one of 18; 2 sessions of 4; 4 sounds twice; 4 sounds.
        assert table.groupby("dataset").size().to_dict() == {
            "timbre": 3 * 6 + 153,
            "voice": 2 * 6,
            "source_separation": 2 * 4,
            "sisec18": 4,
        }
        assert all(Path(path).is_file() for path in [*table["reference"], *table["test"]])
        assert np.isfinite(table["human"]).all()
        assert (table["reference"] != table["test"]).all()

    def test_selects_dataset_and_split(self, root: Path) -> None:
        table = load(root, datasets=["timbre"], split="held-out")
        assert set(table["study"]) == {"Barthet2010", "Lakatos2000_Perc"}
        assert set(table["split"]) == {"held-out"}

    def test_refuses_unknown_names(self, root: Path) -> None:
        with pytest.raises(InputError, match="unknown dataset 'timber'; there are timbre"):
            load(root, datasets=["timber"])
        with pytest.raises(InputError, match="train, held-out, got 'test'"):
            load(root, split="test")

    def test_of_an_empty_folder_is_empty_and_typed(self, tmp_path: Path) -> None:
        table = load(tmp_path)
        assert table.empty
        assert tuple(table.columns) == COLUMNS
        assert table["human"].dtype == np.float64


class TestTimbre:
    def test_takes_the_upper_triangle_in_the_order_of_file_names(self, root: Path) -> None:
        table = timbre.read(root).table
        grey = table[table["study"] == "Grey1977"]
        brightness = np.linspace(0, 1, 4) ** 1.3
        expected = [brightness[j] - brightness[i] for i in range(4) for j in range(i + 1, 4)]
        assert grey["human"].tolist() == pytest.approx(expected)
        names = [(Path(r).stem, Path(t).stem) for r, t in grey[["reference", "test"]].to_numpy()]
        assert names[:4] == [("00", "01"), ("00", "02"), ("00", "03"), ("01", "02")]

    def test_rebuilds_lakatos_percussive_from_the_raw_file(self, root: Path) -> None:
        table = timbre.read(root).table
        lakatos = table[table["study"] == "Lakatos2000_Perc"]
        assert set(lakatos["raters"]) == {2}
        brightness = np.linspace(0, 1, 18) ** 1.3
        i, j = (lakatos[x].map(lambda path: int(Path(path).stem)) for x in ("reference", "test"))
        # The raw file has six decimals.
        assert lakatos["human"].to_numpy() == pytest.approx(brightness[j] - brightness[i], abs=2e-6)

    def test_leaves_excluded_studies_out_and_names_absent_ones(self, root: Path) -> None:
        sounds = root / TIMBRE.folder / "timbremetrics/sounds"
        shutil.copytree(sounds / "Grey1977", sounds / "Grey1978")
        reading = timbre.read(root)
        assert "Grey1978" not in set(reading.table["study"])
        assert "study McAdams1995: its folder of sounds is absent" in reading.missing
        assert len(reading.missing) == len(splits()["timbre"].split) - 4

    def test_refuses_a_matrix_of_another_size(self, root: Path) -> None:
        (root / TIMBRE.folder / "timbremetrics/sounds/Grey1977/03.aiff").unlink()
        with pytest.raises(
            InputError, match=r"Grey1977: expected a matrix of 3 x 3 .* got \(4, 4\)"
        ):
            timbre.read(root)

    def test_refuses_a_raw_file_of_another_length(self, root: Path) -> None:
        path = root / "ratings/musical-timbre-studies" / timbre.LAKATOS_RAW_FILE
        path.write_text(path.read_text() + "0.5\n")
        with pytest.raises(InputError, match="321 values, not a multiple of 160"):
            timbre.read(root)

    def test_studies_of_one_experiment_share_a_group(self) -> None:
        dataset = splits()["timbre"]
        assert dataset.group("Siedenburg2016_e2set1") == dataset.group("Siedenburg2016_e2set2")
        assert dataset.group("Grey1977") == "Grey1977"


class TestVoice:
    def test_a_session_is_a_study_and_a_singer_a_group(self, root: Path) -> None:
        table = voice.read(root).table
        keys = table[["study", "group", "split"]].drop_duplicates().to_numpy().tolist()
        assert keys == [["f2highPitch", "f2", "train"], ["f5lowPitch", "f5", "held-out"]]
        assert set(table["raters"]) == {5}

    def test_names_unlisted_singers_and_absent_sounds(self, root: Path) -> None:
        path = root / VOICE.folder / "ratings.csv"
        ratings = pd.read_csv(path)
        extra = ratings.head(1).assign(session="m9highPitch")
        pd.concat([ratings, extra]).to_csv(path, index=False)
        (root / VOICE.folder / "audio/f2/highPitch/0.mp3").unlink()
        reading = voice.read(root)
        assert len(reading.table) == 2 * 6 - 3
        assert reading.missing == [
            "session f2highPitch: audio/f2/highPitch/0.mp3",
            "session m9highPitch: splits.toml does not list singer m9",
        ]

    def test_refuses_other_columns(self, root: Path) -> None:
        (root / VOICE.folder / "ratings.csv").write_text("session,a,b\n")
        with pytest.raises(InputError, match="lacks the columns"):
            voice.read(root)


class TestSourceSeparation:
    def test_turns_ratings_into_distances_without_replicates(self, root: Path) -> None:
        table = source_separation.read(root).table
        human = {(r.question, Path(r.test).stem): r.human for r in table.itertuples()}
        # The synthetic mean ratings are 50 -+ 40 * brightness; replicates of 0 would lower them.
        assert human["quality", "KAM1"] == pytest.approx(66.0)
        assert human["interference", "KAM1"] == pytest.approx(34.0)
        assert set(table["raters"]) == {2}

    def test_keeps_anchors_and_leaves_the_hidden_reference_out(self, root: Path) -> None:
        table = source_separation.read(root).table
        sounds = {Path(path).stem for path in table["test"]}
        assert sounds == {"Quality", "Interferer", "KAM1", "HUA"}
        assert {Path(path).stem for path in table["reference"]} == {"ref"}

    def test_names_absent_audio_and_goes_on(self, root: Path) -> None:
        sounds = root / SOURCE_SEPARATION.folder / "site/sounds" / synthetic.PAGE
        (sounds / "HUA.flac").unlink()
        reading = source_separation.read(root)
        assert reading.missing == [f"song {synthetic.PAGE}: HUA.flac is absent"]
        assert len(reading.table) == 2 * 3
        shutil.rmtree(sounds)
        assert source_separation.read(root).missing == [
            f"song {synthetic.PAGE}: its audio is absent"
        ]


class TestSisec18:
    def test_distance_is_how_often_a_sound_was_shown_and_not_picked(self, root: Path) -> None:
        table = sisec18.read(root).table
        human = {Path(r.test).name: r.human for r in table.itertuples()}
        assert human["JY3_vocals.flac"] == pytest.approx(0.6)
        assert human["TAK2_vocals.flac"] == pytest.approx(0.9)
        assert set(table["raters"]) == {10}
        assert set(table["split"]) == {"held-out"}

    def test_names_absent_audio(self, root: Path) -> None:
        shutil.rmtree(root / SISEC18.folder / "site")
        reading = sisec18.read(root)
        assert reading.missing == [f"song {synthetic.SONG}: its audio is absent"]
        assert reading.table.empty


class TestSplit:
    def test_nothing_crosses_it_in_the_synthetic_folder(self, root: Path) -> None:
        assert crossings(load(root), decode=True) == []

    def test_a_copied_file_is_found(self, root: Path) -> None:
        sounds = root / TIMBRE.folder / "timbremetrics/sounds"
        shutil.copy(sounds / "Grey1977/01.aiff", sounds / "Barthet2010/02.aiff")
        assert crossings(load(root)) == ["one file is on both sides: 01.aiff and 02.aiff"]

    def test_the_same_sound_in_another_file_is_found(self, root: Path) -> None:
        sounds = root / TIMBRE.folder / "timbremetrics/sounds"
        waveform = synthetic.tone(0.5, 700.0)
        synthetic._write_sound(sounds / "Grey1977/01.aiff", waveform)
        synthetic._write_sound(sounds / "Barthet2010/02.aiff", np.pad(waveform, (100, 7)))
        assert crossings(load(root)) == []
        assert crossings(load(root), decode=True) == [
            "one sound is on both sides: 01.aiff and 02.aiff"
        ]

    def test_a_divided_group_is_found(self, root: Path) -> None:
        table = load(root, datasets=["voice"])
        table["group"] = "f2"
        assert crossings(table) == ["group f2 is on both sides"]

    @pytest.mark.skipif("PAMT_DATA" not in os.environ, reason="PAMT_DATA names no data folder")
    def test_nothing_crosses_it_in_the_real_data(self) -> None:
        table = load(find_root())
        assert set(table["split"]) == {"train", "held-out"}
        assert crossings(table, decode=True) == []

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('[x]\nunit = "song"\ntrain = ["a"]\nheld-out = ["a"]', "lists an entry of 'x' twice"),
            (
                '[x]\nunit = "song"\ntrain = ["a"]\nheld-out = ["b"]\n'
                '[x.group]\na = "both"\nb = "both"',
                "divides 'both'",
            ),
            ('[x]\nunit = "song"\ntrain = ["a"]\n[x.excluded]\na = "bad"', r"excludes \['a'\]"),
        ],
    )
    def test_refuses_a_file_that_contradicts_itself(
        self, tmp_path: Path, text: str, message: str
    ) -> None:
        path = tmp_path / "splits.toml"
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_splits(path)


class TestRecordings:
    def test_are_found_in_the_public_layouts_and_the_rest_is_named(self, root: Path) -> None:
        found = recordings.read(root)
        assert [path.name for path in found.paths.values()] == [
            "castanets48_stereo.wav",
            "contrabassoon48_stereo.wav",
            "Hungarian_Dance_number_5_-_Allegro_in_F_sharp_minor_(string_orchestra).hq.ogg",
        ]
        assert len(found.paths) + len(found.missing) == 15

    def test_are_found_directly_in_the_folder(self, tmp_path: Path) -> None:
        path = tmp_path / "music/visqol-conformance/ravel48_stereo.flac"
        path.parent.mkdir(parents=True)
        path.touch()
        assert recordings.read(tmp_path).paths == {"ravel48_stereo": path}


class TestCustom:
    def write(self, folder: Path, text: str) -> Path:
        for name in ("a.wav", "b.wav"):
            (folder / name).touch()
        path = folder / "mine.csv"
        path.write_text(text)
        return path

    def test_fills_in_what_a_short_file_leaves_out(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "reference,test,human\na.wav,b.wav,2\n")
        (row,) = custom.read(path).table.to_dict("records")
        assert row["human"] == 2.0
        assert row["test"] == str(tmp_path / "b.wav")
        assert (row["dataset"], row["study"], row["group"]) == ("mine", "mine", "mine")
        assert (row["split"], row["question"]) == ("held-out", "")
        assert pd.isna(row["raters"])

    def test_takes_every_column(self, tmp_path: Path) -> None:
        text = (
            "dataset,study,group,question,reference,test,human,raters,split\n"
            "d,1,g,loudness,a.wav,b.wav,0.5,12,train\nd,1,,,a.wav,gone.wav,0.5,,\n"
        )
        reading = custom.read(self.write(tmp_path, text))
        (row,) = reading.table.to_dict("records")
        assert (row["study"], row["group"], row["raters"], row["split"]) == ("1", "g", 12, "train")
        assert reading.missing == [f"{tmp_path / 'gone.wav'} is absent"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("reference,human\na.wav,1\n", r"lacking \['test'\]"),
            ("reference,test,human,mos\na.wav,b.wav,1,2\n", r"unknown \['mos'\]"),
            ("reference,test,human\na.wav,b.wav,1\na.wav,b.wav,high\n", "line 3: human"),
            ("reference,test,human,split\na.wav,b.wav,1,dev\n", r"got \['dev'\]"),
        ],
    )
    def test_refuses_what_it_cannot_use(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            custom.read(self.write(tmp_path, text))

    def test_reads_the_example_of_the_readme(self, tmp_path: Path) -> None:
        readme = Path(__file__).parents[2] / "benchmarks/README.md"
        text = readme.read_text().split("```csv\n")[1].split("```")[0]
        for name in ("song.wav", "song_64k.wav", "song_noise.wav"):
            (tmp_path / name).touch()
        reading = custom.read(self.write(tmp_path, text))
        assert len(reading.table) == 2
        assert reading.missing == []


class TestRoot:
    def test_comes_from_the_argument_else_from_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PAMT_DATA", str(tmp_path))
        assert find_root() == tmp_path
        (tmp_path / "other").mkdir()
        assert find_root(tmp_path / "other") == tmp_path / "other"

    def test_says_what_to_give_when_there_is_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("PAMT_DATA", raising=False)
        with pytest.raises(InputError, match="--data ROOT or set PAMT_DATA"):
            find_root()
        with pytest.raises(InputError, match="does not exist"):
            find_root(tmp_path / "gone")


class TestCommand:
    def test_lists_pairs_and_says_how_to_get_the_rest(
        self, root: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shutil.rmtree(root / SISEC18.folder)
        with pytest.raises(SystemExit) as stopped:
            main(["data", "--data", str(root)])
        assert stopped.value.code == 0
        output = capsys.readouterr().out
        assert "missing: sisec18: ratings/sisec-mus-18-pick-the-best/results" in output
        clone = "git clone https://github.com/CVSSP/sisec-mus-18-pick-the-best "
        assert clone in output
        assert "checkout 2d808629" in output
        assert "CVSSP/perceptual-study-source-separation " not in output
        assert "159" in output  # held-out timbre: 6 + 153

    def test_fails_in_one_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as stopped:
            main(["data", "--data", str(tmp_path / "gone")])
        assert stopped.value.code == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("error: the data folder")
