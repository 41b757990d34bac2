"""How fast the ear is beside its peers, and how its memory grows with the length of a sound.

Every contestant gets the same pairs of mono noise at 48 kHz, in turn within each round, so that
other work on the machine slows all of them alike; the median over rounds is reported. The ear's
own stages are timed on the first sound of the pair: forward, and forward with backward.

Memory is the peak resident size of a fresh process that hears one sound of a length, backward
included; the process that has only imported the ear is what remains at length 0.
"""

import functools
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from benchmarks import process_memory
from benchmarks.metrics import Metric
from pamt_metric.psychoacoustics import TOKEN_GROUPS, Ear

SAMPLE_RATE = 48_000
LENGTHS_S = (0, 10, 20, 40, 80)
FORWARD, BACKWARD = "ear, forward", "ear, forward and backward"
_MEASURE = "import sys; from benchmarks import ear_speed; ear_speed.print_peak(int(sys.argv[1]))"


def noise(duration_s: int, *, seed: int) -> np.ndarray:
    """Mono noise at -20 dB re full scale, `(1, time)`."""
    drawn = np.random.default_rng(seed).standard_normal((1, duration_s * SAMPLE_RATE))
    return (0.1 * drawn).astype(np.float32)


def hear(ear: Ear, waveform: torch.Tensor, *, backward: bool) -> None:
    """One pass of the ear over a batch `(batch, channel, time)`."""
    lengths = torch.full((len(waveform),), waveform.shape[-1])
    with torch.set_grad_enabled(backward):
        tokens = ear(waveform.clone().requires_grad_(backward), lengths)
        parts = [tokens.group(name).sum() for name in TOKEN_GROUPS]
        total = torch.stack([*parts, tokens.statistics.sum()]).sum()
    if backward:
        total.backward()


def print_peak(duration_s: int) -> None:
    """Most bytes of this process while the ear hears so many seconds, and back; 0: none at all."""
    ear = Ear()
    process_memory.restart_peak()
    if duration_s:
        hear(ear, torch.from_numpy(noise(duration_s, seed=0))[None], backward=True)
    print(process_memory.peak())


def speed(contestants: Sequence[Metric], *, duration_s: int, rounds: int) -> pd.DataFrame:
    """Seconds of each round by contestant; the first round, which warms up, is left out."""
    ear, a, b = Ear(), noise(duration_s, seed=0), noise(duration_s, seed=1)
    batch = torch.from_numpy(a)[None]
    tasks: dict[str, Callable[[], object]] = {
        FORWARD: functools.partial(hear, ear, batch, backward=False),
        BACKWARD: functools.partial(hear, ear, batch, backward=True),
    }
    for contestant in contestants:
        tasks[contestant.name] = functools.partial(contestant, a, b, SAMPLE_RATE)
    return pd.DataFrame([_round(tasks) for _ in range(rounds + 1)]).iloc[1:]


def _round(tasks: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    seconds = {}
    for name, task in tasks.items():
        start = time.perf_counter()
        task()
        seconds[name] = time.perf_counter() - start
    return seconds


def peak_memory(duration_s: int) -> float:
    """MiB of a fresh process that hears a sound of so many seconds."""
    command = [sys.executable, "-c", _MEASURE, str(duration_s)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout) / process_memory.MIB
