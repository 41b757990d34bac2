"""The clips of a folder that are nearest to a query.

Which are nearest is an exact search over the distances between embeddings of whole clips, which
need no encoding of pairs and can be kept. Those few are then compared with the query in full.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Float

from pamt_metric.metric import Level, Metric


@dataclass(frozen=True)
class Hit:
    """One of the nearest clips.

    Attributes:
        file: path of the clip.
        distance: `Metric.distance` from the query.
        embedding_distance: Euclidean distance between the embeddings, by which it was found.
    """

    file: str
    distance: float
    embedding_distance: float


def nearest(
    query: Float[np.ndarray, "dim"], embeddings: Float[np.ndarray, "clip dim"], *, top: int
) -> list[tuple[int, float]]:
    """Index and Euclidean distance of the `top` nearest embeddings, the nearest first."""
    apart = np.linalg.norm(embeddings - query, axis=1)
    order = np.argsort(apart, kind="stable")[:top]
    return [(int(index), float(apart[index])) for index in order]


def hits(
    query: Path,
    files: Sequence[Path],
    found: Sequence[tuple[int, float]],
    metric: Metric,
    *,
    level: Level = "match",
) -> list[Hit]:
    """What `nearest` found, compared in full and ordered by the distance."""
    compared = [
        Hit(
            file=str(files[index]),
            distance=cast("float", metric.distance(query, files[index], level=level)),
            embedding_distance=apart,
        )
        for index, apart in found
    ]
    return sorted(compared, key=lambda hit: hit.distance)
