"""Batches of what a model makes of sounds, taken apart and put together again.

Works on frozen dataclasses of tensors (and of such dataclasses) whose first axis is the batch.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

PAIRS = 32
"""Pairs compared at once."""


def encode_all(encode: Callable[[Tensor, Tensor], Any], sounds: Sequence[np.ndarray]) -> list[Any]:
    """What `encode(waveforms, lengths)` makes of each sound; those of one shape run together."""
    encoded: list[Any] = [None] * len(sounds)
    for shape in dict.fromkeys(sound.shape for sound in sounds):
        chosen = [i for i, sound in enumerate(sounds) if sound.shape == shape]
        batch = torch.from_numpy(np.stack([sounds[i] for i in chosen]))
        found = encode(batch, torch.full((len(chosen),), shape[-1]))
        for row, i in enumerate(chosen):
            encoded[i] = item(found, row)
    return encoded


def compare_all(
    compare: Callable[[Any, Any], Tensor], pairs: Sequence[Sequence[Any]]
) -> list[float]:
    """`compare(a, b)` of each pair, in batches."""
    values: list[float] = []
    for start in range(0, len(pairs), PAIRS):
        chosen = pairs[start : start + PAIRS]
        a, b = (joined([pair[side] for pair in chosen]) for side in (0, 1))
        values += compare(a, b).tolist()
    return values


def item(batch: Any, row: int) -> Any:
    """One row of a batch, as a batch of one."""
    if isinstance(batch, Tensor):
        return batch[row : row + 1]
    fields = dataclasses.fields(batch)
    return type(batch)(**{x.name: item(getattr(batch, x.name), row) for x in fields})


def joined(parts: Sequence[Any]) -> Any:
    """Batches, one after the other."""
    if isinstance(parts[0], Tensor):
        return torch.cat(list(parts))
    names = [x.name for x in dataclasses.fields(parts[0])]
    return type(parts[0])(**{name: joined([getattr(x, name) for x in parts]) for name in names})
