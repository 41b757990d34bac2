"""The process in which `benchmarks.guard` runs a metric: one import, many pairs.

Reads pickles from standard input: first the metric, then `(a, b, sample_rate)` for each pair.
Answers each pair on standard output with a `Measurement`, and ends with the input. Whatever a
library prints goes to standard error.
"""

import ctypes
import os
import pickle
import signal
import sys
from typing import BinaryIO

from benchmarks.measurement import measure

# <sys/prctl.h>: the signal that this process gets when its parent ends.
PR_SET_PDEATHSIG = 1


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answers until the requests end."""
    metric = pickle.load(requests)  # noqa: S301 (written by the parent process)
    while True:
        try:
            pair = pickle.load(requests)  # noqa: S301
        except EOFError:
            return
        pickle.dump(measure(metric, *pair), replies)
        replies.flush()


def end_with_parent() -> None:
    """Has Linux end this process with its parent, even amid a pair.

    Elsewhere a worker whose parent was killed ends when its pair is done.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def limit_memory(n_bytes: int) -> None:
    """Makes allocations beyond the limit fail; Linux counts what the process may write to."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (n_bytes, n_bytes))


def main() -> None:
    """`python -m benchmarks.worker BYTES`: serves standard input under that memory limit."""
    end_with_parent()
    limit_memory(int(sys.argv[1]))
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
