"""Broken and forged models: refused or loaded, and never given memory that they do not hold."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from pamt_metric import checkpoint
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.errors import CheckpointError

ROOT = Path(__file__).parents[2]
# Each load takes and gives back the model itself, 0.3 MB, and what transformers builds around it.
MAX_GROWTH_BYTES = 64e6
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux's own kind")


@pytest.fixture
def folder(tiny_metric, tiny_head_config, tmp_path):
    path = tmp_path / "model"
    checkpoint.save(
        tiny_metric, path, name="tiny", version="1", head_config=tiny_head_config, card={}
    )
    return path


@linux_only
@pytest.mark.parametrize(
    ("first", "last"),
    [(0, 100), pytest.param(100, 2100, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])],
)
def test_are_refused_or_load(folder, first, last):
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.load_broken", folder, str(first), str(last)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    *lines, growth = done.stdout.splitlines()
    assert done.returncode == 0, f"ended with code {done.returncode} after {growth}"
    found = [json.loads(line) for line in lines]
    assert [number for number, *_ in found] == list(range(first, last))
    wrong = [line for line in found if line[2].split()[0] not in ("refused:", "ok")]
    assert wrong == []
    assert int(growth) < MAX_GROWTH_BYTES
    counts = Counter(line[2].split()[0] for line in found)
    assert counts["ok"] >= 1
    assert counts["refused:"] > 0.5 * len(found)


def edit(folder, part, **values):
    path = folder / checkpoint.CONFIG_FILE
    config = json.loads(path.read_text())
    (config["head"] if part == "head" else config["encoder"]["bundled"]).update(values)
    path.write_text(json.dumps(config))


@pytest.fixture
def nothing_large_is_made(monkeypatch):
    """Fail where real memory is asked for in a part that the weights do not hold."""
    empty = torch.empty
    with torch.device("meta"):  # torch remembers from here on which functions take a device
        empty(1)

    def checked(*size, **options):
        made = empty(*size, **options)
        assert made.is_meta or made.numel() < 10**6, made.shape
        return made

    monkeypatch.setattr(torch, "empty", checked)


@pytest.mark.parametrize(
    ("part", "values", "words"),
    [
        ("encoder", {"hidden_size": 4096}, "other shapes than its config asks for"),
        ("encoder", {"intermediate_size": 10**8}, "other shapes than its config asks for"),
        ("encoder", {"num_hidden_layers": 10**9}, "num_hidden_layers asks for 1000000000 parts"),
        ("encoder", {"conv_dim": [16] * 10**5}, "conv_dim asks for 100000 parts"),
        ("encoder", {"hidden_size": 10**30}, "no model can be built"),
        ("head", {"width": 8192}, "other shapes than its config asks for"),
        ("head", {"n_blocks": 10**9}, "n_blocks asks for 1000000000 parts"),
        ("head", {"n_heads": 10**9}, "n_heads asks for 1000000000 parts"),
        ("head", {"encoder_layers": ["0"]}, "no model can be built"),
        ("head", {"encoder_layers": [0, 1, -9]}, "reads layers -9 to 1 of width 32"),
    ],
)
def test_a_config_that_asks_for_more_is_refused_first(
    folder, nothing_large_is_made, part, values, words
):
    edit(folder, part, **values)
    with pytest.raises(CheckpointError, match=words):
        checkpoint.load(folder)


def test_an_encoder_that_asks_for_more_is_refused_first(
    tiny_metric, tmp_path, nothing_large_is_made
):
    tiny_metric.encoder.to_folder(tmp_path)
    path = tmp_path / checkpoint.CONFIG_FILE
    config = json.loads(path.read_text())
    for values, words in (
        ({"hidden_size": 4096}, "other shapes"),
        ({"num_hidden_layers": 10**9}, "asks for 1000000000 parts"),
    ):
        path.write_text(json.dumps(config | values))
        with pytest.raises(CheckpointError, match=words):
            MertEncoder.from_pretrained(tmp_path)


def test_a_config_of_many_bytes_is_not_read(folder):
    with (folder / checkpoint.CONFIG_FILE).open("r+b") as file:
        file.truncate(2**40)  # takes no place on the disk
    with pytest.raises(CheckpointError, match="has over 16777216 bytes"):
        checkpoint.load(folder)


@pytest.mark.parametrize("name", ["name", "version"])
def test_a_name_must_be_text(folder, name):
    path = folder / checkpoint.CONFIG_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: ["x"]}))
    with pytest.raises(CheckpointError, match=rf"{name} must be text, got \['x'\]"):
        checkpoint.load(folder)
