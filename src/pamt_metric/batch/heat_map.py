"""A matrix of distances as a picture: clips that sound alike side by side."""

from importlib import import_module
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from pamt_metric.errors import InputError

SUFFIXES = (".png", ".svg", ".pdf")
INCHES_PER_CLIP = 0.22
MAX_LABELS = 120
"""Clips beyond which names would be too small to read."""


def check(path: Path) -> None:
    """Refuse, before any work is done, a picture that cannot be drawn.

    Raises:
        InputError: the suffix is none of `SUFFIXES`, there is no folder, or matplotlib is missing.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(f"plot must end in {', '.join(SUFFIXES)}, got {path}")
    if not path.parent.is_dir():
        raise InputError(f"no folder {path.parent} to write {path.name} into")
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file")
    try:
        import_module("matplotlib")
    except ImportError as error:
        raise InputError(
            "a plot needs matplotlib, which is not installed: pip install 'pamt-metric[plot]'"
        ) from error


def draw(path: Path, names: list[str], distances: Float[np.ndarray, "clip clip"]) -> None:
    """Write the picture, rows and columns in the order of `cluster_order`.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    order = cluster_order(distances)
    inches = min(24.0, max(4.0, INCHES_PER_CLIP * len(names)))
    figure = Figure(figsize=(inches + 3.0, inches + 2.0), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(distances[np.ix_(order, order)], cmap="viridis", vmin=0.0)
    figure.colorbar(image, label="distance in just-noticeable differences")
    if len(names) <= MAX_LABELS:
        # '$' would start a formula of matplotlib's own.
        labels = [names[index].replace("$", r"\$") for index in order]
        axes.set_xticks(range(len(names)), labels, rotation=90, fontsize="small")
        axes.set_yticks(range(len(names)), labels, fontsize="small")
    figure.savefig(path)


def cluster_order(distances: Float[np.ndarray, "clip clip"]) -> Int[np.ndarray, "clip"]:
    """Leaves of the average-linkage tree, ordered so that neighbours are as near as they can be."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(distances) < 3:
        return np.arange(len(distances))
    tree = linkage(squareform(distances, checks=False), "average", optimal_ordering=True)
    return leaves_list(tree).astype(int)
