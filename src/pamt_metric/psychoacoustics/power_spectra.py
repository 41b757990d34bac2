"""Power and cross-power spectra of windowed frames, with their derivative written out.

With frames x_t = w clip[t hop : t hop + N], spectra X = DFT(x) and Y those of the last channel,

    power = |X|^2,      cross = Re(X Y*)        of the bins that are read

a gradient (g, h) of both reaches the first channel's spectrum as G = 2 g X + h Y, and from there
its frames as Re sum_k G_k exp(2 pi i k n / N), times the window, added where frames overlap. Left
to autograd, the same takes a complex array the size of the frames for every step of it.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


class PowerSpectra(NamedTuple):
    """Squared magnitudes by channel, and the real cross-power of the first and last channel."""

    power: Float[Tensor, "batch channel frame bin"]
    cross: Float[Tensor, "batch frame bin"]


def power_spectra(
    clip: Float[Tensor, "batch channel time"],
    window: Float[Tensor, "sample"],
    *,
    hop: int,
    bins: slice,
) -> PowerSpectra:
    """Spectra of as many frames as fit into `clip`.

    Args:
        clip: its last frame ends with it.
        window: of each frame.
        hop: samples from frame to frame.
        bins: the bins that are wanted; neither the first nor the last of the spectrum.
    """
    return PowerSpectra(*_PowerSpectra.apply(clip, window, hop, bins))


class _PowerSpectra(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        clip: Float[Tensor, "batch channel time"],
        window: Float[Tensor, "sample"],
        hop: int,
        bins: slice,
    ) -> tuple[Float[Tensor, "batch channel frame bin"], Float[Tensor, "batch frame bin"]]:
        framed = clip.unfold(-1, len(window), hop) * window
        spectrum = torch.view_as_real(torch.fft.rfft(framed)[..., bins])
        ctx.save_for_backward(spectrum, window)
        ctx.hop, ctx.bins, ctx.n_sample = hop, bins, clip.shape[-1]
        power = spectrum.square().sum(-1)
        if clip.shape[1] == 1:
            return power, power[:, 0].clone()
        return power, (spectrum[:, 0] * spectrum[:, -1]).sum(-1)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Float[Tensor, "..."]
    ) -> tuple[Float[Tensor, "batch channel time"], None, None, None]:
        to_power, to_cross = grads
        spectrum, window = ctx.saved_tensors
        length = len(window)
        # The inverse transform of a real signal counts each bin twice, which the 2 of 2 g X is.
        back = spectrum.new_zeros(*spectrum.shape[:-2], length // 2 + 1, 2)
        inner = back[..., ctx.bins, :]
        torch.mul(spectrum, to_power[..., None], out=inner)
        half = 0.5 * to_cross[..., None]
        inner[:, 0].addcmul_(spectrum[:, -1], half)
        inner[:, -1].addcmul_(spectrum[:, 0], half)
        framed = torch.fft.irfft(torch.view_as_complex(back), n=length, norm="forward")
        return _overlap_add(framed.mul_(window), ctx.hop, ctx.n_sample), None, None, None


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
