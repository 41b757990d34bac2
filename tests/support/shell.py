"""The `pamt` command as a shell sees it: exit code, standard output, standard error."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from types import SimpleNamespace

COMMAND = [sys.executable, "-c", "from pamt_metric.cli import main; main()"]


@contextmanager
def server(
    folder: Path, environment: dict[str, str] | None = None
) -> Iterator[Callable[..., SimpleNamespace]]:
    """Runs the command in `folder`, again and again in one process, which spares the imports."""
    program = Path(__file__).with_name("command_server.py")
    with subprocess.Popen(
        [sys.executable, program], cwd=folder, env=environment, stdin=PIPE, stdout=PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def run(*arguments: str) -> SimpleNamespace:
            process.stdin.write(json.dumps(arguments) + "\n")
            process.stdin.flush()
            returncode, stdout, stderr = json.loads(process.stdout.readline())
            return SimpleNamespace(returncode=returncode, stdout=stdout, stderr=stderr)

        yield run
        process.stdin.close()


def assert_one_error(done: SimpleNamespace, *words: str) -> None:
    """One line on stderr, with all of `words`, and exit code 2."""
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("pamt: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr
