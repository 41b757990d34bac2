"""A metric in a process of its own: whatever happens to that process costs one pair.

Some peers end their process on unusual input (Zimtohrli 0.2.1 on NaN or 10 ms of sound), and any
of them may hang or exhaust the memory. `Guarded` wraps a metric and is one itself: a pair whose
process was lost has no value and a reason, and the next pair gets a new process.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.measurement import LostError, Measurement, Metric, UndefinedError, implementation

# For each pair, far above what any default baseline takes for 10 s of sound.
TIME_LIMIT_S = 120.0
# On top of it for a new process's first pair: imports, and what compiles itself when first called.
START_LIMIT_S = 300.0
MEMORY_LIMIT_BYTES = 6 * 2**30
# How long a process that has stopped answering may take to end by itself.
ENDING_S = 10.0
# A library that floods standard error: its last line is in here.
TAIL_BYTES = 4096


class Guarded:
    """Any metric that can be pickled, called in a long-lived process of its own.

    Args:
        metric: What to run. It reaches the process by pickle before its first call, so heavy
            imports and models belong into that call.
        time_limit_s: For one pair.
        start_limit_s: Added to it for the first pair of a process.
        memory_limit_bytes: What the process may allocate (Linux only).
    """

    def __init__(
        self,
        metric: Metric,
        *,
        time_limit_s: float = TIME_LIMIT_S,
        start_limit_s: float = START_LIMIT_S,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> None:
        self.name = metric.name
        self.version = metric.version
        self.implementation = implementation(metric)
        self._at_absolute_level = getattr(metric, "at_absolute_level", None)
        self._pickled = pickle.dumps(metric)
        self._time_limit_s = time_limit_s
        self._start_limit_s = start_limit_s
        self._memory_limit_bytes = memory_limit_bytes
        self._worker: _Worker | None = None

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """The metric's value.

        Raises:
            UndefinedError: The metric gave none; the message is its reason.
            LostError: Its process crashed or took too long.
        """
        limit = self._time_limit_s
        if self._worker is None or not self._worker.is_alive():
            self.close()
            self._worker = _Worker(self._pickled, self._memory_limit_bytes)
            limit += self._start_limit_s
        try:
            measurement = self._worker.ask((a, b, sample_rate), time_limit_s=limit)
        except BaseException:
            # After an interrupt the answer may still come: a used process would give it to the
            # next pair.
            self.close()
            raise
        if measurement.reason:
            raise UndefinedError(measurement.reason)
        return measurement.value

    def at_absolute_level(self) -> Metric:
        """What the metric offers for sounds at the level they have; itself where it has nothing."""
        return self if self._at_absolute_level is None else self._at_absolute_level()

    def close(self) -> None:
        """Ends the process; another call starts a new one."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None


class _Worker:
    """One process of `benchmarks.worker`; it ends with this object or with the interpreter."""

    def __init__(self, pickled_metric: bytes, memory_limit_bytes: int) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by _end)
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "benchmarks.worker", str(memory_limit_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | {"PYTHONPATH": path},
            # An interrupt from the terminal is the parent's to handle.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout
        self._pickled_metric = pickled_metric
        self.end: Callable[[], Any] = weakref.finalize(self, _end, self._process, self._errors)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, pair: tuple[np.ndarray, np.ndarray, int], *, time_limit_s: float) -> Measurement:
        """The answer to one pair.

        Raises:
            LostError: The process ended first, or was ended at the time limit.
        """
        # The offset is shared with the process: it too writes on from the start.
        self._errors.seek(0)
        self._errors.truncate()
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self._process.kill()

        timer = threading.Timer(time_limit_s, expire)
        # An interrupt may come while it starts: the interpreter must not wait for it to end.
        timer.daemon = True
        try:
            timer.start()
            self._requests.write(self._pickled_metric)
            self._pickled_metric = b""
            pickle.dump(pair, self._requests, protocol=pickle.HIGHEST_PROTOCOL)
            self._requests.flush()
            return pickle.load(self._replies)  # noqa: S301 (written by our own process)
        except (EOFError, OSError, pickle.UnpicklingError):
            ending = f"took longer than {time_limit_s:g} s" if expired.is_set() else self._ending()
            raise LostError(ending) from None
        finally:
            timer.cancel()
            if timer.is_alive():
                timer.join()
            if expired.is_set():
                # Even where the answer came at the last moment: the next pair must see it gone.
                self._process.wait()

    def _ending(self) -> str:
        # Its pipes close a little before it has ended.
        try:
            code = self._process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        line = _last_line(self._errors)
        return f"its process ended with {how}" + (f": {line}" if line else "")


def _last_line(file: IO[bytes]) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
    lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _end(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    process.kill()
    for stream in (process.stdin, process.stdout, errors):
        # Closing flushes, and nobody reads what is left of a request.
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()
    process.wait()
