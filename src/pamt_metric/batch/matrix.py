"""Distances of all pairs of a set of clips, each clip encoded once.

A clip is brought to its listening level by itself, and beside a longer one it is padded, so an
encoded clip serves every partner: an entry is what `Metric.distance` gives with `align="none"`.
One lag for each pair would take encoding each pair anew.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from pamt_metric import audio
from pamt_metric.distance import PairDistance
from pamt_metric.evidence import Encoded
from pamt_metric.metric import Level, Metric
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE, n_frames


def encode(path: Path, metric: Metric, *, level: Level = "match") -> Encoded:
    """One file as the ear and the head see it, a batch of one with one frame beyond its end.

    Raises:
        InputError: the file cannot be used; the message says why.
    """
    clip = audio.load(path, target_rate=SAMPLE_RATE).to(next(metric.head.parameters()).device)
    with torch.no_grad():
        waveform, _, _ = metric.to_listening_level(clip.waveform, clip.lengths, level)
        return metric.encode(waveform, clip.lengths, n_frame=int(n_frames(clip.lengths)) + 1)


def distances(
    clips: Sequence[Encoded], pair: PairDistance
) -> Iterator[tuple[int, Float[Tensor, "clip"]]]:
    """Row by row, the index of a clip and its distances to all clips before it."""
    for index, clip in enumerate(clips):
        with torch.no_grad():
            row = [pair(*_to_equal_frames(clip, other))[0] for other in clips[:index]]
        yield index, torch.stack(row).cpu() if row else torch.zeros(0)


def _to_equal_frames(a: Encoded, b: Encoded) -> tuple[Encoded, Encoded]:
    n_frame = max(clip.tokens.mask.shape[1] for clip in (a, b))
    return _lengthened(a, n_frame), _lengthened(b, n_frame)


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
