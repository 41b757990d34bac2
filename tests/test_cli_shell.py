"""What a shell has of the `pamt` command: a help that fits a screen, and completion."""

import os
import subprocess
import sys

import pytest

from tests.support import shell


def test_help_fits_a_screen(tmp_path):
    done = shell.run(tmp_path, "--help", COLUMNS="80", LINES="24")
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
    program.write_text(f"#!{sys.executable}\nfrom pamt_metric.cli import main\nmain()\n")
    program.chmod(0o755)

    def run(line, **changes):
        path = f"{program.parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "--norc", "-c", f"{line}; exit $?"],  # a lone command would replace the shell
            env=os.environ | {"HOME": str(tmp_path), "PATH": path} | changes,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def test_completion_is_installed_and_completes(bash, tmp_path):
    assert "bash completion installed" in bash("pamt --install-completion")
    script = tmp_path / ".bash_completions" / "pamt.sh"
    assert str(script) in (tmp_path / ".bashrc").read_text()
    asked = "COMP_WORDS=(pamt sc) COMP_CWORD=1; _pamt_completion pamt"
    assert bash(f'source ~/.bashrc; {asked}; echo "${{COMPREPLY[@]}}"') == "score\n"
    assert bash("pamt --show-completion").strip() == script.read_text().strip()


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_completes_choices_in_other_shells(bash, name):
    stdout = bash(
        "pamt",
        _PAMT_COMPLETE=f"complete_{name}",
        _TYPER_COMPLETE_ARGS="pamt score --device c",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )
    assert "cpu" in stdout
    assert "cuda" in stdout
    assert "auto" not in stdout


def test_completion_does_not_load_torch():
    script = (
        "import sys\nfrom pamt_metric.cli import main\nsys.argv = ['pamt']\n"
        "try:\n    main()\nfinally:\n    sys.stderr.write(str('torch' in sys.modules))"
    )
    asked = {"_PAMT_COMPLETE": "complete_bash", "COMP_WORDS": "pamt doc", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (["doctor"], "False")
