"""What cover song identification uses when it need not embed: cross similarity of chroma.

For every query and reference the chroma of one is turned to the other's key, frames that resemble
each other mutually are marked, and the longest diagonal trace of marks, gaps allowed, is the score.
It knows keys and tempi by design, and has no gradient; it stands beside the embeddings as a
landmark.

Source: Serrà, Serra and Andrzejak 2009, "Cross recurrence quantification for cover song
identification", by librosa's parts.
"""

from collections.abc import Callable

import librosa
import numpy as np

from benchmarks.robustness import clips
from benchmarks.robustness.clips import SAMPLE_RATE, Task
from benchmarks.robustness.problems import queries

NAME = "chroma-qmax"
RATE = 24_000
HOP = 2048
N_FFT = 8192
EMBEDDED_FRAMES = 4
NEIGHBOUR_SHARE = 0.1


def chroma(clip: np.ndarray) -> np.ndarray:
    """Chroma `(12, frame)` of a mono clip at 48 kHz, some twelve frames a second."""
    halved = librosa.resample(clip, orig_sr=SAMPLE_RATE, target_sr=RATE, res_type="soxr_hq")
    return librosa.feature.chroma_stft(y=halved, sr=RATE, n_fft=N_FFT, hop_length=HOP, tuning=0.0)


def score(a: np.ndarray, b: np.ndarray) -> float:
    """Length of the longest trace that both share, over the root of the reference's length."""
    turn = int(np.argmax([a.mean(1) @ np.roll(b.mean(1), step) for step in range(12)]))
    stacked = [
        librosa.feature.stack_memory(x, n_steps=EMBEDDED_FRAMES) for x in (a, np.roll(b, turn, 0))
    ]
    marks = librosa.segment.cross_similarity(
        stacked[1], stacked[0], k=max(2, round(NEIGHBOUR_SHARE * a.shape[1])), metric="cosine"
    )
    traces = librosa.sequence.rqa(marks.astype(np.float64), backtrack=False)
    return float(traces.max() / np.sqrt(b.shape[1]))


def quality(
    task: Task,
    store: np.ndarray,
    test: np.ndarray,
    *,
    on_query: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """MAP, mean rank of the first version found, and top-1 on the clips of a test split."""
    asks = queries(task.items)[test]
    songs = clips.groups_of(task.items)[test]
    known = [chroma(clips.tensor(store, [index])[0].numpy()) for index in test]
    gallery = np.flatnonzero(~asks)
    ranks, precisions = [], []
    for query in np.flatnonzero(asks):
        scores = np.array([score(known[query], known[other]) for other in gallery])
        relevant = songs[gallery][np.argsort(-scores, kind="stable")] == songs[query]
        places = np.flatnonzero(relevant) + 1
        ranks.append(places[0])
        precisions.append(np.mean(np.arange(1, len(places) + 1) / places))
        on_query()
    return {
        "map": float(np.mean(precisions)),
        "mr1": float(np.mean(ranks)),
        "top1": float(np.mean(np.array(ranks) == 1)),
    }
