"""Distances by one model: in this process, then by four others that share its memory.

Takes how they start, and prints a JSON list: serial results, parallel ones, processes that worked.
"""

import json
import multiprocessing
import os
import sys

import torch

import pamt_metric
from tests.support import signals

N_PAIRS = 8
N_PROCESSES = 4

_state: dict = {}


def take(metric: pamt_metric.Metric, barrier: object) -> None:
    """What each process begins with."""
    torch.set_num_threads(1)
    _state.update(metric=metric, barrier=barrier)


def measure(number: int) -> tuple[float, int]:
    """One distance, and who found it; the first of each process waits for those of the others."""
    if barrier := _state.pop("barrier", None):
        barrier.wait(120)
    a, b = (signals.piece(0.3, seed=seed) for seed in (number, number + 1))
    found = _state["metric"].distance(a, b, sample_rate=signals.SAMPLE_RATE)
    return float(found), os.getpid()


if __name__ == "__main__":
    torch.set_num_threads(1)
    metric = pamt_metric.load()
    metric.share_memory()
    take(metric, None)
    serial = [measure(number)[0] for number in range(N_PAIRS)]
    context = multiprocessing.get_context(sys.argv[1])
    start = (metric, context.Barrier(N_PROCESSES))
    with context.Pool(N_PROCESSES, take, start) as pool:
        found = pool.map(measure, range(N_PAIRS), chunksize=1)
    parallel, workers = zip(*found, strict=True)
    sys.stdout.write(json.dumps([serial, parallel, len(set(workers))]))
