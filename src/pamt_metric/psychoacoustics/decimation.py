"""A low pass of zero phase, and every step-th sample of it, as two matrix products.

A row of R = S step samples gives S outputs, which read the row itself and a little of its
next one. So the whole is X T, X one row after another (a view of the clip, nothing is copied) and T
the kernel, once for each output; what the next rows give is one more product.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

ROW_OUTPUTS = 32
"""S. Few make thin matrices, many fill them with zeros."""


def low_pass(step: int, n_taps: int) -> Float[Tensor, "tap"]:
    """Kaiser-windowed low pass for decimation; 90 dB down where it would alias on what is read."""
    time = torch.arange(n_taps, dtype=torch.float64) - n_taps // 2
    window = torch.kaiser_window(n_taps, periodic=False, beta=9.0, dtype=torch.float64)
    kernel = torch.sinc(time / step) * window
    return kernel / kernel.sum()


def low_pass_response(step: int, n_taps: int, cycles: Float[Tensor, "bin"]) -> Float[Tensor, "bin"]:
    """Gain at a frequency in cycles per sample; the phase is zero."""
    time = torch.arange(n_taps, dtype=torch.float64) - n_taps // 2
    return torch.cos(2.0 * torch.pi * cycles[:, None] * time) @ low_pass(step, n_taps)


class Decimate(nn.Module):
    """Low pass of zero phase, then every `step`-th sample; beyond the clip is silence.

    The end rings on as far as it would if the clip were padded.
    """

    kernel: Tensor
    matrix: Tensor

    def __init__(self, step: int, n_taps: int) -> None:
        super().__init__()
        self.step = step
        self.reach = n_taps // 2
        self.row = ROW_OUTPUTS * step
        kernel = low_pass(step, n_taps).float()
        matrix = torch.zeros(self.row - step + n_taps, ROW_OUTPUTS)
        for output in range(ROW_OUTPUTS):
            matrix[output * step : output * step + n_taps, output] = kernel
        self.register_buffer("kernel", kernel[None, None], persistent=False)
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(
        self, waveform: Float[Tensor, "batch channel time"]
    ) -> Float[Tensor, "batch channel less_time"]:
        """Ceil((time + reach) / step) samples."""
        flat = waveform.flatten(0, 1)
        # One row from its padded start, then rows within the clip, then the padded rest.
        n_row = (flat.shape[-1] + self.reach) // self.row - 2
        if n_row < 1:
            out = self._slide(flat, self.reach, 2 * self.reach)
        else:
            first = flat[:, : self.row - self.step + self.reach + 1]
            rest = flat[:, self.row * (1 + n_row) - self.reach :]
            inside = [self._by_rows(signal[self.row - self.reach :], n_row) for signal in flat]
            parts = [
                self._slide(first, self.reach, 0),
                torch.stack(inside),
                self._slide(rest, 0, 2 * self.reach),
            ]
            out = torch.cat(parts, dim=-1)
        return out.unflatten(0, waveform.shape[:2])

    def _slide(
        self, signals: Float[Tensor, "signal time"], before: int, after: int
    ) -> Float[Tensor, "signal less_time"]:
        padded = functional.pad(signals[:, None], (before, after))
        return functional.conv1d(padded, self.kernel, stride=self.step)[:, 0]

    def _by_rows(self, signal: Float[Tensor, "time"], n_row: int) -> Float[Tensor, "less_time"]:
        rows = signal[: (n_row + 1) * self.row].unflatten(0, (n_row + 1, self.row))
        own, over = self.matrix[: self.row], self.matrix[self.row :]
        return torch.addmm(rows[1:, : len(over)] @ over, rows[:-1], own).flatten()
