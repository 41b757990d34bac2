"""Fluctuation strength: how strongly a sound swells and fades between 0.25 and 20 Hz.

Listeners go by how far the excitation level swings, over all bands that swing (Fastl and Zwicker's
delta L, integrated over the Bark scale). In each band, of the excitation E over that of a tone at
the threshold of hearing E_q:

    a = ln(E / E_q + 2)                                   about the level, in nepers of power
    m^2 = |y|^4 / (|y|^2 + 0.29 |z|^2)                    how far it swings
    F = 3.85 (mean over bands of ((m^1.3 / (m^1.3 + 2.8^1.3)) L / (L + 10))^2.4)^(1/2.4)     vacil

y and z are the deviations of a from its mean through complex band passes, y with most of its
response at 4 Hz, z at once in four seconds and slower: a slow swing has flanks that hold faster
rates, which nobody hears as such. A swing of about 12 dB to either side counts half of the largest.
L = exp(mean a) - 2: bands near the threshold of hearing do not count.

Source: Fastl and Zwicker (2007), figures 10.1 to 10.5 (medians and quartiles of listeners as
digitised by Osses). The constants were fitted to them; as vacil, with no factor left free, tones
and noise in amplitude and tones in frequency fall within the quartiles at all rates. Departs from
their formula, whose delta L is that of a temporal masking pattern and whose dependence on rate is
that of one product for all sounds.
"""

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor, nn

from pamt_metric.psychoacoustics.envelope_filter import band_pass, centred_filter
from pamt_metric.psychoacoustics.frames import FRAME_RATE
from pamt_metric.psychoacoustics.loudness import quiet_excitation

LARGEST_VACIL = 3.85
"""Of a sound whose bands all swing without end."""
LEVEL_FLOOR = 2.0
"""Excitation, re a tone at the threshold of hearing, at which level stops to matter."""
HALF_SWING = 2.8
"""Swing of the logarithm of excitation, in nepers of power (12 dB), of half the largest value."""
SWING_POWER = 1.3
SLOW_WEIGHT = 0.29
"""How much of its square a slow swing takes from a faster one in the same band."""
AUDIBLE = 10.0
"""Excitation, re a tone at the threshold of hearing, at which a band counts half."""
BAND_POWER = 2.4
REACH_S = 3.0
"""To either side: three quarters of a period of the slowest rate."""
SWING_FLOOR = 1e-6
"""Square of a swing that counts as none: keeps slopes finite where nothing swings."""
SUM_FLOOR = 1e-9

# Hz: response to swings, re 4 Hz
_SWING = {
    0.25: 0.05,
    0.5: 0.13,
    1.0: 0.33,
    2.0: 0.77,
    4.0: 1.0,
    8.0: 0.91,
    16.0: 0.26,
    32.0: 0.024,
}
# Hz: response to what is slow
_SLOW = {0.25: 1.0, 0.5: 0.33, 1.0: 0.2, 2.0: 0.3, 4.0: 0.0}


class FluctuationStrength(nn.Module):
    """Excitation in frames -> fluctuation strength in frames, in vacil."""

    kernel: Tensor
    slow_kernel: Tensor
    quiet: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", _kernel(_SWING), persistent=False)
        self.register_buffer("slow_kernel", _kernel(_SLOW), persistent=False)
        self.register_buffer("quiet", quiet_excitation(), persistent=False)

    def forward(
        self,
        excitation: Float[Tensor, "batch frame band"],
        mask: Bool[Tensor, "batch frame"],
    ) -> Float[Tensor, "batch frame"]:
        """Fluctuation strength; zeros outside `mask`."""
        inside = mask[..., None].to(excitation.dtype)
        level = (excitation / self.quiet + LEVEL_FLOOR).log() * inside
        mean, real, imag = centred_filter(level, inside, self.kernel) * inside
        _, *slow = centred_filter(level, inside, self.slow_kernel) * inside
        squared = real.square() + imag.square()
        slower = SLOW_WEIGHT * (slow[0].square() + slow[1].square())
        squared = squared.square() / (squared + slower + SWING_FLOOR)
        swing = (squared + SWING_FLOOR).pow(SWING_POWER / 2.0) - SWING_FLOOR ** (SWING_POWER / 2.0)
        heard = (mean.exp() - LEVEL_FLOOR).clamp_min(0.0)
        by_band = swing / (swing + HALF_SWING**SWING_POWER) * heard / (heard + AUDIBLE)
        total = (by_band.pow(BAND_POWER).mean(-1) + SUM_FLOOR) ** (1.0 / BAND_POWER)
        return LARGEST_VACIL * (total - SUM_FLOOR ** (1.0 / BAND_POWER)) * mask


def _kernel(response: dict[float, float]) -> Float[Tensor, "3 1 tap"]:
    reach = round(REACH_S * FRAME_RATE)
    values = np.array(list(response.values()))
    return band_pass(tuple(response), values, sample_rate=FRAME_RATE, reach=reach).float()
