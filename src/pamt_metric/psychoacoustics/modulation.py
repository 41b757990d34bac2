"""Modulation: how strongly loudness beats, flutters and trembles, by rate and by region.

Loudness in 15 regions of five bands each goes through complex Gabor filters of five rates. The
filters' quality is about 2, as modulation masking suggests (Dau, Kollmeier and Kohlrausch, 1997);
the fastest is as near to the frame rate's limit of 37.5 Hz as it can be.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pamt_metric.psychoacoustics.frames import FRAME_RATE
from pamt_metric.psychoacoustics.scales import CAM_STEP, N_BANDS

MODULATION_RATES_HZ = (2.0, 4.0, 8.0, 16.0, 30.0)
BANDS_PER_REGION = 5
N_REGIONS = N_BANDS // BANDS_PER_REGION
QUALITY = 2.0
"""Centre rate over the bandwidth at half power."""
EPSILON = 2.0**-12
"""Keeps the magnitude's slope finite where there is no modulation, in sone."""


class ModulationFilterbank(nn.Module):
    """Specific loudness -> modulation magnitude in sone by region and rate."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        # exp(-t^2 / 2 s^2) has a half-power bandwidth of sqrt(ln 2) / (pi s)
        widest = QUALITY * math.sqrt(math.log(2.0)) / (math.pi * MODULATION_RATES_HZ[0])
        self.reach = math.ceil(2.5 * widest * FRAME_RATE)
        time = torch.arange(-self.reach, self.reach + 1, dtype=torch.float64) / FRAME_RATE
        kernels = []
        for rate in MODULATION_RATES_HZ:
            spread = QUALITY * math.sqrt(math.log(2.0)) / (math.pi * rate)
            window = torch.exp(-time.square() / (2.0 * spread**2))
            window = window / window.sum()
            cosine = window * torch.cos(2.0 * math.pi * rate * time)
            cosine = cosine - window * cosine.sum()  # a steady sound is not modulated
            kernels += [cosine, window * torch.sin(2.0 * math.pi * rate * time)]
        self.register_buffer("kernel", torch.stack(kernels)[:, None].float(), persistent=False)

    def forward(
        self, specific_loudness: Float[Tensor, "batch frame band"]
    ) -> Float[Tensor, "batch frame region rate"]:
        """Modulation magnitude, twice the filter's output so that it reads as peak deviation."""
        batch, n_frame, _ = specific_loudness.shape
        region = specific_loudness.unflatten(-1, (N_REGIONS, BANDS_PER_REGION)).sum(-1) * CAM_STEP
        envelope = region.transpose(1, 2).reshape(batch * N_REGIONS, 1, n_frame)
        filtered = functional.conv1d(envelope, self.kernel, padding=self.reach)
        quadrature = filtered.unflatten(1, (len(MODULATION_RATES_HZ), 2))
        magnitude = 2.0 * ((quadrature.square().sum(2) + EPSILON**2).sqrt() - EPSILON)
        return magnitude.reshape(batch, N_REGIONS, -1, n_frame).permute(0, 3, 1, 2)
