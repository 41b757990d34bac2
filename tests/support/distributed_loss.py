"""One of several processes that share a batch: `python distributed_loss.py STORE RANK WORLD`.

Prints, as JSON, the gradient of a model under DDP whose loss is inside it, and the mean distance
that `PerceptualDistance` gives over all processes.
"""

import json
import sys
import warnings

import torch
from torch import nn

import pamt_metric as pamt
from tests.support import signals

RATE = 24_000
N_CLIPS = 4


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.filter = nn.Conv1d(1, 1, 5, padding=2)
        nn.init.constant_(self.filter.weight, 0.3)
        nn.init.constant_(self.filter.bias, 0.0)
        self.loss = pamt.PerceptualLoss(sample_rate=RATE)

    def forward(self, noisy, target):
        return self.loss(self.filter(noisy), target)


def run(rank: int, world: int) -> dict[str, object]:
    clips = [signals.piece(0.3, seed=seed, sample_rate=RATE) for seed in range(N_CLIPS)]
    target = torch.stack(clips)[:, None]
    noisy = signals.with_noise(target, 20.0)
    mine = slice(rank * N_CLIPS // world, (rank + 1) * N_CLIPS // world)
    model = Model()
    wrapped = nn.parallel.DistributedDataParallel(model) if world > 1 else model
    wrapped(noisy[mine], target[mine]).backward()
    metric = pamt.torchmetrics.PerceptualDistance(sample_rate=RATE)
    preds = noisy.clone()
    preds[-1, 0, 0] = float("nan")  # of the last process
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        metric.update(preds[mine], target[mine])
    return {
        "gradient": [value for p in model.parameters() for value in p.grad.flatten().tolist()],
        "state": sorted(wrapped.state_dict()),
        "mean": metric.compute().item(),
    }


if __name__ == "__main__":
    store, rank, world = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=world
    )
    print(json.dumps(run(rank, world)))  # noqa: T201 (read by the test)
    torch.distributed.destroy_process_group()
