"""The clips of a task: who belongs to which song and which class, and where the sound comes from.

A `Task` is a list of `Item`s. Items of one group (a song, a tune) never lie on both sides of a
split; `label` is what a probe is to say (a genre), or the group itself where songs are looked up.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pamt_metric.errors import InputError, PamtError

SAMPLE_RATE = 48_000
PEAK = 0.5
"""Every clip's peak; the metric and the encoder level it again by themselves."""

FULL_SCALE = 32767

Piece = TypeVar("Piece")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """One clip that a system is asked about.

    Attributes:
        name: unique within the task, and the same on every machine.
        group: song or tune that it is a version of.
        label: class to be told; for retrieval the group again.
        version: 0 for the first rendition; retrieval asks with the highest and finds the others.
        read: makes the mono waveform at `SAMPLE_RATE`, of any level.
    """

    name: str
    group: str
    label: str
    version: int
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Task:
    """Clips and the question about them; `recipe` says how they were made, for the cache."""

    name: str
    kind: Literal["retrieval", "classification"]
    items: tuple[Item, ...]
    recipe: str


@dataclass(frozen=True)
class Split:
    """Indices of a task's items for one seed; groups do not cross."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(task: Task, seed: int, *, n_folds: int) -> Split:
    """Fold `seed` for testing, the next for choices, the rest for training, by group."""
    # Folds by label, so that every class is in each of them.
    by_label: dict[str, list[str]] = {}
    for item in task.items:
        key = item.label if task.kind == "classification" else ""
        by_label.setdefault(key, []).append(item.group)
    fold: dict[str, int] = {}
    for label, groups in sorted(by_label.items()):
        unique = sorted(set(groups))
        order = np.random.default_rng(_number(task.name + label)).permutation(len(unique))
        fold |= {unique[place]: rank % n_folds for rank, place in enumerate(order)}
    folds = np.array([fold[item.group] for item in task.items])
    test, validation = folds == seed % n_folds, folds == (seed + 1) % n_folds
    return Split(
        train=np.flatnonzero(~test & ~validation),
        validation=np.flatnonzero(validation),
        test=np.flatnonzero(test),
    )


def waveforms(task: Task, *, duration_s: float, folder: Path) -> tuple[Task, np.ndarray]:
    """The task's sound, 16 bit `(item, time)`, memory-mapped; made once per recipe.

    An item that cannot be read is left out, with a warning that says why; the task that comes back
    has the same items as the sound.

    Raises:
        InputError: no item can be read.
    """
    n_sample = round(duration_s * SAMPLE_RATE)
    identity = [task.recipe, n_sample, *(item.name for item in task.items)]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]
    path = folder / f"{task.name}-{key}.npy"
    reasons = path.with_suffix(".json")
    if not reasons.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _log.info("making %d clips of %s", len(task.items), task.name)
        reasons.write_text(json.dumps(_make(task.items, n_sample, path)))
    failed: dict[str, str] = json.loads(reasons.read_text())
    for name, reason in failed.items():
        _log.warning("%s is left out: %s", name, reason)
    items = tuple(item for item in task.items if item.name not in failed)
    if not items:
        name, reason = next(iter(failed.items()))
        raise InputError(f"no clip of {task.name} can be read; {name}, the first: {reason}")
    return replace(task, items=items), np.load(path, mmap_mode="r")


def _make(items: Sequence[Item], n_sample: int, path: Path) -> dict[str, str]:
    """Writes the sound of those items that can be read; returns why others cannot."""
    failed: dict[str, str] = {}
    part, raw = path.with_suffix(".part"), path.with_suffix(".raw")
    n_made = 0
    with raw.open("wb") as file, ThreadPoolExecutor(2) as pool:
        for item, sound in zip(items, pool.map(_read, items), strict=True):
            if isinstance(sound, str):
                failed[item.name] = sound
                continue
            n_made += 1
            file.write(np.rint(fit(sound, n_sample) * FULL_SCALE).astype(np.int16).tobytes())
    if n_made:
        made = np.memmap(raw, np.int16, mode="r", shape=(n_made, n_sample))
        with part.open("wb") as file:
            np.save(file, made)
        part.replace(path)
    raw.unlink()
    return failed


def tensor(store: np.ndarray, indices: np.ndarray | Sequence[int]) -> Float[Tensor, "item time"]:
    """These items' sound as float32 in [-1, 1]."""
    return torch.from_numpy(store[np.asarray(indices)].astype(np.float32) / FULL_SCALE)


def fit(sound: np.ndarray, n_sample: int) -> np.ndarray:
    """Cut or padded with silence at the end to `n_sample`."""
    sound = sound[:n_sample]
    return np.pad(sound, (0, n_sample - sound.shape[0]))


def spread(everything: Sequence[Piece], count: int | None) -> list[Piece]:
    """So many of them at equal distances, or all."""
    if count is None or count >= len(everything):
        return list(everything)
    places = np.linspace(0, len(everything) - 1, count).round().astype(int)
    return [everything[place] for place in places]


def _read(item: Item) -> np.ndarray | str:
    """The item's sound, or why there is none."""
    try:
        sound = item.read()
    except PamtError as error:
        return str(error)
    peak = float(np.abs(sound).max(initial=0.0))
    return (sound * (PEAK / peak)).astype(np.float32) if peak > 0.0 else "it is silent"


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def seeded(*names: object) -> np.random.Generator:
    """A generator that these names alone decide."""
    return np.random.default_rng(_number("/".join(map(str, names))))


def groups_of(items: Sequence[Item]) -> np.ndarray:
    """Groups as whole numbers."""
    _, numbers = np.unique([item.group for item in items], return_inverse=True)
    return numbers
