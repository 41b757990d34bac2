"""Power and cross-power of bands of the spectrum by frame, with their derivative written out.

With frames x_t = w clip[t hop : t hop + N], spectra X = DFT(x), Y those of the last channel and W
what a bin gives to a band,

    power = |X|^2 W,      cross = Re(X Y*) W

a gradient (g, h) of both reaches the first channel's spectrum as G = 2 (g W^T) X + (h W^T) Y, and
from there its frames as Re sum_k G_k exp(2 pi i k n / N), times the window, added where frames
overlap.

Frames are worked on in blocks, from samples to bands, and again in the backward pass: a spectrum is
many times as large as the clip, and to write it to memory takes longer than to make it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

BLOCK_VALUES = 2**19
"""Values of a spectrum that are worked on at once: what stays near a core."""


class BandPowers(NamedTuple):
    """Power by channel, and the real cross-power of the first and last channel."""

    power: Float[Tensor, "batch channel frame band"]
    cross: Float[Tensor, "batch frame band"]


def band_powers(
    clip: Float[Tensor, "batch channel time"],
    window: Float[Tensor, "sample"],
    weight: Float[Tensor, "bin band"],
    *,
    start: int,
    hop: int,
    n_frame: int,
    first_bin: int,
) -> BandPowers:
    """Bands of `n_frame` frames; before and after `clip` is silence.

    Args:
        clip: the sound.
        window: of each frame.
        weight: what each bin, from `first_bin` on, gives to each band; neither the first nor the
            last bin of the spectrum is among them.
        start: sample of the clip at which the first frame starts; may be negative.
        hop: samples from frame to frame.
        n_frame: number of frames.
        first_bin: the lowest bin that is read.
    """
    grid = _Grid(start=start, hop=hop, n_frame=n_frame, length=len(window))
    return BandPowers(*_BandPowers.apply(clip, window, weight, grid, first_bin))


class _Grid(NamedTuple):
    """Where the frames of a clip lie."""

    start: int
    hop: int
    n_frame: int
    length: int

    def blocks(self, size: int) -> Iterator[tuple[slice, int, int]]:
        """Some frames after another; the samples that they begin and end with."""
        for first in range(0, self.n_frame, size):
            last = min(first + size, self.n_frame)
            begin = self.start + first * self.hop
            yield slice(first, last), begin, begin + (last - first - 1) * self.hop + self.length


class _BandPowers(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917 (autograd gives them by place)
        ctx: Any,
        clip: Float[Tensor, "batch channel time"],
        window: Float[Tensor, "sample"],
        weight: Float[Tensor, "bin band"],
        grid: _Grid,
        first_bin: int,
    ) -> tuple[Float[Tensor, "batch channel frame band"], Float[Tensor, "batch frame band"]]:
        ctx.save_for_backward(clip, window, weight)
        ctx.grid, ctx.bins = grid, slice(first_bin, first_bin + len(weight))
        # Real and imaginary parts stand side by side: both squares go to the same bands.
        twice = weight.repeat_interleave(2, dim=0)
        powers, crosses = [], []
        for _, begin, end in grid.blocks(_block_size(clip, window)):
            flat = _spectrum(clip, window, grid.hop, begin, end)[..., ctx.bins, :].flatten(-2)
            powers.append(flat.square() @ twice)
            if clip.shape[1] > 1:
                crosses.append((flat[:, 0] * flat[:, -1]) @ twice)
        power = torch.cat(powers, dim=2)
        return power, torch.cat(crosses, dim=1) if crosses else power[:, 0].clone()

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Float[Tensor, "..."]
    ) -> tuple[Float[Tensor, "batch channel time"], None, None, None, None]:
        to_power, to_cross = grads
        clip, window, weight = ctx.saved_tensors
        grid, bins = ctx.grid, ctx.bins
        to_clip = torch.zeros_like(clip)
        for block, begin, end in grid.blocks(_block_size(clip, window)):
            whole = _spectrum(clip, window, grid.hop, begin, end)
            spectrum = whole[..., bins, :]
            # The inverse transform of a real signal counts each bin twice, which the 2 of 2 g X is.
            back = torch.zeros_like(whole)
            inner = back[..., bins, :]
            torch.mul(spectrum, (to_power[:, :, block] @ weight.T)[..., None], out=inner)
            half = 0.5 * (to_cross[:, block] @ weight.T)[..., None]
            inner[:, 0].addcmul_(spectrum[:, -1], half)
            inner[:, -1].addcmul_(spectrum[:, 0], half)
            framed = torch.fft.irfft(torch.view_as_complex(back), n=grid.length, norm="forward")
            added = _overlap_add(framed.mul_(window), grid.hop, end - begin)
            first, last = max(0, begin), min(end, clip.shape[-1])
            if first < last:
                to_clip[..., first:last] += added[..., first - begin : last - begin]
        return to_clip, None, None, None, None


def _block_size(clip: Float[Tensor, "batch channel time"], window: Float[Tensor, "sample"]) -> int:
    return max(1, BLOCK_VALUES // (clip.shape[0] * clip.shape[1] * len(window)))


def _spectrum(
    clip: Float[Tensor, "batch channel time"],
    window: Float[Tensor, "sample"],
    hop: int,
    begin: int,
    end: int,
) -> Float[Tensor, "batch channel block bin 2"]:
    """Spectra, real and imaginary part, of the frames between two samples."""
    n_time = clip.shape[-1]
    inside = clip[..., min(max(0, begin), n_time) : max(0, end)]
    if inside.shape[-1] < end - begin:
        before = min(max(0, -begin), end - begin)
        inside = functional.pad(inside, (before, end - begin - before - inside.shape[-1]))
    spectrum = torch.fft.rfft(inside.unfold(-1, len(window), hop) * window)
    return torch.view_as_real(spectrum)


def _overlap_add(
    framed: Float[Tensor, "batch channel frame sample"], hop: int, n_sample: int
) -> Float[Tensor, "batch channel time"]:
    """Sum of frames that start every `hop` samples, over `n_sample` samples in all."""
    n_frame, length = framed.shape[-2:]
    n_part = -(-length // hop)
    total = framed.new_zeros(*framed.shape[:2], n_frame + n_part - 1, hop)
    for part in range(n_part):
        piece = framed[..., part * hop : (part + 1) * hop]
        total[:, :, part : part + n_frame, : piece.shape[-1]] += piece
    return total.flatten(-2)[..., :n_sample]
