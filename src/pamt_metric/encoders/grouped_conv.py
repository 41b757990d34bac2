"""A grouped convolution with a long kernel, as products of spectra.

With kernel w of K taps, groups of channels and signals padded by K / 2 to either side,

    y[t, o] = sum_i sum_j  w[o, i, j]  x[t + j - K / 2, i]     ->     Y = conj(W) X   in each bin

which takes n log n for each channel and one small product for each bin and group, where the sum
takes K products for each frame. The spectrum of the kernel costs as much as many clips do and is
kept for as long as the weights stay as they are.
"""

from typing import NamedTuple, cast

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn


class _Kept(NamedTuple):
    """A kernel's spectrum and the state of the weights that it was made of."""

    weights: tuple
    spectrum: Complex[Tensor, "bin group channel channel_out"]


class GroupedConv(nn.Conv1d):
    """`nn.Conv1d` with an odd or even kernel, centred; time before channels; stride 1.

    As many frames come out as go in; with an even kernel a frame sees one more before it than
    after. Weights that are being trained are read anew each time.
    """

    def __init__(self, channels: int, kernel_size: int, *, groups: int) -> None:
        super().__init__(channels, channels, kernel_size, groups=groups)
        self._kept: dict[tuple, _Kept] = {}

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Float[Tensor, "window frame channel"]
    ) -> Float[Tensor, "window frame channel"]:
        """The convolution of each window, with silence before and after it."""
        n_frame, before = x.shape[1], self.kernel_size[0] // 2
        # What wraps around must miss the frames that are kept.
        n_fft = 1 << (n_frame + self.kernel_size[0] - 2).bit_length()
        kernel = self._spectrum(n_fft, x)
        padded = nn.functional.pad(x, (0, 0, before, 0))
        spectrum = torch.fft.rfft(padded, n=n_fft, dim=1).unflatten(-1, (self.groups, -1))
        product = spectrum.permute(1, 2, 0, 3) @ kernel
        convolved = torch.fft.irfft(product.permute(2, 0, 1, 3).flatten(2), n=n_fft, dim=1)
        return convolved[:, :n_frame] + cast("Tensor", self.bias).to(x)

    def _spectrum(
        self, n_fft: int, like: Tensor
    ) -> Complex[Tensor, "bin group channel channel_out"]:
        weights = list(self.parameters())
        trained = torch.is_grad_enabled() and any(weight.requires_grad for weight in weights)
        if trained or any(weight.is_inference() for weight in weights):
            return self._transform(n_fft, like)
        state = tuple((weight.data_ptr(), weight._version) for weight in weights)
        place = n_fft, like.dtype, like.device
        kept = self._kept.get(place)
        if kept is None or kept.weights != state:
            # What is kept outlives the caller: made in inference mode it could never meet autograd.
            with torch.inference_mode(mode=False), torch.no_grad():
                kept = _Kept(state, self._transform(n_fft, like))
            self._kept[place] = kept
        return kept.spectrum

    def _transform(
        self, n_fft: int, like: Tensor
    ) -> Complex[Tensor, "bin group channel channel_out"]:
        spectrum = torch.fft.rfft(self.weight.to(like), n=n_fft).conj()
        by_bin = spectrum.unflatten(0, (self.groups, -1)).permute(3, 0, 2, 1)
        return by_bin.resolve_conj().contiguous()
