"""A metric that behaves badly on request; importable, so that it can be pickled."""

import ctypes
import os
import sys

import numpy as np

from benchmarks.measurement import UndefinedError

ACTIONS = (
    "add",
    "count_calls",
    "segfault",
    "exit",
    "hang",
    "fail",
    "refuse",
    "allocate",
    "print",
    "get_pid",
)


def asking_to(action: str) -> np.ndarray:
    """A sound `(1, 1)` that makes `Unruly` do this."""
    return np.full((1, 1), ACTIONS.index(action), np.float32)


class Unruly:
    """Does what the first sound says."""

    name, version, implementation = "unruly", "1", "unruly 1.0"

    def __init__(self) -> None:
        self._n_calls = 0

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        self._n_calls += 1
        action = ACTIONS[int(a.item())]
        if action == "add":
            return float(b.sum()) + sample_rate
        return float(getattr(self, f"_{action}")())

    def _count_calls(self) -> int:
        return self._n_calls

    def _segfault(self) -> int:
        return ctypes.string_at(0)[0]

    def _exit(self) -> int:
        sys.stderr.write("first words\nlast words\n\n")
        sys.stderr.flush()
        os._exit(3)

    def _hang(self) -> int:
        # As inside a C library: Python's lock stays held, so no thread of the process can end it.
        return ctypes.PyDLL(None).pause()

    def _fail(self) -> int:
        raise ZeroDivisionError("no luck\nat all")

    def _refuse(self) -> int:
        raise UndefinedError("too short")

    def _allocate(self) -> int:
        return int(np.ones(2**30, np.uint8)[-1])

    def _print(self) -> int:
        os.write(1, b"straight to the descriptor\n")
        sys.stdout.write("through Python\n")
        sys.stdout.flush()
        return 7

    def _get_pid(self) -> int:
        return os.getpid()
