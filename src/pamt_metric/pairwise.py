"""The distances of all pairs of some clips, for clustering, nearest neighbours and maps."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pamt_metric import audio
from pamt_metric.api import default_metric
from pamt_metric.audio import AudioBatch, AudioSource
from pamt_metric.errors import InputError
from pamt_metric.evidence import Encoded
from pamt_metric.input_check import Hertz, blame, check_choice
from pamt_metric.metric import Align, Level, Metric
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE, n_frames

__all__ = ["pairwise_distances"]

PAIRS_AT_ONCE = 16
"""Pairs whose maps of evidence are in memory together."""


def pairwise_distances(
    clips: Sequence[AudioSource] | Tensor | np.ndarray,
    *,
    sample_rate: Hertz | None = None,
    level: Level = "match",
    align: Align = "none",
    metric: Metric | None = None,
) -> Float[np.ndarray, "clip clip"]:
    """Distance of each pair, symmetric with zeros in the diagonal.

    What scikit-learn takes as `metric="precomputed"`, and SciPy's hierarchical clustering through
    `scipy.spatial.distance.squareform`.

    Args:
        clips: a list of paths, arrays or tensors, as for `pamt.distance`, or a batch of them.
        sample_rate: of arrays and tensors, in Hz.
        level: as for `pamt.distance`.
        align: `"none"` encodes each clip once; `"auto"` takes out the lag of each pair, and so
            encodes both clips of each pair anew.
        metric: another model than the bundled one.

    Raises:
        InputError: a clip cannot be used; the message says which and why.
    """
    check_choice("level", level, ("match", "absolute"))
    check_choice("align", align, ("auto", "none"))
    metric = default_metric() if metric is None else metric
    if isinstance(clips, (Tensor, np.ndarray)) and clips.ndim != 3:
        raise InputError(f"a batch must be (clip, channel, time), got {tuple(clips.shape)}")
    batches = [_load(clip, sample_rate, item) for item, clip in enumerate(clips)]
    if not batches:
        raise InputError("clips holds none; is the pattern or the folder right?")
    if align == "auto":
        return _lag_by_lag(batches, level, metric)
    with torch.no_grad():
        encoded = _encode(batches, level, metric)
        return _all_pairs(encoded, len(batches), metric)


def _load(clip: AudioSource, sample_rate: Hertz | None, item: int) -> AudioBatch:
    with blame(f"item {item}"):
        batch = audio.load(clip, sample_rate=sample_rate, target_rate=SAMPLE_RATE)
        if batch.is_batch:
            raise InputError("a clip of a list has one or two axes, got a batch")
    return batch


def _encode(batches: list[AudioBatch], level: Level, metric: Metric) -> Encoded:
    """All clips with as many channels and frames as the largest of them, one after the other."""
    parameter = next(metric.parameters())
    n_channels = max(batch.waveform.shape[1] for batch in batches)
    n_frame = max(int(n_frames(batch.lengths).max()) for batch in batches)
    encoded = []
    for batch in batches:
        waveform = batch.waveform.expand(-1, n_channels, -1).to(parameter)
        lengths = batch.lengths.to(parameter.device)
        levelled, _, _ = metric.to_listening_level(waveform, lengths, level)
        encoded.append(metric.encode(levelled, lengths, n_frame=n_frame))
    return Encoded.join(encoded)


def _all_pairs(encoded: Encoded, n_clips: int, metric: Metric) -> Float[np.ndarray, "clip clip"]:
    matrix = np.zeros((n_clips, n_clips))
    first, second = torch.triu_indices(n_clips, n_clips, offset=1)
    for a, b in zip(first.split(PAIRS_AT_ONCE), second.split(PAIRS_AT_ONCE), strict=True):
        found = metric.pair(encoded.take(a), encoded.take(b)).double().cpu().numpy()
        matrix[a, b] = found
        matrix[b, a] = found
    return matrix


def _lag_by_lag(
    batches: list[AudioBatch], level: Level, metric: Metric
) -> Float[np.ndarray, "clip clip"]:
    matrix = np.zeros((len(batches), len(batches)))
    for i, a in enumerate(batches):
        for j, b in enumerate(batches[:i]):
            found = metric.distance(
                a.waveform[0], b.waveform[0], sample_rate=SAMPLE_RATE, level=level, align="auto"
            )
            matrix[i, j] = matrix[j, i] = float(found)
    return matrix
