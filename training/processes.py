"""One process or many: the device, the precision, and how results of several are put together.

A step's batch is the same whatever the number of processes. Each process computes its share of the
parts; `Processes.exchange` gives every process all of them, with gradients, so that each then
computes the whole objective from the same numbers. The backward pass of the exchange sums over the
processes what each of their copies of the objective asks of a part, which is as often the right
value as there are processes, and `average_gradients` divides by that number: what came from parts
and what came from parameters beyond the exchange are both right.

Launch with `accelerate launch` or `torchrun`; alone, a command is one process.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import cast

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, gather_object
from torch import Tensor, nn

from pamt_metric.errors import ConfigError

PRECISIONS = ("no", "bf16", "fp16")
"""accelerate's names of mixed precision."""
_WAIT = timedelta(hours=24)
"""How long a process waits for others: the first alone renders the corpus."""

Parts = tuple[Tensor, ...]


def make_accelerator(precision: str) -> Accelerator:
    """The device and the process group of this run.

    Raises:
        ConfigError: unknown precision, or fp16 without a GPU.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"mixed_precision is one of {', '.join(PRECISIONS)}, got {precision!r}")
    has_device = torch.accelerator.is_available()
    if precision == "fp16" and not has_device:
        raise ConfigError("mixed_precision fp16 needs a GPU; on a CPU use bf16 or no")
    return Accelerator(
        cpu=not has_device,
        mixed_precision=precision,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_WAIT)],
    )


class Processes:
    """The processes of a run, seen from this one."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.count = accelerator.num_processes

    def mine(self, number: int) -> bool:
        """Whether this process computes part `number`: they take turns."""
        return number % self.count == self.accelerator.process_index

    def exchange(self, parts: Sequence[Parts | None]) -> list[Parts]:
        """All parts, in their order; of the argument each process gives its own, else None."""
        own = [part for part in parts if part is not None]
        if self.count == 1:
            return own
        shapes: list[list[torch.Size]] = [[] for _ in parts]
        described = {n: [t.shape for t in part] for n, part in enumerate(parts) if part is not None}
        for number, found in (item for one in gather_object([described]) for item in one.items()):
            shapes[number] = found
        device = self.accelerator.device
        # A process that has no part takes part in the backward pass all the same.
        anchor = torch.zeros((), device=device, requires_grad=torch.is_grad_enabled())
        pieces = [
            tensor.float().flatten()
            for part, sizes in zip(parts, shapes, strict=True)
            for tensor in (part or [torch.zeros(size, device=device) for size in sizes])
        ]
        whole = _sum_over_processes(torch.cat(pieces) + anchor)
        flat = iter(whole.split([size.numel() for sizes in shapes for size in sizes]))
        return [tuple(next(flat).view(size) for size in sizes) for sizes in shapes]

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes.

        A parameter that has none in any process keeps none, and no weight decay acts on it.
        """
        if self.count == 1:
            return
        parameters = list(parameters)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        used = torch.tensor([float(p.grad is not None) for p in parameters])
        pieces = [*gradients, used.to(self.accelerator.device)]
        flat = self._reduce(torch.cat([piece.flatten() for piece in pieces]), "mean")
        *means, used = flat.split([piece.numel() for piece in pieces])
        for parameter, mean, is_used in zip(parameters, means, used.tolist(), strict=True):
            parameter.grad = mean.view_as(parameter) if is_used else None

    def any(self, *, flag: bool) -> bool:
        """Whether any process says so."""
        if self.count == 1:
            return flag
        told = torch.tensor(float(flag), device=self.accelerator.device)
        return self._reduce(told, "sum").item() > 0

    def total(self, values: dict[str, Tensor]) -> dict[str, float]:
        """Sum of each value over the processes."""
        stacked = torch.stack([value.detach().float() for value in values.values()])
        summed = self._reduce(stacked, "sum")
        return dict(zip(values, summed.tolist(), strict=True))

    def _reduce(self, tensor: Tensor, reduction: str) -> Tensor:
        reduced = self.accelerator.reduce(tensor, reduction)
        return cast(Tensor, reduced)  # accelerate's own type covers containers too


def _sum_over_processes(whole: Tensor) -> Tensor:
    from torch.distributed.nn import functional

    return functional.all_reduce(whole)
