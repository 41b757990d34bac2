"""`pamt report`: what it puts into the page, and what it says of bad input."""

import base64
import csv
import json
import re

import pytest
import soundfile

from tests.pictures.conftest import DURATION_S, RATE
from tests.support import signals
from tests.support.shell import assert_one_error

HEADER = ["reference", "test", "distance", "fidelity", "content", "p_audible", "status", "reason"]
GOOD = ["piece.wav", "noisy.wav", "2.5", "2.5", "4", "0.9", "ok", ""]


def views(page):
    """What the page knows of the pairs that can be opened, by row."""
    found = re.findall(r'<script type="application/json" id="pair-(\d+)">(.*?)</script>', page)
    return {int(number): json.loads(text) for number, text in found}


@pytest.fixture
def written(folder, tmp_path):
    """Writes a table of scores into the folder and gives its name."""

    def write(rows, name="table.csv"):
        path = folder / f"{tmp_path.name}-{name}"
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows(rows)
        return path.name

    return write


def report(pamt, folder, *arguments):
    """The page and what the command said."""
    done = pamt("report", *arguments, "-o", "page.html")
    return (folder / "page.html").read_text(encoding="utf-8"), done


class TestPairs:
    def test_the_most_different_come_with_maps_and_sound(self, pamt, folder, scores):
        page, done = report(pamt, folder, scores.name, "--pairs", "2")
        assert (done.returncode, done.stderr) == (0, "")
        assert "4 pairs, 2 of them to open" in done.stdout
        assert "The 2 of 3 scored pairs that can be opened are those of the largest" in page
        assert "The other 1 are only listed." in page
        assert sum(map(int, re.findall(r"<title>(\d+) from", page))) == 3  # bars of the spread
        found = views(page)
        with scores.open(newline="") as stream:
            distances = {
                i: float(row["distance"] or 0) for i, row in enumerate(csv.DictReader(stream), 1)
            }
        assert set(found) == set(sorted(distances, key=distances.__getitem__)[-2:])
        done = pamt("score", "piece.wav", "noisy.wav", "--json")
        (expected,) = json.loads(done.stdout)["results"]
        shown = found[1]
        assert shown["summary"]["distance"] == pytest.approx(expected["distance"], abs=1e-4)
        # Its mean is the distance, to the three digits that the page keeps of each column.
        over_time = shown["over_time"]
        assert sum(over_time) / len(over_time) == pytest.approx(expected["distance"], abs=1e-3)
        # frames of 1/75 s that fit into the clip, by 75 bands
        assert (shown["columns"], shown["bands"]) == (112, 75)
        assert shown["notes"] == []

    def test_starts_from_any_folder_and_takes_the_options_of_the_run(
        self, pamt, folder, scores, tmp_path
    ):
        """Paths are those of the list, wherever its scores are; level and align as they were."""
        out = tmp_path / "absolute.csv"
        options = ("--level", "absolute", "--align", "none")
        pamt("score", "--manifest", "pairs.csv", "-o", str(out), *options)
        page, done = report(pamt, folder, str(out))
        assert done.returncode == 0
        late = views(page)[4]
        assert (late["summary"]["lag_ms"], late["summary"]["gain_db"]) == (0.0, 0.0)
        assert late["duration"] == pytest.approx(DURATION_S + 0.1)
        assert late["notes"] == []
        out.with_name("absolute.csv.run.json").unlink()
        page, done = report(pamt, folder, str(out), "--folder", ".")
        assert views(page)[4]["notes"][0].startswith("The table says")

    def test_refuses_a_warped_run_until_told_how_to_show_it(self, pamt, folder, scores, tmp_path):
        out = tmp_path / "warped.csv"
        pamt("score", "--manifest", "pairs.csv", "-o", str(out), "--align", "dtw")
        done = pamt("report", str(out), "-o", "warped.html")
        assert_one_error(done, "one time axis", "'auto' or 'none'")
        assert pamt("report", str(out), "-o", "warped.html", "--align", "none").returncode == 0

    def test_without_sound(self, pamt, folder, scores):
        page, _ = report(pamt, folder, scores.name, "--audio", "none")
        assert all(view["sound"] is None for view in views(page).values())
        assert all("--audio none" in view["notes"][-1] for view in views(page).values())

    def test_a_part_and_two_rows_of_one_pair(self, pamt, folder, written):
        rows = [[*HEADER, "start", "end"], [*GOOD, "0", "1"], [*GOOD, "0.5", "1.5"]]
        page, done = report(pamt, folder, written(rows))
        assert done.returncode == 0
        found = views(page)
        assert [view["duration"] for view in found.values()] == [1.0, 1.0]
        assert found[1]["difference"] != found[2]["difference"]

    def test_jsonl_with_a_name_that_is_no_unicode(self, pamt, folder):
        row = dict(zip(HEADER, [*GOOD[:2], 2.5, 2.5, 4, 0.9, "ok", ""], strict=True))
        (folder / "odd.jsonl").write_text(json.dumps({**row, "take": "\udc80", "tags": ["<b>"]}))
        page, done = report(pamt, folder, "odd.jsonl")
        assert done.returncode == 0
        assert "[&#34;&lt;b&gt;&#34;]" in page


class TestBadRows:
    def test_keep_their_place_and_their_reason(self, pamt, folder, written):
        rows = [
            HEADER,
            [*GOOD[:2], "nan", *GOOD[3:]],
            [*GOOD[:2], "far", *GOOD[3:]],
            ["piece.wav"],
            [*GOOD[:2], "", "", "", "", "failed", "test: <b>gone</b>"],
            [*GOOD[:2], "-1", *GOOD[3:]],
        ]
        page, done = report(pamt, folder, written(rows))
        assert done.returncode == 0
        assert views(page) == {}
        for words in (
            "got &#39;nan&#39;",
            "a value is not a number: could not convert",
            "row has 1 cells, the header has 8",
            "test: &lt;b&gt;gone&lt;/b&gt;",
            "got &#39;-1&#39;",
        ):
            assert words in page

    def test_a_file_that_is_gone_is_said_and_the_others_are_shown(self, pamt, folder, written):
        rows = [HEADER, GOOD, ["piece.wav", "moved.wav", "9", "9", "9", "1", "ok", ""]]
        page, done = report(pamt, folder, written(rows))
        assert_one_error(done, "row 2 cannot be opened", "moved.wav", "no such file")
        assert list(views(page)) == [1]
        assert "cannot be opened: test: &#39;moved.wav&#39;" in page

    def test_a_file_that_has_changed_is_noted(self, pamt, folder, written):
        page, _ = report(pamt, folder, written([HEADER, [*GOOD[:2], "7.5", *GOOD[3:]]]))
        (note,) = views(page)[1]["notes"]
        assert "The table says 7.500" in note


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("gone.csv", "-o", "x.html"), ("cannot read gone.csv",)),
            (("pairs.csv", "-o", "x.html"), ("no column 'distance'", "pamt score")),
            (("piece.wav", "-o", "x.html"), ("must end in .csv",)),
            (("out.csv", "-o", "x.pdf"), ("must end in .html",)),
            (("out.csv", "-o", "nowhere/x.html"), ("no folder nowhere",)),
            (("out.csv", "-o", "/proc/x.html"), ("cannot write /proc/x.html",)),
            (("out.csv", "-o", "folder.html"), ("is a folder",)),
            (("out.csv", "-o", "x.html", "--pairs", "-1"), ("--pairs",)),
            (("out.csv", "-o", "x.html", "--audio", "mp3"), ("flac", "opus")),
            (("out.csv", "-o", "x.html", "--folder", "nowhere"), ("nowhere is not a folder",)),
            (("out.csv", "-o", "x.html", "--model", "no-such"), ("no-such",)),
            (("out.csv",), ("--output",)),
        ],
    )
    def test_is_one_line(self, pamt, folder, scores, arguments, words):
        (folder / "folder.html").mkdir(exist_ok=True)
        assert_one_error(pamt("report", *arguments), *words)
        assert not (folder / "x.html").exists()

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", ("has no rows",)),
            (",".join(HEADER).encode(), ("has no rows",)),
            (",".join([*HEADER, "test"]).encode() + b"\n", ("more than one column 'test'",)),
            (b"reference,test,distance\n\xff,b,1\n", ("not UTF-8",)),
            (b"reference;test;distance\na;b;1\n", ("no column 'reference'",)),
        ],
    )
    def test_table_is_one_line(self, pamt, folder, content, words):
        (folder / "bad.csv").write_bytes(content)
        assert_one_error(pamt("report", "bad.csv", "-o", "x.html"), "bad.csv", *words)

    def test_record_of_another_model_or_none_at_all(self, pamt, folder, written):
        name = written([HEADER, GOOD])
        record = folder / f"{name}.run.json"
        record.write_text(json.dumps({"model": {"name": "other", "sha256": "0"}}))
        done = pamt("report", name, "-o", "x.html", "--model", "pamt-mini")
        assert_one_error(done, "was scored by other", "--model")
        for content in ("{", "[]"):
            record.write_text(content)
            assert_one_error(pamt("report", name, "-o", "x.html"), "is damaged; remove it")


def test_a_long_pair_comes_with_maps_of_a_bounded_width(pamt, folder, written):
    long = signals.piece(12.0, seed=3)
    soundfile.write(folder / "long.wav", long.numpy(), RATE)
    rows = [HEADER, ["long.wav", "noisy.wav", *GOOD[2:]]]
    page, done = report(pamt, folder, written(rows))
    assert done.returncode == 0
    (view,) = views(page).values()
    assert view["columns"] == len(view["over_time"]) == 800 < 12 * 75
    assert len(base64.b64decode(view["difference"])) == 800 * 75
