"""Program loudness by ITU-R BS.1770-5, differentiable: the level at which two clips are matched.

    L = -0.691 + 10 log10( sum over channels of the mean K-weighted power )   LUFS

K-weighting is a high shelf (the head) after which a high pass follows (RLB); both are applied in
the frequency domain to segments of 100 ms, four of which make a 400 ms block with 75 % overlap.
Blocks under -70 LUFS, and then those 10 LU under the mean of the rest, do not count.

Source: ITU-R BS.1770-5, annex 1, tables 1 and 2 (filter coefficients at 48 kHz). Departs from it:
filtering a segment on its own leaks a little at its ends (under 0.1 dB, tested); a clip shorter
than a block is one block.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from pamt_metric.psychoacoustics.frames import SAMPLE_RATE

SEGMENT_LENGTH = SAMPLE_RATE // 10
"""Samples of the step between blocks: 100 ms."""
SEGMENTS_PER_BLOCK = 4
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = 10.0
OFFSET_LUFS = -0.691

# (numerator, denominator) at 48 kHz
_HEAD_SHELF = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
_RLB_HIGH_PASS = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))


class ProgramLoudness(nn.Module):
    """Gated loudness of clips at 48 kHz, in LUFS."""

    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        z = torch.exp(-2j * torch.pi * torch.arange(SEGMENT_LENGTH // 2 + 1) / SEGMENT_LENGTH)
        power = torch.ones(z.shape)
        for numerator, denominator in (_HEAD_SHELF, _RLB_HIGH_PASS):
            power = power * (_polynomial(numerator, z) / _polynomial(denominator, z)).abs() ** 2
        # One-sided spectrum: every bin but DC and Nyquist stands for two.
        power[1:-1] *= 2.0
        self.register_buffer("weight", power / SEGMENT_LENGTH, persistent=False)

    def forward(
        self, waveform: Float[Tensor, "batch channel time"], lengths: Int64[Tensor, "batch"]
    ) -> tuple[Float[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """Loudness in LUFS, and whether the clip is loud enough to have one.

        Clips in which no block passes the absolute gate get -70 LUFS and False. A mono clip is
        heard from one loudspeaker: the same signal in two channels is 3 dB louder.
        """
        return self.of_energy(self.segment_energy(waveform), lengths)

    def of_energy(
        self, energy: Float[Tensor, "batch segment"], lengths: Int64[Tensor, "batch"]
    ) -> tuple[Float[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """The same from the energy of each segment."""
        block = energy.unfold(1, SEGMENTS_PER_BLOCK, 1).sum(-1)
        samples = lengths.clamp_max(SEGMENT_LENGTH * SEGMENTS_PER_BLOCK).to(energy.dtype)
        power = block / samples[:, None]
        n_block = (lengths // SEGMENT_LENGTH - SEGMENTS_PER_BLOCK + 1).clamp_min(1)
        inside = torch.arange(power.shape[1], device=power.device)[None] < n_block[:, None]
        loud = inside & (power > _power(ABSOLUTE_GATE_LUFS))
        mean = _masked_mean(power, loud)
        counted = loud & (power > mean[:, None] * 10.0 ** (-RELATIVE_GATE_LU / 10.0))
        audible = loud.any(1)
        floor = torch.full_like(mean, _power(ABSOLUTE_GATE_LUFS))
        # silence takes the constant, so that its slope is 0 rather than infinite
        power_counted = torch.where(audible, _masked_mean(power, counted), floor)
        return OFFSET_LUFS + 10.0 * power_counted.log10(), audible

    def segment_energy(
        self, waveform: Float[Tensor, "batch channel time"]
    ) -> Float[Tensor, "batch segment"]:
        """K-weighted energy of each 100 ms; at least of one block, with silence after the clip.

        That of a long clip is that of its parts, if they start at multiples of `SEGMENT_LENGTH` and
        hold a block or more.
        """
        n_segment = max(SEGMENTS_PER_BLOCK, -(-waveform.shape[-1] // SEGMENT_LENGTH))
        padding = n_segment * SEGMENT_LENGTH - waveform.shape[-1]
        segment = functional.pad(waveform, (0, padding)).unflatten(-1, (n_segment, SEGMENT_LENGTH))
        spectrum = torch.fft.rfft(segment)
        power = spectrum.real.square() + spectrum.imag.square()
        return (power @ self.weight).sum(1)


def _polynomial(coefficients: tuple[float, ...], z: Tensor) -> Tensor:
    terms = [value * z**order for order, value in enumerate(coefficients)]
    return torch.stack(terms).sum(0)


def _power(lufs: float) -> float:
    return 10.0 ** ((lufs - OFFSET_LUFS) / 10.0)


def _masked_mean(
    value: Float[Tensor, "batch block"], mask: Bool[Tensor, "batch block"]
) -> Float[Tensor, "batch"]:
    return (value * mask).sum(1) / mask.sum(1).clamp_min(1)
