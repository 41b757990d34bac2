"""Modulation: how strongly loudness beats, flutters and trembles, by rate and by region.

Loudness in 15 regions of five bands each goes through complex Gabor filters of five rates. The
filters' quality is about 2, as modulation masking suggests (Dau, Kollmeier and Kohlrausch, 1997);
the fastest is as near to the frame rate's limit of 37.5 Hz as it can be.

The filter of window w takes, instead of the loudness N, its deviation from the mean within the part
of the window that is known,

    m = sum w N / sum w,    y = sum w exp(-i 2 pi rate t) (N - m),    sums over what is known,

so that a steady sound is not modulated. Beyond a clip's ends there is either silence, as for the
tokens: a tone that starts and stops is modulated there, and how it does so is much of what tells
one instrument from another. Or there is something unknown, as for the fluctuation strength of an
excerpt: then a steady sound is unmodulated up to its very ends.
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
LEAST_COVER = 1e-3
"""Share of a window under which the mean within it fades to 0: frames far beyond the clip."""


class ModulationFilterbank(nn.Module):
    """Specific loudness -> modulation magnitude in sone by region and rate.

    Args:
        silent_surroundings: beyond a clip's ends there is silence rather than something unknown.
    """

    def __init__(self, *, silent_surroundings: bool = False) -> None:
        super().__init__()
        self.silent_surroundings = silent_surroundings
        for index, rate in enumerate(MODULATION_RATES_HZ):
            self.register_buffer(f"kernel_{index}", _kernels(rate).float(), persistent=False)

    def forward(
        self,
        specific_loudness: Float[Tensor, "batch frame band"],
        mask: Bool[Tensor, "batch frame"],
    ) -> Float[Tensor, "batch frame region rate"]:
        """Modulation magnitude, twice the filter's output so that it reads as peak deviation.

        Frames outside `mask` take no part and hold zeros.
        """
        inside = mask[..., None].to(specific_loudness.dtype)
        region = specific_loudness.unflatten(-1, (N_REGIONS, BANDS_PER_REGION)).sum(-1) * CAM_STEP
        known = torch.ones_like(inside) if self.silent_surroundings else inside
        both = torch.cat([region * inside, known], dim=-1)
        rates = [self._filter(both, index) for index in range(len(MODULATION_RATES_HZ))]
        return torch.stack(rates, dim=-1) * inside[..., None]

    def _filter(
        self, both: Float[Tensor, "batch frame regions_and_cover"], index: int
    ) -> Float[Tensor, "batch frame region"]:
        kernel = getattr(self, f"kernel_{index}")
        reach = kernel.shape[-1] // 2
        region, known = (
            functional.pad(x, (0, 0, reach, reach), value=beyond)
            for x, beyond in ((both[..., :-1], 0.0), (both[..., -1:], self._known_beyond()))
        )
        envelope = torch.cat([region, known], dim=-1).transpose(1, 2).flatten(0, 1)[:, None]
        filtered = functional.conv1d(envelope, kernel)
        filtered = filtered.unflatten(0, (both.shape[0], -1)).permute(2, 0, 3, 1)
        (mean, cosine, sine), cover = filtered[..., :-1], filtered[..., -1:]
        mean = mean / cover[0].clamp_min(LEAST_COVER)
        power = (cosine - mean * cover[1]).square() + (sine - mean * cover[2]).square()
        return 2.0 * ((power + EPSILON**2).sqrt() - EPSILON)

    def _known_beyond(self) -> float:
        """Whether what lies beyond the frames given counts as known."""
        return 1.0 if self.silent_surroundings else 0.0


def _kernels(rate: float) -> Float[Tensor, "3 1 tap"]:
    """Window of one rate, and the window times cosine and sine."""
    # exp(-t^2 / 2 s^2) has a half-power bandwidth of sqrt(ln 2) / (pi s)
    spread = QUALITY * math.sqrt(math.log(2.0)) / (math.pi * rate)
    reach = math.ceil(2.5 * spread * FRAME_RATE)
    time = torch.arange(-reach, reach + 1, dtype=torch.float64) / FRAME_RATE
    window = torch.exp(-time.square() / (2.0 * spread**2))
    window = window / window.sum()
    phase = 2.0 * math.pi * rate * time
    return torch.stack([window, window * phase.cos(), window * phase.sin()])[:, None]
