"""What `PerceptualLoss` costs: time and memory of a training step by length and batch.

Each cell runs in a process of its own, on one thread: first a short step, which loads and builds
what is needed once, then the one that is measured. Time is that of the CPU, so that other work on
the machine does not count; memory is how far the peak rose over what the process held before.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

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
    cells = [(seconds, batch) for seconds in lengths_s for batch in batches]
    rows = []
    for seconds, batch in sorted(cells, key=lambda cell: cell[0] * cell[1]):
        for checkpoint in (False, True):
            rows.append(measure(seconds, batch, checkpoint=checkpoint))
            table = pd.DataFrame(rows)
            table.to_csv(results, index=False)
            on_cell(table)
    return pd.DataFrame(rows)


def measure(seconds: float, batch: int, *, checkpoint: bool) -> dict[str, float]:
    """One cell, in a process of its own."""
    code = (
        "from benchmarks.loss_cost import measure_here\n"
        f"measure_here({seconds}, {batch}, checkpoint={checkpoint})"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return json.loads(process.stdout.splitlines()[-1])


def measure_here(seconds: float, batch: int, *, checkpoint: bool) -> None:
    """Print what one step costs in this process, as one line of JSON."""
    import torch

    from pamt_metric import PerceptualLoss

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)

    def step(duration_s: float, n_clips: int) -> None:
        shape = (n_clips, round(duration_s * SAMPLE_RATE))
        target = 0.07 * torch.randn(shape, generator=generator)
        noise = 0.01 * torch.randn(shape, generator=generator)
        loss((target + noise).requires_grad_(), target).backward()

    loss = PerceptualLoss(sample_rate=SAMPLE_RATE, checkpoint=checkpoint)
    step(WARM_UP_S, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    step(seconds, batch)
    cpu_s = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    row = {
        "seconds": seconds,
        "batch": batch,
        "checkpoint": checkpoint,
        "cpu_s": round(cpu_s, 2),
        "peak_mb": round((peak - before) / KB_PER_MB),
    }
    print(json.dumps(row))
