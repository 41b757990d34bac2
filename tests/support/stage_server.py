"""Runs training stages as processes of their own, one or several, after one import of them all.

Reads a JSON object from each line of standard input: `argv` of `python -m training`, `world` (how
many processes share the run) and, if the run is to be killed, `losses` (its file of losses) and
`lines` (SIGKILL once the file has so many). Answers with a line `[[exit code, stderr], ...]`.
"""

import json
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from pathlib import Path

import training.align
import training.contrast
import training.joint
import training.pretrain  # noqa: F401 (imported once, for all that is forked)
from training import __main__ as stages


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(argv: list[str], rank: int, world: int, port: int, errors: Path) -> int:
    """Forks a process of the run, as `torchrun` starts one."""
    pid = os.fork()
    if pid:
        return pid
    if world > 1:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world}
        place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
        os.environ.update({name: str(value) for name, value in place.items()})
    with errors.open("w") as file:
        os.dup2(file.fileno(), 2)
        os.dup2(file.fileno(), 1)
    code = 0
    sys.argv = ["training", *argv]
    try:
        stages.main()
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 1
    except BaseException:  # noqa: BLE001 (what a shell would see as a traceback)
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)


def kill_at(pids: list[int], losses: Path, lines: int) -> None:
    while not (losses.is_file() and losses.read_text().count("\n") >= lines):
        # An early end shows in the exit code.
        if os.waitid(os.P_PID, pids[0], os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
        time.sleep(0.005)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def answer(request: dict) -> list[tuple[int, str]]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / str(rank) for rank in range(request["world"])]
        pids = [
            start(request["argv"], rank, len(paths), port, path) for rank, path in enumerate(paths)
        ]
        if "losses" in request:
            kill_at(pids, Path(request["losses"]), request["lines"])
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        return list(zip(codes, [path.read_text() for path in paths], strict=True))


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
