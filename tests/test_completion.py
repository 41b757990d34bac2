"""Shell completion, in a real bash."""

import os
import shutil
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    """Runs a script in a bash that finds `pamt`, with a home of its own."""
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "pamt"
    command.write_text(f"#!{sys.executable}\nfrom pamt_metric.cli import main\nmain()\n")
    command.chmod(0o755)
    home = tmp_path_factory.mktemp("home")
    changes = {"HOME": str(home), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}

    def run(script):
        done = subprocess.run(
            ["bash", "-c", script],
            env=os.environ | changes,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def completion(bash):
    """What bash offers after some words, with completion installed as the page says."""
    bash("pamt --install-completion")

    def offer(*words):
        asked = " ".join(f"'{word}'" for word in words)
        return bash(
            f"source ~/.bashrc; COMP_WORDS=({asked}); COMP_CWORD={len(words) - 1}; "
            '_pamt_completion pamt; printf "%s\\n" "${COMPREPLY[@]}"'
        ).split()

    return offer


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("pamt", "ma"), ["matrix"]),
        (("pamt", "score", "--fail-"), ["--fail-under", "--fail-over"]),
        (("pamt", "score", "--level", ""), ["match", "absolute"]),
        (("pamt", "score", "no-such-f"), []),
    ],
)
def test_bash_completes(completion, words, offered):
    assert completion(*words) == offered


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
