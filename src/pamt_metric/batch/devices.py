"""Where a model runs, by a word."""

from typing import Literal

from pamt_metric.errors import InputError

DeviceName = Literal["auto", "cpu", "cuda", "mps"]


def choose(name: DeviceName) -> str:
    """The device of that name; `"auto"` is the first there is of cuda, mps and cpu.

    Raises:
        InputError: the machine has no such device.
    """
    import torch

    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return next(device for device, available in there.items() if available)
    if not there[name]:
        listed = ", ".join(device for device, available in there.items() if available)
        raise InputError(f"device {name} is not there; this machine has {listed}")
    return name
