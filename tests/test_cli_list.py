"""`pamt score` on lists of pairs: manifests and folders, outputs, resuming, bounds, bad input."""

import csv
import json
import os
import random
import subprocess
import time
from pathlib import Path

import pytest
import soundfile
import torch

import pamt_metric
from tests.support import shell, signals
from tests.support.shell import assert_one_error

RATE = 24_000
ADDED = ["distance", "fidelity", "content", "p_audible", "status", "reason"]
# Single precision through some hundred layers; the bound that users are promised.
BATCH_TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folders `clean` and `noisy` with sounds of one name, of several lengths and channels."""
    path = tmp_path_factory.mktemp("list")
    for name in ("clean", "noisy"):
        (path / name).mkdir()
    for index, duration in enumerate((0.4, 0.9, 0.6)):
        piece = signals.piece(duration, seed=index, sample_rate=RATE)
        noisy = signals.with_noise(piece, 6.0 * index)
        sound = noisy if index != 1 else noisy.expand(2, -1)
        signals.write(path / f"clean/{index}.wav", piece, sample_rate=RATE)
        signals.write(path / f"noisy/{index}.wav", sound, sample_rate=RATE)
    (path / "clean/cover.jpg").write_bytes(b"")
    (path / "text.wav").write_text("not a sound")
    return path


@pytest.fixture
def manifest(folder, tmp_path):
    """Writes a manifest of rows beside the sounds and gives its name."""

    def write(rows, name="pairs.csv"):
        path = folder / f"{tmp_path.name}-{name}"
        if path.suffix == ".jsonl":
            path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        else:
            with path.open("w", newline="") as stream:
                csv.writer(stream).writerows(rows)
        return str(path)

    return write


PAIRS = [[f"clean/{index}.wav", f"noisy/{index}.wav"] for index in range(3)]


def read_csv(path):
    with Path(path).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


class TestManifest:
    def test_keeps_order_and_columns_and_scores_around_a_bad_row(
        self, pamt, folder, manifest, tmp_path
    ):
        rows = [["take", "reference", "test"], ["=1+1", *PAIRS[0]], ["b", "text.wav", "no.wav"]]
        rows += [["c, d", *PAIRS[1]], ["e", "", PAIRS[1][1]], ["f"], ["g", *PAIRS[2]]]
        out = tmp_path / "out.csv"
        done = pamt("score", "--manifest", manifest(rows), "-o", str(out))
        assert_one_error(done, "3 of 6", str(out))
        found = read_csv(out)
        assert list(found[0]) == ["take", "reference", "test", *ADDED]
        assert [row["take"] for row in found] == ["=1+1", "b", "c, d", "e", "f", "g"]
        status = [row["status"] for row in found]
        assert status == ["ok", "failed", "ok", "failed", "failed", "ok"]
        for row in found:
            assert (row["distance"] == "") == (row["status"] == "failed")
            assert (row["reason"] == "") == (row["status"] == "ok")
            assert row["reason"][:1].isalpha() or not row["reason"]
        assert "text.wav" in found[1]["reason"]
        assert "reference must be the path" in found[3]["reason"]
        assert "row has 1 cells, the header has 3" in found[4]["reason"]
        expected = pamt_metric.compare(folder / PAIRS[2][0], folder / PAIRS[2][1])
        for name in ("distance", "fidelity", "content", "p_audible"):
            value = getattr(expected, name)
            assert float(found[5][name]) == pytest.approx(value, abs=BATCH_TOLERANCE)
        assert sorted(tmp_path.iterdir()) == [out, tmp_path / "out.csv.run.json"]

    def test_summary(self, pamt, manifest, tmp_path):
        done = pamt(
            "score",
            "--manifest", manifest([["reference", "test"], *PAIRS]),
            "-o", str(tmp_path / "out.csv"),
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        counts, quantiles = done.stdout.splitlines()
        assert counts == "3 ok, 0 failed"
        distances = sorted(float(row["distance"]) for row in read_csv(tmp_path / "out.csv"))
        assert f"median {distances[1]:.3f}" in quantiles
        assert f"least {distances[0]:.3f}" in quantiles
        assert f"25 % {(distances[0] + distances[1]) / 2:.3f}" in quantiles

    def test_start_and_end_cut_both(self, pamt, folder, manifest, tmp_path):
        reference, test = PAIRS[1]
        rows = [["reference", "test", "start", "end"], [reference, test, "0.25", "0.75"]]
        rows += [[reference, test, "", "0.95"], [reference, test, "0.95", ""]]
        rows += [[reference, test, "0.5", "0.55"], [reference, test, "0.5", "0.2"]]
        rows += [[reference, test, "0.5 s", ""], [reference, test, "-1", ""]]
        out = tmp_path / "out.csv"
        assert_one_error(pamt("score", "--manifest", manifest(rows), "-o", str(out)), "6 of 7")
        cut = [
            soundfile.read(folder / path, start=RATE // 4, stop=3 * RATE // 4, dtype="float32")[0]
            for path in (reference, test)
        ]
        expected = pamt_metric.distance(cut[0], cut[1].T, sample_rate=RATE)
        found, *bad = read_csv(out)
        # The file is resampled before it is cut, the array after: their ends differ a little.
        assert float(found["distance"]) == pytest.approx(expected, rel=0.05)
        words = [
            "reference: end is 0.95 s, the clip ends at 0.9 s",
            "reference: start is 0.95 s, the clip ends at 0.9 s",
            "reference: waveform needs at least 0.1 s",
            "end must be after start",
            "start must be a number of seconds",
            "start must be a number of seconds",
        ]
        for row, word in zip(bad, words, strict=True):
            assert row["reason"].startswith(word)

    def test_jsonl_keeps_types_and_bad_lines(self, pamt, manifest, tmp_path):
        reference, test = PAIRS[0]
        source = manifest(
            [{"reference": reference, "test": test, "tags": ["a"], "n": 1}], "p.jsonl"
        )
        with Path(source).open("a") as stream:
            stream.write("{oops\n[1]\n")
        out = tmp_path / "out.jsonl"
        assert_one_error(pamt("score", "--manifest", source, "-o", str(out)), "2 of 3")
        first, *bad = [json.loads(line) for line in out.read_text().splitlines()]
        assert list(first) == ["reference", "test", "tags", "n", *ADDED]
        assert (first["tags"], first["n"], first["status"]) == (["a"], 1, "ok")
        assert [row["distance"] for row in bad] == [None, None]
        assert bad[0]["reason"].startswith("row is not JSON")
        assert bad[1]["reason"].startswith("row must be a JSON object")

    def test_parquet(self, pamt, manifest, tmp_path):
        parquet = pytest.importorskip("pyarrow.parquet")
        reference, test = PAIRS[0]
        rows = [{"reference": reference, "test": test, "n": 1, "mixed": 1}]
        rows += [{"reference": reference, "test": "no.wav", "n": 2, "mixed": "x"}]
        out = tmp_path / "out.parquet"
        assert_one_error(pamt("score", "--manifest", manifest(rows, "p.jsonl"), "-o", str(out)))
        found = parquet.read_table(out)
        assert found.column_names == ["reference", "test", "n", "mixed", *ADDED]
        assert found.column("n").to_pylist() == [1, 2]
        assert found.column("mixed").to_pylist() == ["1", "x"]
        good, bad = found.column("distance").to_pylist()
        assert good > 0.0
        assert bad is None

    def test_values_depend_on_neither_batch_nor_threads(self, pamt, manifest, tmp_path):
        source = manifest([["reference", "test"], *PAIRS, *PAIRS[::-1], [PAIRS[0][0], PAIRS[1][1]]])
        columns = []
        for index, (batch_size, workers) in enumerate(((1, 1), (2, 3), (8, 2))):
            out = str(tmp_path / f"{index}.csv")
            options = ("--batch-size", str(batch_size), "--workers", str(workers), "-o", out)
            assert pamt("score", "--manifest", source, *options).returncode == 0
            columns.append([float(row["distance"]) for row in read_csv(out)])
        assert columns[0][:3] == pytest.approx(columns[0][3:6][::-1], abs=BATCH_TOLERANCE)
        assert columns[1] == pytest.approx(columns[0], abs=BATCH_TOLERANCE)
        assert columns[2] == pytest.approx(columns[0], abs=BATCH_TOLERANCE)

    def test_without_output_prints_csv(self, pamt, manifest):
        done = pamt("score", "--manifest", manifest([["reference", "test"], PAIRS[0]]))
        assert done.returncode == 0
        (row,) = csv.DictReader(done.stdout.splitlines())
        assert row["status"] == "ok"
        assert done.stderr.startswith("1 ok, 0 failed")


def test_folders_match_by_name(pamt, folder, tmp_path):
    piece = signals.piece(0.3, seed=1, sample_rate=RATE)
    names = ["a/same.wav", "a/=formula.wav", "a/low/deep.wav", "a/twice.wav", "a/twice.flac"]
    names += ["b/same.flac", "b/low/deep.wav", "b/more.wav", "b/twice.wav", "b/.hidden.wav"]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        signals.write(path, piece, sample_rate=RATE)
    (tmp_path / "a/same.txt").write_text("notes")
    with shell.server(tmp_path) as run:
        done = run("score", "--reference-dir", "a", "--test-dir", "b", "-o", "out.csv")
    assert_one_error(done, "3 of 6")
    found = read_csv(tmp_path / "out.csv")
    assert [(row["reference"], row["test"], row["status"]) for row in found] == [
        ("a/=formula.wav", "", "failed"),
        ("a/low/deep.wav", "b/low/deep.wav", "ok"),
        ("", "b/more.wav", "failed"),
        ("a/same.wav", "b/same.flac", "ok"),
        ("a/twice.wav", "b/twice.wav", "ok"),
        ("a/twice.flac", "", "failed"),
    ]
    assert found[0]["reason"] == "no counterpart: of files called =formula, b has none"
    assert found[2]["reason"] == "no counterpart: of files called more, a has none"
    assert found[5]["reason"] == "no counterpart: of files called twice, a or b has several"


def test_one_reference_goes_into_a_file_too(pamt, tmp_path):
    out = tmp_path / "out.jsonl"
    done = pamt("score", "clean/0.wav", "noisy/0.wav", "clean/0.wav", "-o", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    noisy, same = [json.loads(line) for line in out.read_text().splitlines()]
    assert (noisy["reference"], noisy["test"]) == ("clean/0.wav", "noisy/0.wav")
    assert noisy["distance"] > same["distance"] == 0.0


def test_a_name_of_ours_is_no_formula(tmp_path):
    piece = signals.piece(0.3, seed=1, sample_rate=RATE)
    signals.write(tmp_path / "=a.wav", piece, sample_rate=RATE)
    with shell.server(tmp_path) as run:
        assert run("score", "=a.wav", "=a.wav", "-o", "out.csv").returncode == 0
    (row,) = read_csv(tmp_path / "out.csv")
    assert (row["reference"], row["test"], row["distance"]) == ("./=a.wav", "./=a.wav", "0.0")


class TestBounds:
    @pytest.mark.parametrize(
        ("options", "code", "words"),
        [
            pytest.param(("--fail-over", "0.5"), 1, "over 0.5", id="over"),
            pytest.param(("--fail-over", "1000"), 0, "", id="not over"),
            pytest.param(("--fail-under", "0.5"), 1, "1 of 2 under 0.5 (0.000)", id="under"),
            pytest.param(("--fail-under", "0"), 0, "", id="not under"),
        ],
    )
    def test_of_a_table_and_of_a_list(self, pamt, manifest, options, code, words):
        test = ("clean/0.wav", "noisy/0.wav")
        source = manifest([["reference", "test"], *(["clean/0.wav", name] for name in test)])
        for arguments in (("clean/0.wav", *test), ("--manifest", source)):
            done = pamt("score", *arguments, *options)
            assert done.returncode == code
            assert words in done.stderr

    def test_a_failed_row_counts_more(self, pamt):
        done = pamt("score", "clean/0.wav", "noisy/0.wav", "no.wav", "--fail-over", "0.5")
        assert done.returncode == 2
        assert "over 0.5" in done.stderr
        assert "no.wav" in done.stderr


class TestResume:
    @pytest.mark.slow
    @pytest.mark.timeout(900)  # starts four processes
    def test_after_kills_nothing_is_lost_and_nothing_done_twice(self, folder, manifest, tmp_path):
        rows = [[str(n), *PAIRS[n % 3]] for n in range(24)]
        source = manifest([["n", "reference", "test"], *rows])
        out, part = tmp_path / "out.csv", tmp_path / "out.csv.part"
        command = [*shell.COMMAND, "score", "--manifest", source, "-o", str(out)]
        command += ["--resume", "--batch-size", "2"]
        pick, before = random.Random(0), b""
        for _ in range(3):
            process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
            while not part.exists() or part.read_bytes().count(b"\n") <= before.count(b"\n"):
                assert process.poll() is None
                time.sleep(0.005)
            time.sleep(pick.uniform(0.0, 0.2))
            process.kill()
            process.wait()
            after = part.read_bytes()
            assert after.startswith(before)
            before = after[: after.rfind(b"\n") + 1]
            with part.open("ab") as stream:  # the kill might have come within a write
                stream.write(b'{"distance": 0.1, "fid')
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        found = read_csv(out)
        assert [row["n"] for row in found] == [str(n) for n in range(24)]
        distances = [float(row["distance"]) for row in found]
        for n, distance in enumerate(distances):
            assert distance == pytest.approx(distances[n % 3], abs=BATCH_TOLERANCE)
        assert not part.exists()

    def test_of_a_finished_run_does_nothing_and_tells_the_same(self, pamt, manifest, tmp_path):
        out = tmp_path / "out.csv"
        source = manifest([["reference", "test"], *PAIRS[:2], ["no.wav", PAIRS[0][1]]])
        arguments = ("score", "--manifest", source, "-o", str(out), "--resume", "--fail-over", "0")
        first = pamt(*arguments)
        stamp = out.stat().st_mtime_ns
        again = pamt(*arguments)
        assert (again.returncode, again.stdout, again.stderr) == (2, first.stdout, first.stderr)
        assert out.stat().st_mtime_ns == stamp

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            pytest.param({"pairs_sha256": "0" * 64}, "another list of pairs", id="pairs"),
            pytest.param({"model": {"name": "other"}}, "another model (other", id="model"),
            pytest.param({"level": "absolute"}, "another --level (absolute, now", id="level"),
            pytest.param({"version": "0.0.1"}, "another version of pamt-metric", id="version"),
        ],
    )
    def test_with_something_else_is_refused(self, pamt, manifest, tmp_path, change, words):
        out, run = tmp_path / "out.csv", tmp_path / "out.csv.run.json"
        arguments = ("score", "--manifest", manifest([["reference", "test"], PAIRS[0]]))
        assert pamt(*arguments, "-o", str(out)).returncode == 0
        run.write_text(json.dumps(json.loads(run.read_text()) | change))
        assert_one_error(pamt(*arguments, "-o", str(out), "--resume"), "cannot resume", words)

    def test_with_another_manifest_is_refused(self, pamt, manifest, tmp_path):
        out = tmp_path / "out.csv"
        first = manifest([["reference", "test"], PAIRS[0]])
        assert pamt("score", "--manifest", first, "-o", str(out)).returncode == 0
        second = manifest([["reference", "test"], PAIRS[1]], "other.csv")
        done = pamt("score", "--manifest", second, "-o", str(out), "--resume")
        assert_one_error(done, "cannot resume", "another list of pairs")

    def test_an_output_that_is_there_is_not_overwritten(self, pamt, manifest, tmp_path):
        source = manifest([["reference", "test"], PAIRS[0]])
        out = tmp_path / "out.csv"
        arguments = ("score", "--manifest", source, "-o")
        out.write_text("precious")
        assert_one_error(pamt(*arguments, str(out)), "is there already")
        assert_one_error(pamt(*arguments, str(out), "--resume"), "out.csv.run.json is missing")
        assert out.read_text() == "precious"
        assert_one_error(pamt(*arguments, source), "is there already")
        (tmp_path / "new.csv.part").touch()
        assert_one_error(pamt(*arguments, str(tmp_path / "new.csv")), "--resume")


MANIFESTS = {
    "empty.csv": "",
    "header.csv": "reference,test\n",
    "empty.jsonl": "",
    "missing.csv": "reference,other\na,b\n",
    "semicolon.csv": "reference;test\na;b\n",
    "doubled.csv": "reference,test,x,x\na,b,c,d\n",
    "clash.csv": "reference,test,distance\na,b,c\n",
    "clash.jsonl": '{"reference": "a", "test": "b", "reason": "c"}\n',
    "latin.csv": b"reference,test\n\xe4.wav,b.wav\n",
    "quote.csv": 'reference,test\n"a"b,c\n',
    "good.csv": "reference,test\nclean/0.wav,noisy/0.wav\n",
    "name.txt": "reference,test\na,b\n",
}


@pytest.fixture(scope="module")
def manifests(folder):
    for name, content in MANIFESTS.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--manifest", "no.csv"), ("cannot read no.csv", "No such file")),
        (("--manifest", "name.txt"), ("must end in .csv, .jsonl or .parquet",)),
        (("--manifest", "empty.csv"), ("has no rows",)),
        (("--manifest", "header.csv"), ("has no rows",)),
        (("--manifest", "empty.jsonl"), ("has no rows",)),
        (("--manifest", "missing.csv"), ("no column 'test'", "'other'")),
        (("--manifest", "semicolon.csv"), ("is the separator a comma?",)),
        (("--manifest", "doubled.csv"), ("more than one column 'x'",)),
        (("--manifest", "clash.csv"), ("'distance'", "rename")),
        (("--manifest", "clash.jsonl"), ("'reason'", "rename")),
        (("--manifest", "latin.csv"), ("UTF-8",)),
        (("--manifest", "quote.csv"), ("not a csv file",)),
        (("--manifest", "good.csv", "--device", "tpu"), ("tpu", "'auto', 'cpu', 'cuda', 'mps'")),
        (("--manifest", "good.csv", "--batch-size", "0"), ("--batch-size",)),
        (("--manifest", "good.csv", "--workers", "0"), ("--workers",)),
        (("--manifest", "good.csv", "--json"), ("--json",)),
        (("--manifest", "good.csv", "--fail-over", "nan"), ("--fail-over", "nan")),
        (("--manifest", "good.csv", "--fail-under", "low"), ("--fail-under",)),
        (("--manifest", "good.csv", "--resume"), ("--output",)),
        (("--manifest", "good.csv", "--model", "nano"), ("nano",)),
        (("--manifest", "good.csv", "-o", "out.txt"), ("out.txt", ".parquet")),
        (("--manifest", "good.csv", "-o", "no/out.csv"), ("no folder no",)),
        (("--manifest", "good.csv", "clean/0.wav", "noisy/0.wav"), ("one of the three, got 2",)),
        (("--reference-dir", "clean"), ("go together",)),
        (("--reference-dir", "clean", "--test-dir", "no"), ("no is not a folder",)),
        ((), ("one of the three, got 0",)),
    ],
)
def test_bad_input_is_one_error(pamt, manifests, arguments, words):
    assert_one_error(pamt("score", *arguments), *words)


def test_folders_without_sound_are_an_error(pamt, tmp_path):
    folder = str(tmp_path)
    assert_one_error(pamt("score", "--reference-dir", folder, "--test-dir", folder), "sound file")


def test_an_output_that_cannot_be_written_is_an_error(pamt, manifests, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    # root writes everywhere but into the kernel's own files
    target = closed / "out.csv" if os.geteuid() else Path("/sys/out.csv")
    done = pamt("score", "--manifest", "good.csv", "-o", str(target))
    assert_one_error(done, f"cannot write {target}", "denied")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without cuda")
def test_a_device_that_is_not_there_is_an_error(pamt, manifests):
    done = pamt("score", "--manifest", "good.csv", "--device", "cuda")
    assert_one_error(done, "device cuda is not there", "cpu")


def test_parquet_without_pyarrow_says_what_to_install(folder, manifests):
    arguments = ("score", "--manifest", "good.csv", "-o", "out.parquet")
    done = shell.run(folder, *arguments, without="pyarrow")
    assert_one_error(done, "pip install 'pamt-metric[parquet]'")


def test_progress_shows_rate_and_remaining_time_on_a_terminal(folder, manifests, tmp_path):
    arguments = ("score", "--manifest", "good.csv", "-o", tmp_path / "out.csv")
    done = shell.run(folder, *arguments, FORCE_COLOR="1", COLUMNS="100")
    assert done.returncode == 0
    assert "1/1" in done.stderr
    assert "/s" in done.stderr
    assert "0:00:00" in done.stderr
    assert "1/1" not in done.stdout
