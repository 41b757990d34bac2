"""`training/reproduce.sh` from a data folder to a model, with configurations that take seconds."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import pamt_metric as pamt
from benchmarks.datasets import synthetic
from tests.support import signals

ROOT = Path(__file__).parents[1]
SCRIPT = "training/reproduce.sh"
BUNDLED = ROOT / "src" / "pamt_metric" / "models" / "pamt-mini"
FILES = ("config.json", "model.safetensors")
RATE = 24_000
# SIGKILL once a file of losses has so many lines: within the second pretraining, and the head's.
KILLS = (("further/losses.jsonl", 3), ("joint/losses.jsonl", 5))

PRETRAIN = """
corpus:
  excerpt_s: [3.0, 4.0]
  pop909_h: 0.004
  nottingham_h: 0.002
  chorales_h: 0.002
  recordings_h: {recordings_h}
  soundfonts: [TimGM6mb.sf2]
teacher: {{n_centroids: 8, n_fit_frames: 200, n_iterations: 3}}
encoder: {{conv_width: 8, hidden_size: 32, n_layers: 2, n_heads: 2, intermediate_size: 32}}
batch_size: 4
window_s: 1.0
n_steps: 12
n_warmup_steps: 2
n_cooldown_steps: 3
log_every: 1
checkpoint_every_s: 0.05
mixed_precision: "{precision}"
compile: false
"""
JOINT = """
n_steps: 12
n_warmup_steps: 2
ladder_clips_per_step: 2
contrast_frames: 24
checkpoint_every_s: 0.05
head: {{width: 16, n_blocks: 1, n_heads: 2, dim: 8}}
ladders: {{n_clips: 4, clip_s: 0.5, families_per_clip: 1, recordings_share: {recordings_share}}}
"""


def real_data() -> Path:
    if "PAMT_DATA" not in os.environ:
        pytest.skip("PAMT_DATA names no data folder")
    return Path(os.environ["PAMT_DATA"])


def made_up_data(folder: Path) -> Path:
    synthetic.write(folder)
    return folder


@contextmanager
def script(folder: Path, data: Path, name: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """The script, with WORK and MODEL below the name; SIGKILL to all of it at the end."""
    environment = os.environ | {
        "PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "OMP_NUM_THREADS": "1",
        "CONFIGS": str(folder / "configs"),
        "MODEL": str(folder / name / "model"),
    }
    with subprocess.Popen(
        [ROOT / SCRIPT, data, folder / name / "work"],
        env=environment | more,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def finish(folder: Path, data: Path, name: str) -> None:
    with script(folder, data, name) as process:
        log, _ = process.communicate()
    assert process.returncode == 0, log


def kill_at(folder: Path, data: Path, name: str, losses: str, lines: int) -> None:
    path = folder / name / "work" / losses
    with script(folder, data, name) as process:
        while not (path.is_file() and path.read_text().count("\n") >= lines):
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.timeout(1200)  # some twenty processes, one after the other
@pytest.mark.parametrize("kind", ["made-up", "real"])
def test_the_script_makes_a_model_and_after_sigkill_the_same(tmp_path, kind):
    data = real_data() if kind == "real" else made_up_data(tmp_path / "data")
    configs = tmp_path / "configs"
    configs.mkdir()
    first = PRETRAIN.format(recordings_h=0.004, precision="no")
    (configs / "pretrain-mini.yaml").write_text(first)
    further = PRETRAIN.format(recordings_h=0.005, precision="bf16")
    (configs / "pretrain-mini-further.yaml").write_text(further)
    # The made-up folder has recordings only.
    share = 0.5 if kind == "real" else 1.0
    (configs / "joint-mini.yaml").write_text(JOINT.format(recordings_share=share))
    bundled = [(BUNDLED / name).read_bytes() for name in FILES]

    finish(tmp_path, data, "whole")
    metric = pamt.load(tmp_path / "whole" / "model")
    piece = signals.piece(1.0, seed=1, sample_rate=RATE)
    copies = [piece, signals.with_noise(piece, 20.0), signals.with_noise(piece, 0.0)]
    same, noisy, noisier = metric.distance(piece, copies, sample_rate=RATE).tolist()
    assert same == 0.0
    assert 0.0 < noisy < noisier < float("inf")
    corpora = [path for path in (tmp_path / "whole").rglob("index.json") if path.is_file()]
    assert len(corpora) == 2, corpora  # the second one is not rendered twice

    for losses, lines in KILLS:
        kill_at(tmp_path, data, "killed", losses, lines)
        assert not any((tmp_path / "killed" / "model").iterdir())
    finish(tmp_path, data, "killed")
    for name in FILES:
        found = (tmp_path / "killed" / "model" / name).read_bytes()
        assert found == (tmp_path / "whole" / "model" / name).read_bytes(), name
    assert [(BUNDLED / name).read_bytes() for name in FILES] == bundled


def test_other_configurations_never_replace_the_bundled_model(tmp_path):
    with script(tmp_path, tmp_path, "refused", MODEL="") as process:
        log, _ = process.communicate()
    assert process.returncode == 2
    assert "MODEL names the folder of the result" in log
    assert not (tmp_path / "refused").exists()
