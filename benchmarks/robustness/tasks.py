"""The tasks by name."""

from collections.abc import Callable
from pathlib import Path

from benchmarks.robustness import folders, rendered
from benchmarks.robustness.clips import Task
from pamt_metric.errors import InputError

RENDERED: dict[str, Callable[..., Task]] = {"covers": rendered.covers, "genres": rendered.styles}
"""From the scores of the data folder."""
FOLDERS: dict[str, Callable[..., Task]] = {
    "covers80": folders.covers80,
    "shs100k": folders.song_folders,
    "da-tacos": folders.song_folders,
    "gtzan": folders.gtzan,
    "fma": folders.fma,
}
"""From audio that users have, in the layout in which it is published."""


def make(name: str, root: Path, *, duration_s: float, limit: int | None) -> Task:
    """The task of that name.

    Raises:
        InputError: there is no such task, or its folder does not hold what it needs.
    """
    every = RENDERED | FOLDERS
    if name not in every:
        raise InputError(f"unknown task {name!r}; there are {', '.join(every)}")
    task = every[name](root, duration_s=duration_s, limit=limit)
    if not task.items:
        raise InputError(f"no clips for {name} in {root}: see benchmarks/README.md for its layout")
    return task
