"""Whole runs of stages through their command: killed and resumed, over processes and nodes."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest
import soundfile
import torch

from benchmarks.datasets import synthetic

ROOT = Path(__file__).parents[1]
SERVER = ROOT / "tests" / "support" / "stage_server.py"
N_STEPS = 12
# Two processes add up in another order.
TOLERANCE = 1e-3
# As in training/README.md, on ports of their own.
LAUNCHERS = (
    ("torchrun", "--standalone", "--nproc-per-node", "2"),
    ("accelerate", "launch", "--cpu", "--num_processes", "2", "--main_process_port", "0"),
)
# How the agents of several nodes find each other, by rank and port; the second as in the README.
MEETINGS = {
    "static": lambda rank, port: (
        *("--node-rank", rank, "--master-addr", "127.0.0.1", "--master-port", port),
    ),
    "c10d": lambda _, port: (
        *("--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}"),
        # By default a node is known by its host name, which need not resolve.
        *("--local-addr", "127.0.0.1"),
    ),
}
TIMEOUT_S = 180
LAST_WORDS = {"joint": "on what it was trained on", "pretrain": "finished at step"}

pytestmark = pytest.mark.slow

PRETRAIN = f"""
corpus: {{excerpt_s: [2.0, 2.5], recordings_h: 0.01}}
teacher: {{n_centroids: 8, n_fit_frames: 200, n_iterations: 3}}
encoder: {{conv_width: 8, hidden_size: 32, n_layers: 1, n_heads: 2, intermediate_size: 32}}
batch_size: 4
window_s: 1.0
n_steps: {N_STEPS}
n_warmup_steps: 2
n_cooldown_steps: 3
log_every: 1
validate_every: 5
checkpoint_every_s: 0.05
compile: false
"""
HEAD = f"""
n_steps: {N_STEPS}
n_warmup_steps: 2
ladder_clips_per_step: 3
contrast_frames: 24
checkpoint_every_s: 0.05
head: {{width: 16, n_blocks: 1, n_heads: 2, dim: 8}}
ladders: {{n_clips: 4, clip_s: 0.4, recordings_share: 1.0, families_per_clip: 1}}
"""


@pytest.fixture(scope="module")
def server():
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "OMP_NUM_THREADS": "1",
    }
    with subprocess.Popen(
        [sys.executable, SERVER], env=environment, stdin=PIPE, stdout=PIPE, text=True
    ) as process:

        def run(*argv, world=1, **kill):
            request = {"argv": [str(a) for a in argv], "world": world}
            process.stdin.write(json.dumps(request | kill) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield run
        process.stdin.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A made-up data folder, and configurations."""
    folder = tmp_path_factory.mktemp("training")
    synthetic.write(folder / "data")
    (folder / "pretrain.yaml").write_text(PRETRAIN)
    (folder / "head.yaml").write_text(HEAD)
    return folder


@pytest.fixture(scope="module")
def pretrain(server, root):
    """Runs stage 1 in a folder of its own, on one corpus."""

    def run(name, *more, config="pretrain.yaml", **how):
        work = root / name
        work.mkdir(exist_ok=True)
        if not (work / "corpus").exists():
            (work / "corpus").symlink_to(root / "corpus")
        (root / "corpus").mkdir(exist_ok=True)
        arguments = ["--config", root / config, "--data", root / "data", "--work", work]
        return server("pretrain", *arguments, *more, **how)

    return run


@pytest.fixture(scope="module")
def encoder(root, pretrain):
    """The uninterrupted run of one process; its encoder is that of the stages after it."""
    (done,) = pretrain("whole")
    assert done[0] == 0, done[1]
    return root / "whole" / "encoder"


@pytest.fixture(scope="module")
def head_arguments(root, encoder):
    """What the stages that train the head share, the features of the first of them too."""
    arguments = ["--config", root / "head.yaml", "--pretrain", root / "pretrain.yaml"]
    return [*arguments, "--encoder", encoder, "--data", root / "data", "--work", root / "heads"]


@pytest.fixture(scope="module")
def train_head(server, head_arguments):
    """Runs a stage that trains the head."""

    def run(stage, name, *more, **how):
        return server(stage, *head_arguments, "--name", name, *more, **how)

    return run


@pytest.fixture(scope="module")
def joint(root, train_head):
    """The uninterrupted run of one process."""
    (done,) = train_head("joint", "whole")
    assert done[0] == 0, done[1]
    return root / "heads" / "whole"


def losses(folder):
    """Values by split and step."""
    lines = [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]
    found = {(line.pop("split"), line.pop("step")): line for line in lines}
    assert len(found) == len(lines), "a step was written twice"
    return found


def tensors(checkpoint, *names):
    state = torch.load(checkpoint, weights_only=True)
    return {f"{n}.{key}": value for n in names for key, value in state[n].items()}


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def assert_close(found, expected):
    assert found.keys() == expected.keys()
    for place, values in expected.items():
        assert found[place] == pytest.approx(values, rel=TOLERANCE, abs=TOLERANCE), place


def launched(root, launcher, *arguments):
    """A launcher that starts a stage, as a shell would, with its log."""
    name, *options = launcher
    environment = {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "HF_HOME": str(root / "no-defaults-of-the-user"),
    }
    return subprocess.Popen(
        [Path(sys.executable).with_name(name), *options, "-m", "training", *arguments],
        env=os.environ | environment,
        stdout=PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def on_two_nodes(root, meeting, *arguments):
    """Run a stage under two agents of torchrun with one process each, as on two machines."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    launchers = [
        ("torchrun", "--nnodes", "2", "--nproc-per-node", "1", *MEETINGS[meeting](rank, port))
        for rank in ("0", "1")
    ]
    with ExitStack() as nodes:
        agents = [nodes.enter_context(launched(root, x, *arguments)) for x in launchers]
        try:
            logs = [agent.communicate(timeout=TIMEOUT_S)[0] for agent in agents]
        finally:
            for agent in agents:
                agent.terminate()  # does nothing to one that has ended
    assert [agent.returncode for agent in agents] == [0, 0], logs
    # Only the first process of a run says how it ended: two runs of one process both would.
    assert sum(LAST_WORDS[arguments[0]] in log for log in logs) == 1, logs


@pytest.mark.parametrize("line", [3, 8])
def test_killed_pretraining_ends_as_one_that_was_not(root, pretrain, encoder, line):
    name = f"killed-{line}"
    work = root / name
    (killed,) = pretrain(name, losses=str(work / "losses.jsonl"), lines=line)
    assert killed[0] == -signal.SIGKILL, killed[1]
    (done,) = pretrain(name)
    assert done[0] == 0, done[1]
    assert_equal(
        tensors(work / "checkpoint.pt", "model"),
        tensors(encoder.parent / "checkpoint.pt", "model"),
    )
    assert losses(work) == losses(encoder.parent)
    assert (work / "encoder" / "model.safetensors").read_bytes() == (
        encoder / "model.safetensors"
    ).read_bytes()


def test_pretraining_on_two_processes_takes_the_steps_of_one(root, pretrain, encoder):
    done = pretrain("two", world=2)
    assert [code for code, _ in done] == [0, 0], done
    assert_close(losses(root / "two"), losses(encoder.parent))


def test_accumulated_shares_are_the_whole_batch(root, pretrain, encoder):
    (root / "shares.yaml").write_text(
        PRETRAIN + "accumulation_steps: 3\ngradient_checkpointing: true\n"
    )
    (done,) = pretrain("shares", config="shares.yaml")
    assert done[0] == 0, done[1]
    assert_close(losses(root / "shares"), losses(encoder.parent))


def streamed(root, name, **stream):
    """A configuration whose windows come from a folder of tones, a broken one among them."""
    folder = root / "data" / "streamed"
    if not folder.exists():
        folder.mkdir()
        (folder / "broken.wav").write_bytes(b"no audio")
        time = np.arange(3 * 24_000) / 24_000
        for number in range(9):
            tone = np.sin(2 * np.pi * (200 + 50 * number) * time)
            soundfile.write(folder / f"{number}.wav", 0.3 * tone, 24_000)
    (root / name).write_text(f"{PRETRAIN}stream: {json.dumps(stream)}\n")
    return name


def test_streams_beside_the_cached_corpus(root, pretrain, encoder):
    config = streamed(
        root, "stream.yaml", share=0.5, corpora=["folder:streamed"], held_aside_share=0.3
    )
    (done,) = pretrain("stream", config=config)
    assert done[0] == 0, done[1]
    assert "passed over: broken.wav cannot be decoded" in done[1]
    done = pretrain("stream-two", config=config, world=2)
    assert [code for code, _ in done] == [0, 0], done
    found = losses(root / "stream")
    assert_close(losses(root / "stream-two"), found)
    cached = losses(encoder.parent)
    assert found["train", 1] != cached["train", 1]
    # Files that are held aside are validated on beside the cached ones.
    assert found["validation", 5] != cached["validation", 5]


def test_shards_in_place_of_the_cached_corpus(root, server, pretrain):
    streamed(root, "shards.yaml", share=1.0, corpora=["shards:shards"], n_fit_windows=8)
    arguments = ["--corpus", "folder:streamed", "--data", root / "data"]
    arguments += ["--output", root / "data" / "shards", "--held-aside-share", "0.3"]
    (done,) = server("shards", *arguments)
    assert done[0] == 0, done[1]
    work = root / "sharded"
    (killed,) = pretrain(
        "sharded", config="shards.yaml", losses=str(work / "losses.jsonl"), lines=4
    )
    assert killed[0] == -signal.SIGKILL, killed[1]
    for name in ("sharded", "sharded-whole"):
        (done,) = pretrain(name, config="shards.yaml")
        assert done[0] == 0, done[1]
    assert_equal(
        tensors(work / "checkpoint.pt", "model"),
        tensors(root / "sharded-whole" / "checkpoint.pt", "model"),
    )


def test_a_share_of_streams_needs_streams(root, pretrain):
    (done,) = pretrain("nothing", config=streamed(root, "nothing.yaml", share=0.5))
    assert done[0] == 2
    assert "stream.corpora go together: got a share of 0.5 of 0 corpora" in done[1]


def test_a_batch_smaller_than_its_shares_is_refused(root, pretrain):
    (root / "many.yaml").write_text(PRETRAIN + "accumulation_steps: 5\n")
    (done,) = pretrain("many", config="many.yaml")
    assert done[0] == 2
    assert done[1].count("\n") == 1, done[1]
    assert "batch_size 4 cannot be cut into 5 shares" in done[1]


def test_killed_joint_training_ends_as_one_that_was_not(root, train_head, joint):
    folder = root / "heads" / "killed"
    (killed,) = train_head("joint", "killed", losses=str(folder / "losses.jsonl"), lines=5)
    assert killed[0] == -signal.SIGKILL, killed[1]
    (done,) = train_head("joint", "killed")
    assert done[0] == 0, done[1]
    assert_equal(
        tensors(folder / "joint.pt", "head", "pair"), tensors(joint / "joint.pt", "head", "pair")
    )
    assert losses(folder) == losses(joint)


def test_joint_training_on_two_processes_takes_the_steps_of_one(root, train_head, joint):
    done = train_head("joint", "two", world=2)
    assert [code for code, _ in done] == [0, 0], done
    assert_close(losses(root / "heads" / "two"), losses(joint))


@pytest.mark.parametrize("launcher", LAUNCHERS, ids=lambda words: words[0])
def test_a_launcher_s_processes_take_the_steps_of_one(root, joint, head_arguments, launcher):
    name = launcher[0]
    with launched(root, launcher, "joint", *head_arguments, "--name", name) as process:
        log, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, log
    assert_close(losses(root / "heads" / name), losses(joint))


@pytest.mark.parametrize("meeting", MEETINGS)
def test_two_nodes_take_the_steps_of_one_process(root, joint, head_arguments, meeting):
    name = f"nodes-{meeting}"
    on_two_nodes(root, meeting, "joint", *head_arguments, "--name", name)
    assert_close(losses(root / "heads" / name), losses(joint))


def test_pretraining_on_two_nodes_takes_the_steps_of_one_process(root, encoder):
    """From an empty folder: one node renders the corpus while the other waits."""
    work = root / "nodes"
    arguments = ["--config", root / "pretrain.yaml", "--data", root / "data", "--work", work]
    on_two_nodes(root, "c10d", "pretrain", *arguments)
    assert_close(losses(work), losses(encoder.parent))


def test_alignment_goes_on_from_contrast(root, train_head, joint):
    (early,) = train_head("align", "align", "--start", root / "heads" / "contrast")
    assert early[0] == 2
    assert "has it run" in early[1]
    (done,) = train_head("contrast", "contrast")
    assert done[0] == 0, done[1]
    contrast = losses(root / "heads" / "contrast")["train", N_STEPS]
    both = train_head("contrast", "contrast-two", world=2)
    assert [code for code, _ in both] == [0, 0], both
    assert_close(losses(root / "heads" / "contrast-two"), losses(root / "heads" / "contrast"))
    assert {name for name, value in contrast.items() if value} == {
        "contrast",
        "gradient_norm",
        "total",
    }
    (done,) = train_head("align", "align", "--start", root / "heads" / "contrast", "--steps", 1)
    assert done[0] == 0, done[1]
    align = losses(root / "heads" / "align")["train", 1]
    assert align["contrast"] == 0.0
    # The head is no longer that of a run that begins with alignment.
    assert align["rating"] != losses(joint)["train", 1]["rating"]


def test_fp16_without_a_gpu_is_refused(root, pretrain):
    if torch.accelerator.is_available():
        pytest.skip("there is a GPU")
    (root / "fp16.yaml").write_text(PRETRAIN + "mixed_precision: fp16\n")
    (done,) = pretrain("fp16", config="fp16.yaml")
    assert done[0] == 2
    assert "needs a GPU" in done[1]
