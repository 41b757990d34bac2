"""The README is true: its files and links exist (tests/test_docs.py runs its snippets)."""

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


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
