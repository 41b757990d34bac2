"""Specific loudness: how loud each place of the cochlea sounds, in sone per Cam.

    N' = C [(G E + A)^alpha - A^alpha]                              E above threshold
    N' = C (2 E / (E + E_thr))^1.5 [(G E + A)^alpha - A^alpha]      E below threshold
    N' = C (E / 1.0707)^0.2                                         E above 10^10

E is the excitation, E_thr that of a tone at the threshold of hearing, G the low-level gain of the
cochlear amplifier relative to 500 Hz and above, alpha and A follow from G. Both ears together are
0.75 (left + right): a diotic sound is 1.5 times as loud as in one ear.

Every branch has a finite slope at E = 0, since A > 0.

Source: ISO 532-2:2017, 5.6 to 5.8, tables 4 to 6.
"""

import functools
import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from pamt_metric.psychoacoustics.scales import CAM_STEP, N_BANDS, center_frequencies

SONE_PER_CAM = 0.0617
"""C of the standard."""
BINAURAL_SHARE = 0.75
"""Weight of each ear, so that both together are 1.5 times one."""
HIGH_LEVEL = 1e10
"""Excitation above which loudness grows with a plain power of 0.2."""

# frequency Hz: (excitation at threshold dB, gain of the cochlear amplifier dB)
_THRESHOLD_AND_GAIN_DB = {
    50: (27.46, -24.31),
    63: (23.45, -20.3),
    80: (18.47, -15.32),
    100: (15.13, -11.98),
    125: (11.97, -8.82),
    160: (9.34, -6.19),
    200: (7.43, -4.28),
    250: (5.75, -2.6),
    315: (4.73, -1.58),
    400: (3.92, -0.77),
    500: (3.15, 0.0),
}
# gain dB: exponent
_ALPHA = {-25: 0.26692, -20: 0.25016, -15: 0.23679, -10: 0.22228, -5: 0.21055, 0: 0.2}
# gain dB: constant A
_A = {
    -25: 7.784,
    -24.5: 7.667,
    -24: 7.551,
    -23.5: 7.435,
    -23: 7.318,
    -22.5: 7.21,
    -22: 7.103,
    -21.5: 6.996,
    -21: 6.889,
    -20.5: 6.782,
    -20: 6.675,
    -19.5: 6.596,
    -19: 6.517,
    -18.5: 6.438,
    -18: 6.36,
    -17.5: 6.281,
    -17: 6.202,
    -16.5: 6.124,
    -16: 6.047,
    -15.5: 5.975,
    -15: 5.902,
    -14.5: 5.823,
    -14: 5.744,
    -13.5: 5.665,
    -13: 5.587,
    -12.5: 5.51,
    -12: 5.437,
    -11.5: 5.364,
    -11: 5.291,
    -10.5: 5.218,
    -10: 5.145,
    -9.5: 5.086,
    -9: 5.027,
    -8.5: 4.972,
    -8: 4.918,
    -7.5: 4.863,
    -7: 4.808,
    -6.5: 4.754,
    -6: 4.699,
    -5.5: 4.644,
    -5: 4.59,
    -4.5: 4.542,
    -4: 4.496,
    -3.5: 4.451,
    -3: 4.405,
    -2.5: 4.359,
    -2: 4.314,
    -1.5: 4.268,
    -1: 4.222,
    -0.5: 4.177,
    0: 4.131,
}
# Sone by phon.
_PHON_TO_SONE = {
    0.0: 0.001,
    2.2: 0.004,
    4.0: 0.008,
    5.0: 0.01,
    7.5: 0.019,
    10.0: 0.031,
    15.0: 0.073,
    20.0: 0.146,
    25.0: 0.26,
    30.0: 0.43,
    35.0: 0.67,
    40.0: 1.0,
    45.0: 1.46,
    50.0: 2.09,
    55.0: 2.96,
    60.0: 4.14,
    65.0: 5.77,
    70.0: 8.04,
    75.0: 11.2,
    80.0: 15.8,
    85.0: 22.7,
    90.0: 32.9,
    95.0: 47.7,
    100.0: 69.6,
    105.0: 102.0,
    110.0: 151.0,
    115.0: 225.0,
    120.0: 337.6,
}


@functools.cache
def quiet_excitation() -> Float[Tensor, "band"]:
    """Excitation of a tone at the threshold of hearing, by band of the ear."""
    # Cached tensors outlive the caller: made in inference mode they could never meet autograd.
    with torch.inference_mode(mode=False):
        return threshold_excitation(center_frequencies())


def threshold_excitation(frequency: Float[Tensor, "band"]) -> Float[Tensor, "band"]:
    """Excitation of a tone at the threshold of hearing (intensity, not dB), by centre in Hz."""
    return 10.0 ** (_interpolate(_log_table(0), frequency.log()) / 10.0)


class SpecificLoudness(nn.Module):
    """Excitation -> specific loudness of one ear, in sone per Cam.

    Args:
        n_bands: how many, from the lowest up.
    """

    threshold: Tensor
    gain: Tensor
    alpha: Tensor
    offset: Tensor

    def __init__(self, n_bands: int = N_BANDS) -> None:
        super().__init__()
        center = center_frequencies(n_bands)
        gain_db = _interpolate(_log_table(1), center.log())
        constants = {
            "threshold": threshold_excitation(center),
            "gain": 10.0 ** (gain_db / 10.0),
            "alpha": _interpolate(_ALPHA, gain_db),
            "offset": _interpolate(_A, gain_db),
        }
        for name, value in constants.items():
            self.register_buffer(name, value.float(), persistent=False)

    def forward(
        self, excitation: Float[Tensor, "*batch frame band"]
    ) -> Float[Tensor, "*batch frame band"]:
        """Sone per Cam at each band; exactly 0 in silence."""
        grown = (self.gain * excitation + self.offset) ** self.alpha - self.offset**self.alpha
        below = (2.0 * excitation / (excitation + self.threshold)).clamp_max(1.0) ** 1.5
        # clamp keeps the branch that is not taken from sending an infinite slope back
        high = (excitation.clamp_min(HIGH_LEVEL) / 1.0707) ** 0.2
        return SONE_PER_CAM * torch.where(excitation > HIGH_LEVEL, high, below * grown)


def binaural(
    specific_loudness: Float[Tensor, "batch channel frame band"],
) -> Float[Tensor, "batch frame band"]:
    """Both ears together; one channel is heard with both ears."""
    left, right = specific_loudness[:, 0], specific_loudness[:, -1]
    return BINAURAL_SHARE * (left + right)


def total_loudness(
    specific_loudness: Float[Tensor, "*batch frame band"],
) -> Float[Tensor, "*batch frame"]:
    """Loudness in sone: specific loudness summed over the cochlea."""
    return specific_loudness.sum(-1) * CAM_STEP


def phon(sone: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Loudness level in phon of a loudness in sone; 0 phon at 0.001 sone and below.

    Source: ISO 532-2:2017, table 5; linear over the logarithm of sone in between.
    """
    level = torch.tensor(list(_PHON_TO_SONE), dtype=sone.dtype, device=sone.device)
    table = torch.tensor(list(_PHON_TO_SONE.values()), dtype=sone.dtype, device=sone.device).log()
    x = sone.clamp_min(_PHON_TO_SONE[0.0]).log()
    right = torch.searchsorted(table, x.detach().contiguous()).clamp(1, len(table) - 1)
    low, high = table[right - 1], table[right]
    return torch.lerp(level[right - 1], level[right], (x - low) / (high - low))


def _log_table(column: int) -> dict[float, float]:
    return {math.log(hz): values[column] for hz, values in _THRESHOLD_AND_GAIN_DB.items()}


def _interpolate(table: dict, at: Float[Tensor, "band"]) -> Float[Tensor, "band"]:
    x, y = np.array(list(table)), np.array(list(table.values()))
    return torch.as_tensor(np.interp(at.double().numpy(), x, y))
