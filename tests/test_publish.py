"""From a data folder and an encoder on the Hub to a head on the Hub, and back.

The Hub is the small one of `tests/support/hub_server.py`, which holds one of the tiny golden MERTs
under the name of a published one. The stages run in a process of their own, because the client
reads its environment when it is imported.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.datasets import synthetic
from pamt_metric import checkpoint, hub
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.encoders.mert_files import Source
from pamt_metric.errors import ConfigError
from tests.support.hub_server import TOKEN, HubServer, sha256
from training import __main__ as stages
from training import head_model, publish
from training.head_config import HeadConfig, JointConfig

GOLDEN = Path(__file__).parent / "golden/mert"
ENCODER = "m-a-p/MERT-v1-330M"
HEAD = "maker/head"
JOINT = """
n_steps: 2
n_warmup_steps: 1
ladder_clips_per_step: 2
contrast_frames: 16
head: {width: 16, n_blocks: 1, n_heads: 2, dim: 8, max_encoder_layers: 3}
ladders: {n_clips: 2, clip_s: 0.4, recordings_share: 1.0, families_per_clip: 1}
"""
PRETRAIN = "corpus: {excerpt_s: [2.0, 2.5], recordings_h: 0.01}"
CONFIG = JointConfig(head=HeadConfig(width=16, n_blocks=1, n_heads=2, dim=8))
# Trains, publishes and pushes, then compares what was pushed with the folder, to the bit.
ROUND_TRIP = """
import sys
import torch
import pamt_metric as pamt
from training.__main__ import main

output, pushed = sys.argv.pop(1), sys.argv.pop(1)
main()
noise = torch.randn(2, 1, 36000, generator=torch.Generator().manual_seed(0)) * 0.1
values = [pamt.load(x).distance(*noise, sample_rate=24000) for x in (output, pushed)]
sys.stdout.write(repr(values))
"""


@pytest.fixture(scope="module")
def server():
    with HubServer() as started:
        yield started


@pytest.fixture(scope="module")
def encoder(server):
    """Commit of the encoder on the Hub."""
    files = {name: (GOLDEN / name).read_bytes() for name in ("preprocessor_config.json",)}
    files["config.json"] = (GOLDEN / "mert-330m-tiny.config.json").read_bytes()
    files["pytorch_model.bin"] = (GOLDEN / "pytorch_model.bin").read_bytes()
    return server.add(ENCODER, files)


@pytest.fixture(scope="module")
def training(server, tmp_path_factory):
    """Runs a script with the Hub at hand."""
    home = tmp_path_factory.mktemp("home")
    unwanted = {"HF_HUB_CACHE", "HF_TOKEN_PATH", "HF_TOKEN"}
    changes = {"HF_ENDPOINT": server.endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    environment = {k: v for k, v in os.environ.items() if k not in unwanted} | changes

    def run(*arguments, **more):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            env=environment | more,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.slow
def test_head_on_an_encoder_from_the_hub(server, encoder, training, tmp_path):
    data, output = tmp_path / "data", tmp_path / "output"
    synthetic.write(data)
    (tmp_path / "joint.yaml").write_text(JOINT)
    (tmp_path / "pretrain.yaml").write_text(PRETRAIN)
    head = ["head", "--encoder", ENCODER, "--data", data, "--work", tmp_path / "work"]
    head += ["--config", tmp_path / "joint.yaml", "--pretrain", tmp_path / "pretrain.yaml"]
    head += ["--model-name", "tiny", "--model-version", "1", "--output", output, "--push", HEAD]
    done = training("-c", ROUND_TRIP, output, HEAD, *head, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    from_folder, from_hub = json.loads(done.stdout.splitlines()[-1])
    assert from_folder == from_hub > 0.0
    repository = server.repositories[HEAD]
    pushed = repository.commits[repository.resolve("main")]
    assert pushed == {path.name: path.read_bytes() for path in output.iterdir()}
    config = json.loads(pushed["config.json"])
    weights = sha256((GOLDEN / "pytorch_model.bin").read_bytes())
    reference = {"hub": ENCODER, "revision": encoder, "sha256": weights, "normalize": True}
    assert config["encoder"] == reference
    assert config["head"]["encoder_layers"] == [0, 2, 3]
    assert f"base_model: {ENCODER}" in pushed["README.md"].decode()


@pytest.fixture
def made(tiny_metric, tmp_path):
    """A trained run of a head on an encoder of our own: that encoder, and the run's folder."""
    tiny_metric.encoder.to_folder(tmp_path / "encoder")
    encoder = MertEncoder.from_pretrained(tmp_path / "encoder")
    metric = head_model.make_metric(CONFIG, encoder)
    state = {"head": metric.head.state_dict(), "pair": metric.pair.state_dict()}
    torch.save(state, tmp_path / "joint.pt")
    calibration = {"scale": 2.0, "at_+0_db": 1.0, "at_+6_db": 3.5}
    (tmp_path / publish.CALIBRATION_FILE).write_text(json.dumps(calibration))
    return encoder, tmp_path


@pytest.fixture
def release(made):
    """Publishes it with this encoder in place of its own."""

    def write(encoder):
        _, run = made
        metric = publish.load_trained(CONFIG, encoder, run)
        named = publish.Release("tiny", "1")
        place = str(run / "encoder")
        publish.write_release(metric, CONFIG, named, run=run, place=place, output=run / "out")
        return run / "out"

    return write


def test_an_encoder_of_our_own_is_bundled(made, release):
    folder = release(made[0])
    config = json.loads((folder / "config.json").read_text())
    assert "bundled" in config["encoder"]
    assert checkpoint.load(folder).pair.scale == 2.0
    card = (folder / "README.md").read_text()
    assert "All weights in this repository: CC-BY-4.0." in card
    assert "base_model" not in card
    assert "| +6 dB | 3.50 |" in card
    assert config["weights"]["sha256"] in card


def test_an_encoder_from_the_hub_is_not_copied(made, release):
    encoder, _ = made
    encoder.source = Source("m-a-p/MERT-v1-95M", "0" * 40, "1" * 64)
    folder = release(encoder)
    state = (folder / "model.safetensors").read_bytes()
    assert b"encoder." not in state
    card = (folder / "README.md").read_text()
    assert "own licence:\nCC-BY-NC-4.0 (early revisions: MIT).**" in card
    assert f"commit `{'0' * 40}`, weights with sha256 `{'1' * 64}`" in card


def test_a_folder_with_weights_that_we_know_is_referenced(made):
    encoder, _ = made
    pin = hub.PUBLISHED["m-a-p/MERT-v1-95M"]
    encoder.source = Source("copy", None, pin.sha256)
    found = publish.encoder_reference(encoder, "copy")
    assert (found["hub"], found["revision"]) == ("m-a-p/MERT-v1-95M", pin.revision)


def test_a_copy_of_a_published_encoder_is_not_published(made):
    encoder, folder = made
    config = folder / "encoder/config.json"
    config.write_text(json.dumps({"model_type": "mert_model"}))
    with pytest.raises(ConfigError, match="copy of a published MERT"):
        publish.encoder_reference(encoder, str(folder / "encoder"))


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        pytest.param({}, "there is no token that may write; log in with", id="no token"),
        pytest.param(
            {"HF_TOKEN": "hf_wrong"},
            "your token may not read it",
            id="wrong token",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_push_that_fails_says_why_in_one_line(made, release, training, environment, words):
    encoder, run = made
    release(encoder)
    (run / "config.yaml").write_text("head: {width: 16, n_blocks: 1, n_heads: 2, dim: 8}")
    arguments = ["-m", "training", "publish", "--encoder", run / "encoder", "--work", run.parent]
    arguments += ["--name", run.name, "--config", run / "config.yaml", "--output", run / "out"]
    arguments += ["--model-name", "tiny", "--model-version", "1", "--push", "maker/own"]
    done = training(*arguments, **environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("training: cannot push to maker/own: ")
    assert words in done.stderr


def test_a_push_needs_the_network(tmp_path):
    with pytest.raises(ConfigError, match="cannot push to maker/own: HF_HUB_OFFLINE is set"):
        publish.push(tmp_path, "maker/own", private=False)


@pytest.mark.parametrize(
    ("n_layers", "layers"),
    [
        (3, [0, 1, 2, 3]),
        (6, [0, 1, 2, 3, 4, 5, 6]),
        (12, [0, 2, 4, 6, 8, 10, 12]),
        (24, [0, 4, 8, 12, 16, 20, 24]),
    ],
)
def test_layers_come_from_the_encoder(n_layers, layers):
    size = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    config = {**size, "conv_dim": [8] * 7, "num_hidden_layers": n_layers}
    encoder = MertEncoder(config | {"num_conv_pos_embedding_groups": 2}, normalize=True)
    arguments = head_model.head_arguments(JointConfig(), encoder)
    assert (arguments["encoder_layers"], arguments["encoder_width"]) == (layers, 16)


@pytest.mark.parametrize("arguments", [[], ["train"]])
def test_an_unknown_stage_names_those_there_are(monkeypatch, arguments):
    monkeypatch.setattr(sys, "argv", ["training", *arguments])
    with pytest.raises(SystemExit, match=",".join(stages.STAGES)):
        stages.main()


def test_a_card_names_a_model_of_the_hub_but_nobodys_folder(tmp_path):
    assert publish._public(str(tmp_path)) == "ENCODER"
    assert publish._public("m-a-p/MERT-v1-95M") == "m-a-p/MERT-v1-95M"
