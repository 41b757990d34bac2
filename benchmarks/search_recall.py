"""How much of an exact search `pamt search` finds, on a made collection.

Two questions, of the ten nearest each: how many the index finds of those by embedding, and how many
the candidates by embedding hold of those by the distance itself. The collection of the second are
composed pieces, each also with noise and with a low-pass. That of the first is larger than can be
encoded: the embeddings of those clips, varied as much as a degradation varies them.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

from benchmarks import degradations
from benchmarks.sanity.composer import SAMPLE_RATE, compose
from pamt_metric import Metric, audio, pairwise
from pamt_metric.batch.search import nearest
from pamt_metric.batch.vector_index import VectorIndex
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE as EAR_RATE

TOP = 10
N_QUERIES = 50
CANDIDATES = (10, 20, 30, 50, 100)
SIZES = (1_000, 10_000, 50_000)
CLIP_S = 1.0
SNR_DB, CUTOFF_HZ = 20.0, 4000.0
SEED = 0
FILE_NAME = "search-recall.csv"


def run(results: Path, metric: Metric, *, n_pieces: int, sizes: Sequence[int]) -> pd.DataFrame:
    """Measure both and write the file."""
    embeddings, distances = collection(metric, n_pieces)
    rows = by_candidates(embeddings, distances)
    rows += [by_index(varied(embeddings, size)) for size in sizes]
    table = pd.DataFrame(rows)
    table.to_csv(results, index=False)
    return table


def collection(metric: Metric, n_pieces: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of all clips, and distances from the pieces as they are to all clips."""
    encoded = []
    for seed in range(n_pieces):
        piece = compose(seed, duration_s=CLIP_S)
        noisy = degradations.white_noise(
            piece, SAMPLE_RATE, snr_db=SNR_DB, generator=np.random.default_rng(seed)
        )
        dull = degradations.low_pass(piece, SAMPLE_RATE, cutoff_hz=CUTOFF_HZ)
        for waveform in (piece, noisy, dull):
            clip = audio.load(waveform, sample_rate=SAMPLE_RATE, target_rate=EAR_RATE)
            encoded.append(pairwise.encode(clip, metric))
    embeddings = torch.cat([clip.embedding.pooled for clip in encoded]).numpy()
    rows = list(pairwise.rows(encoded, metric.pair))
    matrix = np.zeros((len(rows), len(rows)))
    for index, row in enumerate(rows):
        matrix[index, :index] = matrix[:index, index] = row.numpy()
    return embeddings, matrix[::3]


def by_candidates(embeddings: np.ndarray, distances: np.ndarray) -> list[dict[str, float | str]]:
    """Share of the nearest by distance among so many nearest by embedding."""
    rows = []
    for count in CANDIDATES:
        shares = []
        for query, row in enumerate(distances):
            found = {
                index for index, _ in nearest(embeddings[3 * query], embeddings, top=count + 1)
            }
            exact = np.argsort(row, kind="stable")[1 : TOP + 1]  # the first is the query
            shares.append(len(found & set(exact.tolist())) / TOP)
        rows.append(
            {
                "what": "candidates",
                "clips": len(embeddings),
                "candidates": count,
                "recall": round(float(np.mean(shares)), 3),
            }
        )
    return rows


def varied(embeddings: np.ndarray, size: int) -> np.ndarray:
    """More embeddings like these: each is one of them plus the step from a piece to a degraded one,
    at random sizes."""
    generator = np.random.default_rng(SEED)
    pieces = embeddings[::3]
    steps = np.concatenate([embeddings[1::3] - pieces, embeddings[2::3] - pieces])
    base = embeddings[generator.integers(0, len(embeddings), size)]
    mixed = (
        generator.standard_normal((size, 3, 1))
        * steps[generator.integers(0, len(steps), (size, 3))]
    )
    return (base + mixed.sum(1)).astype(np.float32)


def by_index(embeddings: np.ndarray) -> dict[str, float | str]:
    """Share of the nearest by embedding that the index finds, and the CPU time of both."""
    size = len(embeddings)
    queries = embeddings[:N_QUERIES] + np.float32(1e-3)
    contents = [f"{position + 1:016x}" for position in range(size)]
    with TemporaryDirectory() as folder:
        index = VectorIndex(Path(folder) / "x.index", contents)
        start = time.process_time()
        index.add(contents, embeddings)
        built = time.process_time()
        found = [set(dict(index.nearest(query, contents, top=TOP))) for query in queries]
    exact = [set(dict(nearest(query, embeddings, top=TOP))) for query in queries]
    shared = sum(len(a & b) for a, b in zip(found, exact, strict=True))
    return {
        "what": "index",
        "clips": size,
        "recall": round(shared / (TOP * N_QUERIES), 3),
        "build_cpu_s": round(built - start, 1),
    }
