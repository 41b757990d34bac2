"""Models from the Hub, against a small Hub on this machine (`tests/support/hub_server.py`).

The client reads its environment when it is imported, so it runs in processes of its own: one that
answers commands for the whole file, with a repository of its own for each test, and others where
the environment differs. In those, reaching for a network is an error.
"""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile
from packaging.version import Version

from pamt_metric import checkpoint, hub
from tests.support import shell, signals
from tests.support.hub_server import TOKEN, HubServer, sha256
from tests.support.shell import assert_one_error

RATE = 24_000
ENCODER = {
    "config.json": b'{"model_type": "mert_model"}',
    "preprocessor_config.json": b"{}",
    "pytorch_model.bin": b"weights",
}
UNNEEDED = {"README.md": b"card", "modeling_MERT.py": b"raise SystemExit", "MERT_fairseq.pt": b"?"}
needs_retries = pytest.mark.skipif(
    Version(metadata.version("huggingface_hub")) < Version("1"),
    reason="the client before 1.0 does not go on by itself; the command says to try again",
)
CHUNK = 10 * 1024 * 1024
"""Bytes that the client writes at once: what came of a chunk that broke off is lost."""
# Any attempt to open a connection, whatever library makes it.
NO_NETWORK = """
import socket, sys
def refuse(*arguments, **_):
    sys.stderr.write(f"asked for the network: {arguments}\\n")
    raise OSError(101, "Network is unreachable")
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refuse)
socket.getaddrinfo = socket.gethostbyname = refuse
"""


@pytest.fixture(scope="module")
def server():
    with HubServer() as started:
        yield started


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The client's folder, with its cache."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def environment(server, home):
    changes = {
        "HF_ENDPOINT": server.endpoint,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_ETAG_TIMEOUT": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": "2",
    }
    unwanted = {"HF_TOKEN", "HF_HUB_CACHE", "HF_TOKEN_PATH", "HF_HUB_DISABLE_TELEMETRY"}
    return {k: v for k, v in os.environ.items() if k not in unwanted} | changes


@pytest.fixture(scope="module")
def pamt(environment, tmp_path_factory):
    with shell.server(tmp_path_factory.mktemp("work"), environment) as run:
        yield run


@pytest.fixture
def token(home):
    """Log in."""
    (home / "token").write_text(TOKEN)
    yield
    (home / "token").unlink()


@pytest.fixture
def python(environment):
    """Run a script in a process of its own."""

    def run(script, *arguments, **changes):
        return subprocess.run(
            [sys.executable, "-W", "error::UserWarning", "-c", script, *map(str, arguments)],
            env=environment | changes,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two files of sound."""
    folder = tmp_path_factory.mktemp("audio")
    piece = signals.piece(0.6, seed=1, sample_rate=RATE)
    paths = [folder / "reference.wav", folder / "test.wav"]
    for path, sound in zip(paths, (piece, signals.with_noise(piece, 20.0)), strict=True):
        soundfile.write(path, sound.numpy(), RATE, subtype="FLOAT")
    return paths


@pytest.fixture(scope="module")
def model(server, tiny_metric, tiny_head_config, tmp_path_factory):
    """A metric on the Hub whose encoder is another repository there, and the same in a folder."""
    folder = tmp_path_factory.mktemp("model")
    tiny_metric.encoder.to_folder(folder / "encoder")
    commit = server.add("maker/encoder", read(folder / "encoder"))
    weights = sha256((folder / "encoder/model.safetensors").read_bytes())
    source = {"revision": commit, "sha256": weights, "normalize": False}
    arguments = {"name": "tiny", "version": "1", "head_config": tiny_head_config, "card": {}}
    for name, hub_id in (("local", str(folder / "encoder")), ("published", "maker/encoder")):
        place = source | {"hub": hub_id, "revision": commit if name == "published" else None}
        checkpoint.save(tiny_metric, folder / name, encoder_hub=place, **arguments)
    server.add("maker/metric", read(folder / "published") | UNNEEDED)
    return SimpleNamespace(id="maker/metric", encoder="maker/encoder", local=folder / "local")


def read(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows(done):
    return [line.split() for line in done.stdout.splitlines()]


class TestDownload:
    def test_gets_the_needed_files_and_no_others(self, server, pamt):
        server.add("a/encoder", ENCODER | UNNEEDED)
        done = pamt("download", "a/encoder")
        assert (done.returncode, done.stderr) == (0, "")
        assert read(Path(done.stdout.strip())) == ENCODER
        asked = {request.path.rpartition("/")[2] for request in server.asked("GET", "a/encoder")}
        assert asked == set(ENCODER)

    def test_prefers_safetensors(self, server, pamt):
        server.add("a/both", ENCODER | {"model.safetensors": b"safe"})
        folder = Path(pamt("download", "a/both").stdout.strip())
        assert sorted(read(folder)) == [
            "config.json",
            "model.safetensors",
            "preprocessor_config.json",
        ]

    def test_does_without_an_optional_file(self, server, pamt):
        files = {k: v for k, v in ENCODER.items() if k != "preprocessor_config.json"}
        commit = server.add("a/plain", files)
        assert read(Path(pamt("download", "a/plain").stdout.strip())) == files
        server.requests.clear()
        pamt("download", "a/plain", "--revision", commit)
        assert server.requests == []

    def test_a_commit_that_is_cached_costs_no_request(self, server, pamt):
        commit = server.add("a/cached", ENCODER)
        arguments = ("download", "a/cached", "--revision", commit)
        first = pamt(*arguments)
        server.requests.clear()
        assert pamt(*arguments).stdout == first.stdout
        assert server.requests == []

    def test_a_branch_that_is_cached_costs_one_request_and_moves_on(self, server, pamt):
        server.add("a/branch", ENCODER)
        pamt("download", "a/branch")
        server.requests.clear()
        pamt("download", "a/branch")
        assert [request.method for request in server.requests] == ["HEAD"]
        server.repositories["a/branch"].commit({"pytorch_model.bin": b"newer"})
        folder = Path(pamt("download", "a/branch").stdout.strip())
        assert (folder / "pytorch_model.bin").read_bytes() == b"newer"

    def test_of_a_revision(self, server, pamt):
        commit = server.add("a/two", ENCODER)
        server.repositories["a/two"].commit({"pytorch_model.bin": b"newer"})
        folder = Path(pamt("download", "a/two", "--revision", commit).stdout.strip())
        assert (folder.name, (folder / "pytorch_model.bin").read_bytes()) == (commit, b"weights")

    def test_asks_nothing_else_and_tells_nothing_else(self, server, pamt):
        server.requests.clear()
        server.add("a/quiet", ENCODER)
        pamt("download", "a/quiet")
        assert all("a/quiet" in request.path for request in server.requests)
        agents = {request.headers["user-agent"] for request in server.requests}
        assert not any(word in agent for agent in agents for word in ("torch", "agent/"))

    def test_the_storage_does_not_see_the_token(self, server, pamt, token):
        server.add("a/private", ENCODER, private=True)
        assert pamt("download", "a/private").returncode == 0
        requests = [r for r in server.requests if "a/private" in r.path]
        assert {r.headers.get("authorization") for r in requests if r.is_storage} == {None}
        hub_saw = {r.headers.get("authorization") for r in requests if not r.is_storage}
        assert hub_saw == {f"Bearer {TOKEN}"}

    def test_of_a_bundled_model_has_nothing_to_do(self, server, pamt):
        server.requests.clear()
        done = pamt("download", "pamt-mini")
        assert (done.returncode, server.requests) == (0, [])
        assert Path(done.stdout.strip()).name == "pamt-mini"

    def test_of_a_metric_gets_its_encoder_too(self, model, pamt):
        own, encoder = (Path(x) for x in pamt("download", model.id).stdout.split())
        assert sorted(read(own)) == ["config.json", "model.safetensors"]
        assert "models--maker--encoder" in str(encoder)


class TestBrokenDownload:
    @pytest.fixture
    def big(self, server):
        """A repository whose weights are several chunks of the client's, and those weights."""
        weights = bytes(range(256)) * (5 * CHUNK // 512)

        def add(hub_id, **traits):
            server.add(hub_id, ENCODER | {"pytorch_model.bin": weights}, **traits)
            return weights

        return add

    def ranges(self, server, hub_id):
        return [r.headers.get("range") for r in server.asked("GET", hub_id) if r.is_storage]

    @needs_retries
    def test_goes_on_where_the_connection_broke(self, server, pamt, big):
        weights = big("b/cut", cut_at=[CHUNK + 5])
        done = pamt("download", "b/cut")
        assert (done.returncode, done.stderr) == (0, "")
        assert (Path(done.stdout.strip()) / "pytorch_model.bin").read_bytes() == weights
        assert self.ranges(server, "b/cut") == [None, f"bytes={CHUNK}-"]

    @needs_retries
    def test_goes_on_in_a_later_process(self, server, pamt, python, big):
        weights = big("b/later", cut_at=[CHUNK + 5], status_after_cut=503)
        assert_one_error(pamt("download", "b/later"), "b/later", "answers 503; try again later")
        assert ["broken", "off", "10.5", "MB"] in [row[:4] for row in rows(pamt("doctor"))]
        server.repositories["b/later"].status = None
        done = python("from pamt_metric.cli import main; import sys; main()", "download", "b/later")
        assert (done.returncode, done.stderr) == (0, "")
        assert (Path(done.stdout.strip()) / "pytorch_model.bin").read_bytes() == weights
        assert self.ranges(server, "b/later") == [None, f"bytes={CHUNK}-"]

    @pytest.mark.slow
    def test_that_never_ends_says_that_what_came_is_kept(self, server, pamt, big):
        big("b/never", cut_at=[CHUNK + 5] + [0] * 9)
        assert_one_error(pamt("download", "b/never"), "b/never", "broke off; what came is kept")
        server.repositories["b/never"].cut_at.clear()
        assert pamt("download", "b/never").returncode == 0

    def test_damaged_on_its_way_is_not_kept(self, server, pamt):
        server.add("b/damaged", ENCODER, damaged=True)
        done = pamt("download", "b/damaged")
        assert_one_error(done, "pytorch_model.bin came with sha256", "not what the Hub states")
        server.repositories["b/damaged"].damaged = False
        assert pamt("download", "b/damaged").returncode == 0

    def test_damaged_in_the_cache_is_found_and_replaced(self, server, pamt):
        server.add("b/rotten", ENCODER)
        folder = Path(pamt("download", "b/rotten").stdout.strip())
        weights = folder / "pytorch_model.bin"
        weights.write_bytes(b"rotten")
        command = f"pamt download b/rotten --revision {folder.name}"
        done = pamt("doctor")
        assert_one_error(done, f"b/rotten is not complete and sound: {command}")
        assert ["damaged", "6", "B", sha256(b"rotten"), str(weights)] in rows(done)
        assert pamt(*command.split()[1:]).returncode == 0
        assert weights.read_bytes() == b"weights"
        assert pamt("doctor").returncode == 0

    def test_other_weights_at_a_pinned_commit_are_refused(self, server, pamt):
        pin = hub.PUBLISHED["m-a-p/MERT-v1-95M"]
        server.add("m-a-p/MERT-v1-95M", ENCODER)
        server.repositories["m-a-p/MERT-v1-95M"].commits[pin.revision] = ENCODER
        done = pamt("download", "m-a-p/MERT-v1-95M")
        assert_one_error(done, f"sha256 {sha256(b'weights')}, expected {pin.sha256}")
        assert server.asked("HEAD", f"MERT-v1-95M/resolve/{pin.revision}/pytorch_model.bin")
        assert_one_error(pamt("doctor"), "m-a-p/MERT-v1-95M is not complete and sound")
        for path in (hub_folder(pamt) / "models--m-a-p--MERT-v1-95M").rglob("*.bin"):
            path.unlink()


def hub_folder(pamt):
    return Path(pamt("doctor").stdout.splitlines()[-1].rpartition("cache ")[2])


REFUSALS = {
    "private": ({"private": True}, (), "no such repository, or it is private; check the id, or"),
    "gated": ({"gated": True}, (), "it is gated: accept its terms at http://127.0.0.1"),
    "revision": ({}, ("--revision", "v9"), "c/revision at revision v9: there is no such revision"),
    "broken": ({"status": 500}, (), "answers 500; try again later"),
    "forbidden": ({"status": 403}, (), "your token lacks the permission (403)"),
    "slow": ({"hangs": True}, (), "does not answer in time; try again later"),
}


class TestRefusals:
    @pytest.mark.parametrize("name", REFUSALS)
    def test_are_one_line_and_exit_code_2(self, server, pamt, name):
        traits, options, words = REFUSALS[name]
        server.add(f"c/{name}", ENCODER, **traits)
        assert_one_error(pamt("download", f"c/{name}", *options), f"cannot get c/{name}", words)

    def test_no_repository(self, pamt):
        words = "there is no such repository, or it is private; check the id, or log in with"
        assert_one_error(pamt("download", "c/nothing"), words)

    def test_no_repository_for_one_who_has_logged_in(self, pamt, token):
        assert_one_error(pamt("download", "c/nothing"), "or your token may not read it")

    def test_no_file(self, server, pamt):
        server.add("c/no-weights", {"config.json": ENCODER["config.json"]})
        done = pamt("download", "c/no-weights")
        assert_one_error(done, "it has no model.safetensors or pytorch_model.bin")

    def test_no_model_of_ours(self, server, pamt):
        server.add("c/bert", {"config.json": b'{"model_type": "bert"}'})
        assert_one_error(pamt("download", "c/bert"), "model_type 'bert'")

    def test_no_id(self, pamt):
        assert_one_error(pamt("download", "./folder"), "no Hub id 'owner/name'")

    def test_of_score(self, pamt, pair):
        done = pamt("score", *pair, "--model", "c/nothing")
        assert_one_error(done, "cannot get c/nothing at revision main: there is no such")

    def test_no_hub(self, python):
        done = python(
            "from pamt_metric.cli import main; main()",
            "download",
            "c/unreachable",
            HF_ENDPOINT="http://127.0.0.1:9",
        )
        assert_one_error(done, "cannot reach http://127.0.0.1:9", "check the connection")

    def test_offline(self, python):
        done = python(
            "from pamt_metric.cli import main; main()", "download", "c/new", HF_HUB_OFFLINE="1"
        )
        assert_one_error(done, "HF_HUB_OFFLINE is set", "run 'pamt download c/new'")


SCORE = (
    NO_NETWORK
    + """
import pamt_metric as pamt
model, a, b = sys.argv[1:]
print(pamt.load(model).distance(a, b))
"""
)


class TestLoad:
    @pytest.fixture
    def expected(self, pamt, model, pair):
        pamt("download", model.id)
        return checkpoint.load(model.local).distance(*pair)

    def test_gives_the_distance_of_the_folder(self, pamt, model, pair, expected):
        report = json.loads(pamt("score", *pair, "--model", model.id, "--json").stdout)
        assert report["results"][0]["distance"] == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize("offline", ["0", "1"])
    def test_of_what_is_cached_does_without_a_network(self, python, model, pair, expected, offline):
        done = python(SCORE, model.id, *pair, HF_HUB_OFFLINE=offline)
        assert done.returncode == 0, done.stderr
        assert float(done.stdout) == pytest.approx(expected, rel=1e-6)
        if offline == "1":
            assert done.stderr == ""

    def test_of_the_bundled_model_never_asks_for_one(self, python, pair):
        done = python(SCORE, "pamt-mini", *pair)
        assert (done.returncode, done.stderr) == (0, "")
        assert float(done.stdout) > 0.0

    def test_refuses_another_encoder_than_the_head_was_made_for(self, server, pamt, model, pair):
        config = json.loads(
            server.repositories[model.id].commits[main(server, model.id)]["config.json"]
        )
        config["encoder"]["sha256"] = "0" * 64
        files = server.repositories[model.id].commits[main(server, model.id)]
        server.add("maker/other", files | {"config.json": json.dumps(config).encode()})
        done = pamt("score", *pair, "--model", "maker/other")
        assert_one_error(done, "was made for an encoder whose weights have sha256 0000")


def main(server, hub_id):
    return server.repositories[hub_id].resolve("main")


def test_doctor_lists_what_is_here_and_how_to_get_the_rest(pamt, model):
    pamt("download", model.id)
    done = pamt("doctor")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("pamt-mini  ")
    assert lines[0].endswith("  CC-BY-4.0")
    assert any(line.startswith(f"{model.id}  ") for line in lines)
    assert any(line.startswith(f"{model.encoder}  ") for line in lines)
    missing = lines.index("  not here; get it: pamt download m-a-p/MERT-v1-330M")
    assert "CC-BY-NC-4.0" in lines[missing - 1]
    files = [line.split() for line in lines if line.startswith("  ok ")]
    for _, _, _, stated, path in files:
        assert sha256(Path(path).read_bytes()) == stated


def test_doctor_says_that_an_encoder_is_missing(server, pamt, model):
    commit = main(server, model.encoder)
    files = server.repositories[model.id].commits[main(server, model.id)]
    config = json.loads(files["config.json"])
    config["encoder"] |= {"hub": "maker/elsewhere", "revision": commit}
    server.add("maker/half", files | {"config.json": json.dumps(config).encode()})
    pamt("download", "maker/half")
    command = f"pamt download maker/elsewhere --revision {commit}"
    assert f"  not here; get it: {command}" in pamt("doctor").stdout.splitlines()
