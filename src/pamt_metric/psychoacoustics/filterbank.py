"""From a waveform to excitation: the power at each place of the cochlea, 75 times a second.

Each of the 75 half-Cam bands sums the power spectrum through the outer and middle ear and a
rounded-exponential auditory filter (Patterson et al., 1982; ISO 532-2, 5.4),

    W(g) = (1 + p g) exp(-p g),   g = |f - fc| / fc,   p = 4 fc / ERB_N(fc).

One window length cannot serve both ends of the cochlea: bass bands are 30 Hz wide, treble bands
hear changes within a few milliseconds. So the spectrum is taken with three Hann windows, all
centred on the same instants, and each band reads the one that suits it. Outside the clip the
world is silent, so frames at the edges see zeros, whatever else is in the batch.

Departs from ISO 532-2: the filters do not yet change with level.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional

from pamt_metric.psychoacoustics import frames
from pamt_metric.psychoacoustics.outer_ear import transfer_gain_db
from pamt_metric.psychoacoustics.scales import (
    center_frequencies,
    equivalent_rectangular_bandwidth,
)

FULL_SCALE_SINE_DB_SPL = 100.0
"""Level of a sine of amplitude 1: the project's calibration."""

WINDOWS = ((4096, 400.0), (2048, 2000.0), (1024, float("inf")))
"""(window length in samples at 48 kHz, upper limit in Hz of the centres that read it)."""

FILTER_REACH = 4.0
"""Normalised frequency distance g beyond which a filter is cut to zero (ISO 532-2)."""

# Power of a sine of amplitude 1 is 1/2; it shall come out as 10^(100/10).
_POWER_TO_SPL = 2.0 * 10.0 ** (FULL_SCALE_SINE_DB_SPL / 10.0)


class Filterbank(nn.Module):
    """Auditory filterbank on 48 kHz audio.

    Output is intensity per band relative to 0 dB SPL at the cochlea (not in dB).
    """

    center_frequency: Tensor

    def __init__(self) -> None:
        super().__init__()
        center = center_frequencies()
        self.register_buffer("center_frequency", center.float(), persistent=False)
        self.resolutions = nn.ModuleList()
        lower = 0.0
        for length, upper in WINDOWS:
            self.resolutions.append(
                _Resolution(center[(center >= lower) & (center < upper)], length)
            )
            lower = upper

    def forward(
        self, waveform: Float[Tensor, "batch channel time"], n_frame: int
    ) -> tuple[Float[Tensor, "batch channel frame band"], Float[Tensor, "batch frame band"]]:
        """Excitation of each channel, and the interaural cross-power.

        Args:
            waveform: one or two channels at 48 kHz; a sine of amplitude 1 is 100 dB SPL.
            n_frame: how many frames to compute; samples beyond the end count as silence.

        Returns:
            Excitation (intensity re 0 dB SPL), and the real part of the cross-power of the first
            and the last channel, which for one channel is its excitation.
        """
        parts = [resolution(waveform, n_frame) for resolution in self.resolutions]
        power, cross = zip(*parts, strict=True)
        return torch.cat(power, dim=-1), torch.cat(cross, dim=-1)


class _Resolution(nn.Module):
    """The bands that read one window length: the window, and their filters on its spectrum."""

    window: Tensor
    weight: Tensor

    def __init__(self, center: Float[Tensor, "band"], length: int) -> None:
        super().__init__()
        window = torch.hann_window(length, periodic=True, dtype=torch.float64)
        weight = _filter_weight(center, length) / (length * window.square().sum())
        first, last = _support(weight)
        self.length = length
        self.bins = slice(first, last)
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("weight", weight[first:last].float(), persistent=False)

    def forward(
        self, waveform: Float[Tensor, "batch channel time"], n_frame: int
    ) -> tuple[Float[Tensor, "batch channel frame band"], Float[Tensor, "batch frame band"]]:
        spectrum = self._spectrum(waveform, n_frame)
        power = (spectrum.real.square() + spectrum.imag.square()) @ self.weight
        if waveform.shape[1] == 1:
            return power, power[:, 0]
        first, last = spectrum[:, 0], spectrum[:, -1]
        return power, (first.real * last.real + first.imag * last.imag) @ self.weight

    def _spectrum(
        self, waveform: Float[Tensor, "batch channel time"], n_frame: int
    ) -> Complex[Tensor, "batch channel frame bin"]:
        before = self.length // 2 - frames.FIRST_CENTER
        needed = (n_frame - 1) * frames.HOP_LENGTH + self.length
        clip = waveform[..., max(0, -before) :]
        left = max(0, before)
        clip = functional.pad(clip, (left, max(0, needed - left - clip.shape[-1])))
        framed = clip[..., :needed].unfold(-1, self.length, frames.HOP_LENGTH)
        return torch.fft.rfft(framed * self.window)[..., self.bins]


def _filter_weight(center: Float[Tensor, "band"], length: int) -> Float[Tensor, "bin band"]:
    """Filter shape times ear transfer times calibration, for power spectra of one length."""
    frequency = torch.arange(length // 2 + 1, dtype=torch.float64) * frames.SAMPLE_RATE / length
    distance = (frequency[:, None] - center[None, :]).abs() / center[None, :]
    p = 4.0 * center / equivalent_rectangular_bandwidth(center)
    shape = (1.0 + p * distance) * torch.exp(-p * distance)
    shape = torch.where(distance <= FILTER_REACH, shape, 0.0)
    transfer = 10.0 ** (transfer_gain_db(frequency) / 10.0)
    # A real signal's power sits in both halves of the spectrum; DC carries none that is heard.
    one_sided = torch.full_like(frequency, 2.0)
    one_sided[0] = 0.0
    one_sided[-1] = 1.0
    return shape * (transfer * one_sided)[:, None] * _POWER_TO_SPL


def _support(weight: Float[Tensor, "bin band"], floor: float = 1e-7) -> tuple[int, int]:
    """First and last + 1 bin that matter to any band: the rest need not be multiplied."""
    strong = (weight > floor * weight.amax(0, keepdim=True)).any(1).nonzero()
    return int(strong.min()), int(strong.max()) + 1
