"""What `PerceptualLoss` costs: time and memory of a training step by length and batch.

One process loads the model and runs it once; each cell is a fork of it, on one thread. Time is that
of the CPU, so that other work on the machine does not count; memory is how far the peak rose over
what the process held before.
"""

import multiprocessing
import multiprocessing.connection
import resource
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import torch

from benchmarks.metrics import LostError
from pamt_metric import PerceptualLoss

LENGTHS_S = (1, 4, 10)
BATCHES = (1, 4, 16)
SAMPLE_RATE = 44_100
WARM_UP_S = 0.2
FILE_NAME = "loss-cost.csv"
# `ru_maxrss` is in kB on Linux.
KB_PER_MB = 1000.0


def run(
    results: Path,
    *,
    lengths_s: Iterable[int] = LENGTHS_S,
    batches: Iterable[int] = BATCHES,
    on_cell: Callable[[pd.DataFrame], None] = lambda _: None,
) -> pd.DataFrame:
    """Measure every cell, shortest first; the file is written after each."""
    torch.set_num_threads(1)
    loss = PerceptualLoss(sample_rate=SAMPLE_RATE)
    warm_up = torch.randn(1, round(WARM_UP_S * SAMPLE_RATE)).clamp(-1.0, 1.0)
    loss(warm_up, 0.9 * warm_up)  # not backward: autograd's threads would not survive a fork
    cells = [(seconds, batch) for seconds in lengths_s for batch in batches]
    rows = []
    for seconds, batch in sorted(cells, key=lambda cell: cell[0] * cell[1]):
        for checkpoint in (False, True):
            loss.checkpoint = checkpoint
            cell = {"seconds": seconds, "batch": batch, "checkpoint": checkpoint}
            rows.append(cell | measure(seconds, batch, loss))
            table = pd.DataFrame(rows)
            table.to_csv(results, index=False)
            on_cell(table)
    return pd.DataFrame(rows)


def measure(seconds: float, batch: int, loss: PerceptualLoss) -> dict[str, float]:
    """One cell, in a process of its own."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, seconds, batch, loss))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        raise LostError(f"a step of {batch} x {seconds} s died; was memory short?") from None
    finally:
        process.join()


def step(seconds: float, batch: int, loss: PerceptualLoss) -> dict[str, float]:
    """CPU time and rise of peak memory of a forward and a backward pass in this process."""
    generator = torch.Generator().manual_seed(0)
    shape = (batch, round(seconds * SAMPLE_RATE))
    target = 0.07 * torch.randn(shape, generator=generator)
    estimate = (target + 0.01 * torch.randn(shape, generator=generator)).requires_grad_()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    loss(estimate, target).backward()
    cpu_s = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"cpu_s": round(cpu_s, 2), "peak_mb": round((peak - before) / KB_PER_MB)}


def _send(
    sender: multiprocessing.connection.Connection, seconds: float, batch: int, loss: PerceptualLoss
) -> None:
    sender.send(step(seconds, batch, loss))
