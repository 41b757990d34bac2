"""The guard: what goes wrong in a metric's process costs one pair, and leaves nothing behind."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cache import ValueCache
from benchmarks.guard import Guarded
from benchmarks.metrics import Measurement, implementation, measure
from tests.support.unruly import Unruly, asking_to

SAMPLE_RATE = 8000
# Less than the interpreter with its libraries and 1 GiB, more than it alone.
LITTLE_MEMORY = 2**30
# For a process to be gone after the kill, on a busy machine.
PATIENCE_S = 20.0

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone does this")


@pytest.fixture(scope="module")
def shared() -> Iterator[Guarded]:
    """One guard for all tests: each leaves it usable, or that is the failure."""
    guarded = Guarded(Unruly(), memory_limit_bytes=LITTLE_MEMORY)
    yield guarded
    guarded.close()


def ask(guarded: Guarded, action: str) -> Measurement:
    return measure(guarded, asking_to(action), np.zeros((1, 1), np.float32), SAMPLE_RATE)


def is_running(pid: int) -> bool:
    """Whether it still runs; a zombie that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends(pid: int) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(pid)


class TestAnswers:
    def test_are_the_metrics_own_and_its_names_too(self, shared: Guarded) -> None:
        generator = np.random.default_rng(0)
        b = generator.standard_normal((2, 300_000)).astype(np.float32)
        direct = Unruly()(asking_to("add"), b, SAMPLE_RATE)
        assert measure(shared, asking_to("add"), b, SAMPLE_RATE) == Measurement(direct)
        assert (shared.name, shared.version) == ("unruly", "1")
        assert implementation(shared) == "unruly 1.0"

    def test_come_from_one_process_in_order(self, shared: Guarded) -> None:
        first = ask(shared, "count_calls").value
        pids = {ask(shared, "get_pid").value for _ in range(2)}
        assert ask(shared, "count_calls").value == first + 3
        assert len(pids) == 1
        assert os.getpid() not in pids
        sounds = [np.full((1, 2), value, np.float32) for value in range(5)]
        sums = [measure(shared, asking_to("add"), b, SAMPLE_RATE).value for b in sounds]
        assert sums == [SAMPLE_RATE + 2 * value for value in range(5)]

    def test_survive_what_the_metric_prints(self, shared: Guarded) -> None:
        assert ask(shared, "print") == Measurement(7.0)
        assert ask(shared, "print") == Measurement(7.0)

    @pytest.mark.parametrize(
        ("action", "reason"),
        [("fail", "ZeroDivisionError: no luck"), ("refuse", "too short")],
    )
    def test_are_nan_with_the_metrics_reason(
        self, shared: Guarded, action: str, reason: str
    ) -> None:
        pid = ask(shared, "get_pid").value
        measurement = ask(shared, action)
        assert math.isnan(measurement.value)
        assert (measurement.reason, measurement.lasting) == (reason, True)
        assert ask(shared, "get_pid").value == pid


class TestLosses:
    @pytest.mark.parametrize(
        ("action", "reason"),
        [
            ("segfault", "its process ended with SIGSEGV"),
            ("exit", "its process ended with exit code 3: last words"),
        ],
    )
    def test_cost_one_pair(self, shared: Guarded, action: str, reason: str) -> None:
        before = ask(shared, "get_pid").value
        measurement = ask(shared, action)
        assert math.isnan(measurement.value)
        assert measurement.reason.startswith(reason)
        assert not measurement.lasting
        after = ask(shared, "get_pid").value
        assert after != before
        assert ask(shared, "count_calls").value == 2

    def test_of_a_process_between_two_pairs_cost_none(self, shared: Guarded) -> None:
        pid = int(ask(shared, "get_pid").value)
        os.kill(pid, signal.SIGKILL)
        # Its threads may outlive the main one by a moment; WNOWAIT leaves the reaping to the guard.
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ask(shared, "count_calls").value == 1

    def test_by_the_time_limit_end_a_hang_that_holds_pythons_lock(self) -> None:
        guarded = Guarded(Unruly(), time_limit_s=1.0)
        pid = int(ask(guarded, "get_pid").value)
        measurement = ask(guarded, "hang")
        assert (measurement.reason, measurement.lasting) == ("took longer than 1 s", False)
        assert not is_running(pid)
        guarded.close()

    @linux_only
    def test_by_the_memory_limit_leave_the_machine_alone(self, shared: Guarded) -> None:
        measurement = ask(shared, "allocate")
        assert math.isnan(measurement.value)
        assert "Unable to allocate 1.00 GiB" in measurement.reason
        assert ask(shared, "print").value == 7.0

    def test_are_not_kept_in_the_cache(self, tmp_path) -> None:
        sound = tmp_path / "sound"
        sound.write_bytes(b"samples")
        key = (str(sound), str(sound), "unruly", "1")
        with ValueCache(tmp_path) as cache:
            cache.put(*key, Measurement(math.nan, "took longer than 1 s", lasting=False))
            assert cache.get(*key) is None
            cache.put(*key, Measurement(1.0))
            assert cache.get(*key) == Measurement(1.0)

    def test_name_what_keeps_the_metric_from_starting(self) -> None:
        guarded = Guarded(Unpicklable())
        measurement = ask(guarded, "add")
        assert measurement.reason == (
            "its process ended with exit code 1: ValueError: it does not come back"
        )
        guarded.close()


class Unpicklable(Unruly):
    """Its pickle raises in the other process."""

    def __reduce__(self) -> tuple:
        return exec, ("raise ValueError('it does not come back')",)


@linux_only
class TestOrphans:
    def test_there_are_none_of_a_closed_or_forgotten_guard(self) -> None:
        closed, forgotten = Guarded(Unruly()), Guarded(Unruly())
        pids = [int(ask(guarded, "get_pid").value) for guarded in (closed, forgotten)]
        assert all(is_running(pid) for pid in pids)
        closed.close()
        del forgotten
        assert not any(is_running(pid) for pid in pids)

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
    def test_there_are_none_of_a_parent_ended_amid_a_pair(self, how: signal.Signals) -> None:
        code = (
            "import signal\n"
            "from benchmarks.guard import Guarded\n"
            "from tests.support.unruly import Unruly, asking_to\n"
            # A background job of a shell ignores the interrupt unless told.
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "guarded = Guarded(Unruly())\n"
            "print(int(guarded(asking_to('get_pid'), asking_to('add'), 1)), flush=True)\n"
            "guarded(asking_to('hang'), asking_to('add'), 1)\n"
        )
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        ) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            assert is_running(pid)
            parent.send_signal(how)
            parent.wait(PATIENCE_S)
        assert ends(pid)
