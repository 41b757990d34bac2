r"""Two performances of one piece on one time axis: dynamic time warping of what the ear hears.

Frames i of one clip and j of the other are matched along the path of least total cost,

    D(i, j) = min { D(i-1, j-1) + 2 c(i, j),
                    D(i-2, j-1) + 2 c(i-1, j) + c(i, j),
                    D(i-1, j-2) + 2 c(i, j-1) + c(i, j) }

so that neither runs more than twice as fast as the other anywhere, and the weights of a path always
add up to the frames of both clips. The cost compares which bands are loud, whatever the level, and
what sets in:

    c = |x - y|^2 / 2,    x = (N'^0.5 / |N'^0.5|, onsets / their root mean square)

The path of the swapped pair is the same with its sides swapped: costs are symmetric to the bit, and
where two moves are as good the one nearer to the diagonal is taken.

No gradient passes through the search; the frames that it matches keep theirs.

Source: Sakoe and Chiba (1978), "Dynamic programming algorithm optimization for spoken word
recognition", IEEE TASSP 26, table I, symmetric form with P = 1.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pamt_metric.errors import InputError
from pamt_metric.evidence import Encoded
from pamt_metric.psychoacoustics import EarTokens
from pamt_metric.psychoacoustics.frames import FRAME_RATE
from pamt_metric.recording import LONG_S

LARGEST_STRETCH = 2
"""How many times as fast one clip may run."""
PATTERN_FLOOR = 1e-3
"""Loudness of a frame, in sone per Cam, under which its pattern fades: silence has no bands."""
ONSET_FLOOR = 1e-4
"""Mean square of onsets, in sone, that counts as none."""
ONSET_SHARE = 0.2
"""Weight of the onsets' square beside the bands'."""

_DIAGONAL, _LONG_A, _LONG_B = 0, 1, 2


@dataclass(frozen=True)
class Warp:
    """Frames of two batches of clips that are matched, one step after another.

    Attributes:
        index_a: frame of the first clip at each step.
        index_b: frame of the second.
        weight: how much time a step stands for, in frames; 0 beyond the end of a path.
    """

    index_a: Int64[Tensor, "batch step"]
    index_b: Int64[Tensor, "batch step"]
    weight: Float[Tensor, "batch step"]

    def apply(self, a: Encoded, b: Encoded) -> tuple[Encoded, Encoded]:
        """Both with a frame a step; what they are as wholes stays."""
        inside = self.weight > 0.0
        return a.at(self.index_a, inside), b.at(self.index_b, inside)

    def on_first(
        self, by_step: Float[Tensor, "batch step band"]
    ) -> Float[Tensor, "batch frame band"]:
        """What each step holds, added up over the steps of each frame of the first clip."""
        index = self.index_a[..., None].expand_as(by_step)
        n_frame = int(self.index_a.max()) + 1
        total = by_step.new_zeros(len(by_step), n_frame, by_step.shape[-1])
        return total.scatter_add(1, index, by_step * (self.weight > 0.0)[..., None])

    def times(self, item: int) -> Float[Tensor, "frame"]:
        """Of one pair: when in the second clip, in s, is what goes with each frame of the first."""
        inside = self.weight[item] > 0.0
        a, b = self.index_a[item][inside], self.index_b[item][inside].to(self.weight)
        count = torch.bincount(a).to(b)
        return torch.zeros_like(count).index_add(0, a, b) / count / FRAME_RATE


def warp(a: EarTokens, b: EarTokens) -> Warp:
    """Match the frames of each pair of clips.

    Raises:
        InputError: one clip of a pair is more than `LARGEST_STRETCH` times as long as the other, or
            any is longer than `LONG_S`.
    """
    if max(a.mask.shape[1], b.mask.shape[1]) > LONG_S * FRAME_RATE:
        raise too_long()
    with torch.no_grad():
        lengths = zip(a.lengths.tolist(), b.lengths.tolist(), strict=True)
        paths = [
            _path(_cost(_features(a, i, n_a), _features(b, i, n_b)))
            for i, (n_a, n_b) in enumerate(lengths)
        ]
    device = a.mask.device
    index_a, index_b = (
        pad_sequence(
            [torch.from_numpy(path[:, side].copy()) for path in paths], batch_first=True
        ).to(device)
        for side in (0, 1)
    )
    weight = pad_sequence(
        [torch.from_numpy(_weights(path)).to(a.loudness.dtype) for path in paths], batch_first=True
    )
    return Warp(index_a, index_b, weight.to(device))


def too_long() -> InputError:
    """What to raise for clips over `LONG_S`: all frames are compared with all others."""
    return InputError(
        f"align='dtw' takes clips of up to {LONG_S:g} s, since it compares every frame with every "
        "other; cut them into parts"
    )


def _features(tokens: EarTokens, item: int, n_frame: int) -> Float[Tensor, "frame feature"]:
    loudness = tokens.loudness[item, :n_frame]
    bands = loudness.sqrt() / (loudness.sum(-1, keepdim=True) + PATTERN_FLOOR).sqrt()
    onset = tokens.onset[item, :n_frame]
    size = (onset.square().sum(-1).mean() + ONSET_FLOOR).sqrt()
    return torch.cat([bands, onset * (ONSET_SHARE**0.5 / size)], dim=-1).cpu().double()


def _cost(a: Float[Tensor, "frame_a feature"], b: Float[Tensor, "frame_b feature"]) -> np.ndarray:
    # A product of matrices and that of the swapped ones need not round alike.
    product = 0.5 * (a @ b.T + (b @ a.T).T)
    own = a.square().sum(-1)[:, None] + b.square().sum(-1)[None, :]
    return (0.5 * own - product).clamp_min(0.0).numpy()


def _path(cost: np.ndarray) -> np.ndarray:
    """Cells (i, j) of the path of least cost, from the first pair of frames to the last."""
    n_a, n_b = cost.shape
    move = _moves(cost)
    i, j = n_a - 1, n_b - 1
    cells = [(i, j)]
    while i > 0 or j > 0:
        taken = move[i, j]
        if taken == _LONG_A:
            cells += [(i - 1, j), (i - 2, j - 1)]
            i, j = i - 2, j - 1
        elif taken == _LONG_B:
            cells += [(i, j - 1), (i - 1, j - 2)]
            i, j = i - 1, j - 2
        else:
            cells.append((i - 1, j - 1))
            i, j = i - 1, j - 1
    return np.array(cells[::-1])


def _moves(cost: np.ndarray) -> np.ndarray:
    """The last move to each cell on the best way there, one diagonal of cells after another."""
    n_a, n_b = cost.shape
    move = np.zeros((n_a, n_b), dtype=np.int8)
    flat_cost, flat_move = cost.reshape(-1), move.reshape(-1)
    # By i, with two cells in front that are out of reach, of the diagonals i + j = k - 1 to k - 3.
    out_of_reach = np.full(n_a + 2, np.inf)
    back_1, back_2, back_3 = (out_of_reach.copy() for _ in range(3))
    cost_1 = out_of_reach.copy()
    for k in range(n_a + n_b - 1):
        low, high = max(0, k - n_b + 1), min(k, n_a - 1)
        i = np.arange(low, high + 1)
        here = flat_cost[k + i * (n_b - 1)]
        if k == 0:
            best, taken = 2.0 * here, np.zeros(1, dtype=np.int8)
        else:
            diagonal = back_2[i + 1] + 2.0 * here
            long_a = back_3[i] + 2.0 * cost_1[i + 1] + here
            long_b = back_3[i + 1] + 2.0 * cost_1[i + 2] + here
            ahead = i * (n_b - 1) - (k - i) * (n_a - 1)
            first = (long_a < long_b) | ((long_a == long_b) & (ahead > 0))
            longer = np.where(first, long_a, long_b)
            straight = (diagonal <= longer) | ((long_a == long_b) & (ahead == 0))
            best = np.minimum(diagonal, longer)
            taken = np.where(straight & np.isfinite(diagonal), _DIAGONAL, 2 - first)
        flat_move[k + i * (n_b - 1)] = taken
        now, cost_now = out_of_reach.copy(), out_of_reach.copy()
        now[i + 2], cost_now[i + 2] = best, here
        back_1, back_2, back_3, cost_1 = now, back_1, back_2, cost_now
    if not np.isfinite(back_1[n_a + 1]):
        raise InputError(
            f"align='dtw' stretches a clip up to {LARGEST_STRETCH} times, and these last "
            f"{n_a / FRAME_RATE:.2f} and {n_b / FRAME_RATE:.2f} s; cut the longer one"
        )
    return move


def _weights(path: np.ndarray) -> np.ndarray:
    """Half the frames that both sides move on by at each step."""
    moved = np.diff(path, axis=0, prepend=path[:1] - 1).sum(1)
    return 0.5 * moved
