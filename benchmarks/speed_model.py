"""Where the time of a distance goes: operations and seconds by part, and how near to the peak.

Operations are those that torch's counter knows (matrix products, convolutions, attention); Fourier
transforms and everything element by element count nothing, so the share of the peak is that of the
products alone. The peak is what the machine reaches in one large product in single precision.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import speed
from pamt_metric.metric import Metric

SECONDS = 10.0
PEAK_SIZE = 1500
GIGA = 1e9


@torch.no_grad()
def cost(model: Metric, name: str, *, rounds: int) -> list[dict[str, Any]]:
    """Rows of one model: each part's operations and seconds a second of audio, share of the peak.

    A pair is two clips; the parts are those of one clip, but for the distance between two.
    """
    a, b = (torch.from_numpy(x)[None] for x in speed.pair(SECONDS))
    length = torch.tensor([a.shape[-1]])
    tokens, states = model.ear(a, length), model.hidden_states(a, length)
    sides = model.encode(a, length), model.encode(b, length)
    parts: dict[str, Callable[[], object]] = {
        "ear": functools.partial(model.ear, a, length),
        "encoder": functools.partial(model.hidden_states, a, length),
        "head": functools.partial(model.head, states, tokens),
        "distance": functools.partial(model.pair, *sides),
    }
    matrix = torch.randn(PEAK_SIZE, PEAK_SIZE)
    tasks = parts | {"peak": lambda: matrix @ matrix}
    times = speed.medians(speed.in_turns(tasks, rounds=rounds))
    peak = 2.0 * PEAK_SIZE**3 / times["peak"]
    rows = [speed.row("cost", f"{name}: peak in single precision", 0, peak / GIGA, "GFLOP/s")]
    for part, run in parts.items():
        with FlopCounterMode(display=False) as counter:
            run()
        operations = counter.get_total_flops()
        share = operations / times[part] / peak
        title = f"{name}: {part}"
        rows += [
            speed.row("cost", title, SECONDS, operations / SECONDS / GIGA, "GFLOP a second"),
            speed.row("cost", title, SECONDS, 1e3 * times[part] / SECONDS, "ms a second"),
            speed.row("cost", title, SECONDS, 100.0 * share, "% of the peak"),
        ]
    added = (times["ear"] + times["head"]) / times["encoder"]
    title = f"{name}: ear and head beside the encoder"
    return [*rows, speed.row("cost", title, SECONDS, 100.0 * added, "%")]
