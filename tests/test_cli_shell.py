"""What a shell has of the `pamt` command: a help that fits a screen, and completion."""

import os
import shlex
import subprocess
import sys

import pytest

from tests.support import shell

SCREEN = {"COLUMNS": "80", "LINES": "24", "TERMINAL_WIDTH": "80"}


def test_help_fits_a_screen(tmp_path):
    done = shell.run(tmp_path, "--help", **SCREEN)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert "score" in done.stdout
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


@pytest.fixture
def bash(tmp_path):
    """Runs a line in a bash whose home is empty and which knows `pamt`."""
    program = tmp_path / "bin" / "pamt"
    program.parent.mkdir()
    command = shlex.join([sys.executable, "-c", shell.COMMAND[-1]])
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)

    def run(line):
        path = f"{program.parent}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "--norc", "-c", f"{line}; exit $?"],
            env=os.environ | {"HOME": str(tmp_path), "PATH": path},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    return run


def test_completion_is_installed_and_completes(bash, tmp_path):
    assert "bash completion installed" in bash("pamt --install-completion")
    sourced = (tmp_path / ".bashrc").read_text()
    assert str(tmp_path / ".bash_completions" / "pamt.sh") in sourced
    asked = "COMP_WORDS=(pamt sc) COMP_CWORD=1; _pamt_completion pamt"
    assert bash(f'source ~/.bashrc; {asked}; echo "${{COMPREPLY[@]}}"') == "score\n"
    assert (tmp_path / ".bash_completions" / "pamt.sh").read_text() in bash(
        "pamt --show-completion"
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [("pamt s", "score\nsearch\n"), ("pamt score --device ", "auto\ncpu\ncuda\nmps\n")],
)
def test_completes_commands_and_choices(tmp_path, words, expected):
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = shell.run(tmp_path, _PAMT_COMPLETE="complete_bash", **asked)
    assert done.stdout == expected


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_completes_in_other_shells(tmp_path, name):
    asked = {"_TYPER_COMPLETE_ARGS": "pamt sea", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = shell.run(tmp_path, _PAMT_COMPLETE=f"complete_{name}", **asked)
    assert "search" in done.stdout
    assert "score" not in done.stdout
