"""Loads broken files in a process of its own, with bounds on memory and time.

Takes numbers `first last`; loads those files of each kind, and answers with a line of JSON for
each, as soon as it is done: kind, number, outcome. The last line is the growth of its peak of
resident memory, in bytes. A file that takes too long ends the process.
"""

import io
import json
import resource
import signal
import sys

import torch

from pamt_metric import audio
from pamt_metric.errors import InputError
from tests.support.broken_files import KINDS, broken, sound

MEMORY_BYTES = 2**30
"""More than the process had when all was imported."""
PATIENCE_S = 20
TARGET_RATE = 48_000


def outcome(content: bytes) -> str:
    """What a caller gets."""
    try:
        loaded = audio.load(io.BytesIO(content), target_rate=TARGET_RATE)
    except InputError as error:
        return f"refused: {error}"
    except BaseException as error:  # noqa: BLE001 (told to the test)
        return f"raised {type(error).__name__}: {error}"
    waveform = loaded.waveform
    n_batch, n_channels, n_time = waveform.shape
    is_valid = (
        n_batch == 1
        and n_channels in (1, 2)
        and n_time >= 0.1 * TARGET_RATE
        and waveform.dtype == torch.float32
        and bool(torch.isfinite(waveform).all())
    )
    return "ok" if is_valid else f"gave {waveform.dtype} {tuple(waveform.shape)}"


def resident() -> int:
    """Peak of this process so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    numbers = range(*map(int, sys.argv[1:]))
    for kind in KINDS:  # what a first use loads is not the files' doing
        outcome(sound(kind))
    with open("/proc/self/statm") as stream:  # noqa: PTH123 (no file of ours)
        address_space = int(stream.read().split()[0]) * resource.getpagesize()
    limit = address_space + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = resident()
    for kind in KINDS:
        for number in numbers:
            signal.alarm(PATIENCE_S)
            line = [kind, number, outcome(broken(kind, number))]
            signal.alarm(0)
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
    sys.stdout.write(f"{resident() - before}\n")
