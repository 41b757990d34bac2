"""The file that a run goes on from."""

import os
from pathlib import Path
from typing import Any

import torch


def write_state(state: dict[str, Any], path: Path) -> None:
    """Replace the file as a whole: whenever the machine dies, one of the two is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_state(path: Path) -> dict[str, Any]:
    """What was written, on the processor."""
    return torch.load(path, weights_only=True, map_location="cpu")
