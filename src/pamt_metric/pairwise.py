"""The distances of all pairs of some clips, for clustering, nearest neighbours and maps.

Each clip is encoded once. It is brought to its listening level by itself, and beside a longer one
it is padded, so an encoded clip serves every partner: an entry is what `Metric.distance` gives with
`align="none"`. One lag for each pair would take encoding each pair anew.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from pamt_metric import audio
from pamt_metric.api import default_metric
from pamt_metric.audio import AudioBatch, AudioSource
from pamt_metric.distance import PairDistance
from pamt_metric.errors import InputError
from pamt_metric.evidence import Encoded
from pamt_metric.input_check import Hertz, blame, check_choice
from pamt_metric.metric import ALIGNMENTS, Align, Level, Metric
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE, n_frames
from pamt_metric.threads import side_by_side

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
        align: `"none"` encodes each clip once; `"auto"` and `"dtw"` bring the clips of each pair
            together, and encode both anew.
        metric: another model than the bundled one.

    Raises:
        InputError: a clip cannot be used; the message says which and why.
    """
    check_choice("level", level, ("match", "absolute"))
    check_choice("align", align, ALIGNMENTS)
    metric = default_metric() if metric is None else metric
    if isinstance(clips, (Tensor, np.ndarray)) and clips.ndim != 3:
        raise InputError(f"a batch must be (clip, channel, time), got {tuple(clips.shape)}")
    batches = [_load(clip, sample_rate, item) for item, clip in enumerate(clips)]
    if not batches:
        raise InputError("clips holds none; is the pattern or the folder right?")
    if align != "none":
        return _pair_by_pair(batches, level, align, metric)
    device = next(metric.head.parameters()).device
    with torch.no_grad(), side_by_side(device) as at_once:
        encoded = at_once(*[partial(encode, batch, metric, level=level) for batch in batches])
    matrix = np.zeros((len(batches), len(batches)))
    for index, row in enumerate(rows(encoded, metric.pair)):
        matrix[index, :index] = matrix[:index, index] = row.numpy()
    return matrix


def encode(clip: AudioBatch, metric: Metric, *, level: Level = "match") -> Encoded:
    """One clip at 48 kHz as the ear and the head see it, with one frame beyond its end."""
    with torch.no_grad():
        waveform = clip.waveform.to(next(metric.head.parameters()))
        lengths = clip.lengths.to(waveform.device)
        levelled, _, _ = metric.to_listening_level(waveform, lengths, level)
        return metric.encode(levelled, lengths, n_frame=int(n_frames(lengths)) + 1)


def rows(clips: Sequence[Encoded], pair: PairDistance) -> Iterator[Float[Tensor, "clip"]]:
    """For each clip, its distances to all clips before it."""
    for index, clip in enumerate(clips):
        parts = [
            partial(_to_each, clip, clips[first : min(first + PAIRS_AT_ONCE, index)], pair)
            for first in range(0, index, PAIRS_AT_ONCE)
        ]
        with torch.no_grad(), side_by_side(clip.tokens.mask.device) as at_once:
            found = at_once(*parts)
        yield torch.cat(found).cpu() if found else torch.zeros(0)


def _load(clip: AudioSource, sample_rate: Hertz | None, item: int) -> AudioBatch:
    with blame(f"item {item}"):
        batch = audio.load(clip, sample_rate=sample_rate, target_rate=SAMPLE_RATE)
        if batch.is_batch:
            raise InputError("a clip of a list has one or two axes, got a batch")
    return batch


def _to_each(clip: Encoded, others: Sequence[Encoded], pair: PairDistance) -> Float[Tensor, "clip"]:
    n_frame = max(each.tokens.mask.shape[1] for each in (clip, *others))
    joined = Encoded.join([_lengthened(other, n_frame) for other in others])
    first = torch.zeros(len(others), dtype=torch.long)
    return pair(_lengthened(clip, n_frame).take(first), joined)


def _lengthened(clip: Encoded, n_frame: int) -> Encoded:
    """The same clip with more frames beyond its end; all of those are alike."""
    missing = n_frame - clip.tokens.mask.shape[1]
    by_frame = [field.name for field in fields(clip.tokens) if field.name != "statistics"]
    tokens = {name: _repeat_last(getattr(clip.tokens, name), missing) for name in by_frame}
    sequence = _repeat_last(clip.embedding.sequence, missing)
    return Encoded(replace(clip.tokens, **tokens), replace(clip.embedding, sequence=sequence))


def _repeat_last(
    x: Shaped[Tensor, "batch frame *feature"], missing: int
) -> Shaped[Tensor, "batch more *feature"]:
    return torch.cat([x, x[:, -1:].repeat_interleave(missing, dim=1)], dim=1)


def _pair_by_pair(
    batches: list[AudioBatch], level: Level, align: Align, metric: Metric
) -> Float[np.ndarray, "clip clip"]:
    matrix = np.zeros((len(batches), len(batches)))
    for i, a in enumerate(batches):
        for j, b in enumerate(batches[:i]):
            found = metric.distance(
                a.waveform[0], b.waveform[0], sample_rate=SAMPLE_RATE, level=level, align=align
            )
            matrix[i, j] = matrix[j, i] = float(found)
    return matrix
