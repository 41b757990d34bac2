"""Modulation: how strongly loudness beats, flutters and trembles, by rate and by region.

Loudness in 15 regions of five bands each goes through complex Gabor filters of five rates. The
filters' quality is about 2, as modulation masking suggests (Dau, Kollmeier and Kohlrausch, 1997);
the fastest is as near to the frame rate's limit of 37.5 Hz as it can be.

The filter of window w takes, instead of the loudness N, its deviation from the mean,

    m = sum w N,    y = sum w exp(-i 2 pi rate t) (N - m),    sum w = 1

so that a steady sound is not modulated. Beyond a clip's ends there is silence: a tone that starts
and stops is modulated there, and how it does so is much of what tells one instrument from another.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from pamt_metric.psychoacoustics.frames import FRAME_RATE
from pamt_metric.psychoacoustics.scales import BANDS_PER_REGION, CAM_STEP, N_REGIONS

MODULATION_RATES_HZ = (2.0, 4.0, 8.0, 16.0, 30.0)
QUALITY = 2.0
"""Centre rate over the bandwidth at half power."""
EPSILON = 2.0**-12
"""Keeps the magnitude's slope finite where there is no modulation, in sone."""


class ModulationFilterbank(nn.Module):
    """Specific loudness -> modulation magnitude in sone by region and rate."""

    def __init__(self) -> None:
        super().__init__()
        for index, rate in enumerate(MODULATION_RATES_HZ):
            self.register_buffer(f"kernel_{index}", _kernels(rate).float(), persistent=False)

    def forward(
        self,
        specific_loudness: Float[Tensor, "batch frame band"],
        mask: Bool[Tensor, "batch frame"],
    ) -> Float[Tensor, "batch frame region rate"]:
        """Modulation magnitude, twice the filter's output so that it reads as peak deviation.

        Frames outside `mask` are silent and hold zeros.
        """
        inside = mask[..., None].to(specific_loudness.dtype)
        region = specific_loudness.unflatten(-1, (N_REGIONS, BANDS_PER_REGION)).sum(-1) * CAM_STEP
        signals = (region * inside).transpose(1, 2).flatten(0, 1)[:, None]
        rates = [self._filter(signals, index) for index in range(len(MODULATION_RATES_HZ))]
        magnitude = torch.stack(rates, dim=-1).unflatten(0, (len(mask), N_REGIONS)).transpose(1, 2)
        return magnitude * inside[..., None]

    def _filter(
        self, signals: Float[Tensor, "signal 1 frame"], index: int
    ) -> Float[Tensor, "signal frame"]:
        kernel = getattr(self, f"kernel_{index}")
        filtered = functional.conv1d(signals, kernel, padding=kernel.shape[-1] // 2)
        return 2.0 * ((filtered.square().sum(1) + EPSILON**2).sqrt() - EPSILON)


def _kernels(rate: float) -> Float[Tensor, "2 1 tap"]:
    """Window of one rate times cosine and sine, each freed of its mean under the window."""
    # exp(-t^2 / 2 s^2) has a half-power bandwidth of sqrt(ln 2) / (pi s)
    spread = QUALITY * math.sqrt(math.log(2.0)) / (math.pi * rate)
    reach = math.ceil(2.5 * spread * FRAME_RATE)
    time = torch.arange(-reach, reach + 1, dtype=torch.float64) / FRAME_RATE
    window = torch.exp(-time.square() / (2.0 * spread**2))
    window = window / window.sum()
    phase = 2.0 * math.pi * rate * time
    wave = torch.stack([phase.cos(), phase.sin()])
    return (window * (wave - (window * wave).sum(-1, keepdim=True)))[:, None]
