"""Runs the `pamt` command again and again in one process: one import, one load of a model.

Reads a JSON list of arguments from each line of standard input, and answers each with a line
`[exit code, standard output, standard error]`.
"""

import contextlib
import functools
import io
import json
import sys
import traceback

from pamt_metric import checkpoint
from pamt_metric.cli import main


def answer(arguments: list[str]) -> tuple[object, str, str]:
    """What a shell would see."""
    sys.argv = ["pamt", *arguments]
    code: object = None
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code
        except Exception:  # noqa: BLE001 (what a shell would see as a traceback)
            traceback.print_exc()
            code = 1
    return code, stdout.getvalue(), stderr.getvalue()


if __name__ == "__main__":
    checkpoint.load = functools.cache(checkpoint.load)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
