"""`pamt score` on a manifest that names objects of a store, by URI."""

import csv
import os

import pytest

from tests.support import clips, object_store, shell
from tests.support.shell import assert_one_error

pytest.importorskip("pyarrow.fs")
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return clips.write(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def pamt(folder):
    with (
        object_store.serving(folder) as address,
        shell.server(
            folder, os.environ | CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://{address}"}
        ) as run,
    ):
        yield run


@pytest.fixture
def score(pamt, folder):
    """Scores pairs of cells; gives what the command said and the rows."""

    def run(*pairs):
        with (folder / "pairs.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([("reference", "test"), *pairs])
        done = pamt("score", "--manifest", "pairs.csv")
        return done, list(csv.DictReader(done.stdout.splitlines()))

    return run


def test_gives_what_the_files_give(score):
    pairs = [("a.wav", "noisy.wav"), ("s3://bucket/a.wav", "s3://bucket/noisy.wav")]
    done, (local, stored) = score(*pairs)
    assert done.returncode == 0
    assert stored["test"] == "s3://bucket/noisy.wav"
    assert local["status"] == stored["status"] == "ok"
    # one batch, another place in it
    assert float(stored["distance"]) == pytest.approx(float(local["distance"]), abs=1e-4)


def test_what_cannot_be_read_is_the_reason_of_its_row(score):
    done, (missing, text, scheme, good) = score(
        ("a.wav", "s3://bucket/no.wav"),
        ("s3://bucket/text.wav", "a.wav"),
        ("a.wav", "https://127.0.0.1/a.wav"),
        ("s3://bucket/a.wav", "a.wav"),
    )
    assert done.returncode == 2
    assert missing["reason"].startswith("test: 's3://bucket/no.wav': cannot be read: ")
    assert text["reason"].startswith("reference: 's3://bucket/text.wav': ")
    assert "Unrecognized filesystem" in scheme["reason"]
    assert good["distance"] == "0.0"


def test_without_pyarrow_says_what_to_install(folder):
    (folder / "one.csv").write_text("reference,test\ns3://bucket/a.wav,a.wav\n")
    done = shell.run(folder, "score", "--manifest", "one.csv", without="pyarrow")
    assert "pip install 'pamt-metric[parquet]'" in done.stdout
    assert done.returncode == 2


def test_an_address_of_a_store_is_no_file(pamt):
    done = pamt("score", "s3://bucket/a.wav", "a.wav")
    assert_one_error(done, "s3://bucket/a.wav", "no such file")
