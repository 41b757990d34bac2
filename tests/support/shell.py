"""The `pamt` command as a shell sees it: exit code, standard output, standard error."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from types import SimpleNamespace
from typing import Any

COMMAND = [sys.executable, "-c", "from pamt_metric.cli import main; main()"]


@contextmanager
def server(
    folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Callable[..., SimpleNamespace]]:
    """Runs the command in `folder`, again and again in one process, which spares the imports."""
    program = Path(__file__).with_name("command_server.py")
    with subprocess.Popen(
        [sys.executable, program],
        cwd=folder,
        env=environment,
        stdin=PIPE,
        stdout=PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def run(*arguments: object) -> SimpleNamespace:
            process.stdin.write(json.dumps([str(x) for x in arguments]) + "\n")
            process.stdin.flush()
            returncode, stdout, stderr = json.loads(process.stdout.readline())
            return SimpleNamespace(returncode=returncode, stdout=stdout, stderr=stderr)

        yield run
        process.stdin.close()


def run(
    folder: Path, *arguments: object, without: str | None = None, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own, as a shell does.

    Args:
        folder: to run it in.
        arguments: of the command.
        without: a package that cannot be imported there.
        changes: of the environment.
    """
    hide = [] if without is None else [f"import sys; sys.modules[{without!r}] = None"]
    return subprocess.run(
        [sys.executable, "-c", "; ".join([*hide, COMMAND[-1]]), *map(str, arguments)],
        cwd=folder,
        env=os.environ | changes,
        capture_output=True,
        text=True,
        check=False,
    )


def assert_one_error(done: Any, *words: str) -> None:
    """One line on stderr, with all of `words`, and exit code 2."""
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("pamt: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
