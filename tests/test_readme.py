"""The README is true: its Python runs, its shell commands exist."""

import os
import re
import wave
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SAMPLE_RATE = 48_000


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


PYTHON_BLOCKS = code_blocks("python")


@pytest.fixture
def folder_with_sounds(tmp_path, monkeypatch):
    """A working folder with a.wav, three notes, and b.wav, the same with a little noise."""
    rng = np.random.default_rng(0)
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * f * time) for f in (220.0, 277.2, 329.6))
    clean = 0.1 * tones * np.exp(-time)
    noisy = clean + 0.01 * rng.standard_normal(clean.shape)
    for name, samples in (("a.wav", clean), ("b.wav", noisy)):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes((samples * 32767).astype("<i2").tobytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_readme_shows_python():
    assert len(PYTHON_BLOCKS) >= 2


@pytest.mark.parametrize("block", range(len(PYTHON_BLOCKS)))
def test_python_block_runs(block, folder_with_sounds):
    exec(compile(PYTHON_BLOCKS[block], f"README.md, Python block {block}", "exec"), {})  # noqa: S102


@pytest.mark.parametrize("command", ["scripts/demo", "scripts/test"])
def test_command_is_named_and_executable(command):
    shown = "\n".join(code_blocks("sh"))
    assert re.search(rf"^\./{command}\b", shown, flags=re.MULTILINE)
    assert os.access(ROOT / command, os.X_OK)


def test_every_linked_file_exists():
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_path_of_the_tree_exists():
    (tree,) = (block for block in code_blocks("text") if block.startswith("src/"))
    paths, folder = [], ""
    for line in tree.splitlines():
        if not (match := re.match(r"( *)(\S+)", line)):
            continue
        indent, name = match.groups()
        paths.append(folder + name if indent else name)
        if not indent:
            folder = name
    assert [path for path in paths if not (ROOT / path).exists()] == []
