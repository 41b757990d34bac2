"""A long pair, compared block by block: the same numbers as at once, to rounding.

Three passes over both clips: loudness, lag, and the blocks, of which only sums are kept. How the
map of a comparison weighs each kind of evidence depends on those sums, so its parts wait for them
in a temporary file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pamt_metric.alignment import find_lag_of, overlap_lengths
from pamt_metric.distance import PairDistance, PairEvidence, weighed_sum
from pamt_metric.evidence import (
    ALIGNED,
    Encoded,
    aligned_sums,
    evidence_maps,
    frame_salience,
    means_of,
    pooled_differences,
    unshared_of,
    unshared_sums,
)
from pamt_metric.long_clip import BLOCK_FRAMES, Listener, LongClip, Sound, margins
from pamt_metric.psychoacoustics.frames import n_frames
from pamt_metric.psychoacoustics.scales import N_BANDS
from pamt_metric.spool import Spool
from pamt_metric.threads import AtOnce


def find_lag(a: Sound, b: Sound) -> int:
    """As `alignment.find_lag`, for one pair."""
    return int(find_lag_of(a.read_mono, b.read_mono, (a.length, b.length)))


def cut_to_lag(a: Sound, b: Sound, lag: int) -> tuple[Sound, Sound]:
    """As `alignment.cut_pair`, for one pair."""
    start_a, start_b = max(0, -lag), max(0, lag)
    left_a, left_b = torch.tensor([a.length - start_a]), torch.tensor([b.length - start_b])
    length_a, length_b = overlap_lengths(left_a, left_b, torch.tensor([lag]))
    return (
        replace(a, start=a.start + start_a, length=int(length_a)),
        replace(b, start=b.start + start_b, length=int(length_b)),
    )


class _Block(NamedTuple):
    """Both sides of a run of frames, and of some frames more, which weigh nothing."""

    a: Encoded
    b: Encoded
    own: slice
    weight: Float[Tensor, "1 frame"]


class LongPair:
    """Two long clips, cut to their lag.

    Args:
        listener: ear, encoder and head.
        a: the reference at its listening level.
        b: the test at its own.
    """

    def __init__(self, listener: Listener, a: Sound, b: Sound) -> None:
        self.n_frame = int(n_frames(torch.tensor(max(a.length, b.length))))
        self._clips = [LongClip(listener, x, self.n_frame) for x in (a, b)]

    def distance(self, pair: PairDistance, both: AtOnce) -> Float[Tensor, "1"]:
        """The distance alone."""
        sums = _Sums()
        for block in self._blocks(both):
            sums.add(block)
        return pair.combine(sums.means() | self._pooled(), sums.cue())

    def explain(self, pair: PairDistance, both: AtOnce) -> PairEvidence:
        """The distance with its parts."""
        sums = _Sums()
        maps = Spool(len(ALIGNED) * N_BANDS)
        weight = torch.zeros(0)
        for block in self._blocks(both):
            sums.add(block)
            own = block.weight[:, block.own]
            weight = torch.cat([weight.to(own).reshape(1, -1), own], dim=1)
            squares = evidence_maps(block.a, block.b)
            row = torch.cat([squares[name][0, block.own] for name in ALIGNED], dim=-1)
            maps.write(row.cpu().numpy())
        weight = weight / sums.weight.to(weight)
        weigh = partial(_weighed_sum, maps, weight)
        return pair.from_means(sums.means() | self._pooled(), sums.cue(), weigh)

    def audible(self) -> tuple[bool, bool]:
        """Whether anything of either clip is heard, after one of the two above."""
        a, b = (clip.is_audible() for clip in self._clips)
        return a, b

    def _blocks(self, both: AtOnce) -> Iterator[_Block]:
        for start in range(0, self.n_frame, BLOCK_FRAMES):
            stop = min(start + BLOCK_FRAMES, self.n_frame)
            a, b = both(*[partial(clip.block, start, stop) for clip in self._clips])
            left, _ = margins(start, stop, self.n_frame)
            own = slice(left, left + stop - start)
            salience = frame_salience(a.tokens, b.tokens)
            weight = torch.zeros_like(salience)
            weight[:, own] = salience[:, own]
            yield _Block(a, b, own, weight)

    def _pooled(self) -> dict[str, Float[Tensor, "1"]]:
        a, b = self._clips
        return pooled_differences(a.pooled(), b.pooled())


class _Sums:
    """Evidence of the blocks so far, in double precision."""

    def __init__(self) -> None:
        self.weight = torch.zeros(1, dtype=torch.float64)
        self._sums: dict[str, Tensor] = {}
        self._unshared: dict[str, Tensor] = {}

    def add(self, block: _Block) -> None:
        a, b, own, weight = block
        self._like = weight
        self.weight += weight.double().sum(1).cpu()
        _add(aligned_sums(a, b, weight), self._sums)
        tokens = [side.tokens.frames(own.start, own.stop) for side in (a, b)]
        _add(unshared_sums(*tokens), self._unshared)

    def means(self) -> dict[str, Float[Tensor, "1"]]:
        means = means_of({name: x / self.weight for name, x in self._sums.items()})
        return {name: x.to(self._like) for name, x in means.items()}

    def cue(self) -> Float[Tensor, "1"]:
        return unshared_of(self._unshared).to(self._like)


def _add(more: Mapping[str, Tensor], total: dict[str, Tensor]) -> None:
    for name, part in more.items():
        total[name] = total.get(name, 0.0) + part.double().cpu()


def _weighed_sum(
    maps: Spool, weight: Float[Tensor, "1 frame"], map_weights: Float[Tensor, "1 aligned"]
) -> Float[Tensor, "1 frame band"]:
    """As `distance.weighed_sum`, of maps that wait in a file."""
    total = weight.new_zeros(1, maps.length, N_BANDS)
    for start in range(0, maps.length, BLOCK_FRAMES):
        rows = maps.read(start, start + BLOCK_FRAMES).to(weight)[None].split(N_BANDS, dim=-1)
        part = slice(start, start + BLOCK_FRAMES)
        block: dict[str, Tensor] = dict(zip(ALIGNED, rows, strict=True))
        total[:, part] = weighed_sum(block, weight[:, part], map_weights)
    return total
