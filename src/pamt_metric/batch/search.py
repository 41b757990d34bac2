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
from torch import Tensor

from pamt_metric import audio
from pamt_metric.errors import InputError
from pamt_metric.metric import Level, Metric
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE


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
    max_duration: float | None = None,
) -> tuple[list[Hit], list[str]]:
    """What `nearest` found, compared in full and ordered by the distance; why others are not.

    Raises:
        InputError: the query cannot be used.
    """

    def load(file: Path) -> Float[Tensor, "channel time"]:
        return audio.load(file, target_rate=SAMPLE_RATE, max_duration=max_duration).waveform[0]

    sound = load(query)
    compared, reasons = [], []
    for index, apart in found:
        try:
            other = load(files[index])
            distance = metric.distance(sound, other, sample_rate=SAMPLE_RATE, level=level)
            compared.append(Hit(str(files[index]), cast("float", distance), apart))
        except InputError as error:  # it changed since, or its embedding was in the cache
            reasons.append(str(error))
    return sorted(compared, key=lambda hit: hit.distance), reasons
