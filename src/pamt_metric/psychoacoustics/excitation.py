"""Excitation: how strongly each place of the cochlea moves, with filters that widen with level.

A component of power P at frequency f excites the place of centre frequency fc by W P, with the
rounded exponential

    W = (1 + p g) exp(-p g),   g = |f - fc| / fc   (0 above g = 4),   p51(fc) = 4 fc / ERB_N(fc)
    f > fc:   p = p51(fc)
    f < fc:   p = p51(fc) - 0.35 (p51(fc) / p51(1 kHz)) (X - 51)

X is the level in dB within one ERB around the component: the power spectrum weighed by the same
rounded exponential with p = p51(f). So a strong sound spreads to higher places: at 1 kHz and
90 dB about three times as far as at 51 dB.

On the low-frequency skirt p g = s(X) d, with d = 4 (fc - f) / ERB_N(fc) and s = 1 - 0.35 (X - 51) /
p51(1 kHz): one number of the component times one of the pair, which is what `level_spread` needs.

The windows of the filterbank smear a tone over neighbouring components, which would widen the
bass filters by a tenth. The weights are sharpened beforehand, so that smeared tones give the
filters of the standard (Richardson-Lucy iterations, which keep every weight positive).

Source: ISO 532-2:2017, 5.4 and 5.5. Departs from it: components lie a quarter of a Cam apart.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pamt_metric.psychoacoustics.calibration import level_db
from pamt_metric.psychoacoustics.filterbank import component_frequencies, smear_matrix
from pamt_metric.psychoacoustics.level_spread import (
    LevelSpread,
    drop_unheard,
    node_levels_db,
    rounded_exponential_nodes,
)
from pamt_metric.psychoacoustics.scales import (
    N_BANDS,
    center_frequencies,
    equivalent_rectangular_bandwidth,
)

FILTER_REACH = 4.0
"""Normalised frequency distance g beyond which a filter is cut to zero."""
SLOPE_PER_DB = 0.35
"""Fall of p at 1 kHz per dB of level."""
REFERENCE_LEVEL_DB = 51.0
"""Level at which both skirts have the slope p51."""
SHARPENING_STEPS = 12


class Excitation(nn.Module):
    """Power of components -> excitation of bands, both re 0 dB SPL at the cochlea.

    Args:
        n_bands: how many, from the lowest up.
    """

    erb_weight: Tensor

    def __init__(self, n_bands: int = N_BANDS) -> None:
        super().__init__()
        self.spread = LevelSpread(_sharpened_weight(n_bands))
        self.register_buffer("erb_weight", _erb_weight().float(), persistent=False)

    def forward(self, power: Float[Tensor, "*batch component"]) -> Float[Tensor, "*batch band"]:
        """Excitation (intensity, not dB); exactly 0 in silence."""
        return self.spread(power, level_db(power @ self.erb_weight))


def sharpness_p51(frequency: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """P of the filter centred at a frequency in Hz, for 51 dB per ERB."""
    return 4.0 * frequency / equivalent_rectangular_bandwidth(frequency)


def roex(p: Float[Tensor, "*#any"], g: Float[Tensor, "*#any"]) -> Float[Tensor, "*any"]:
    """Rounded exponential at normalised distance g, cut off at `FILTER_REACH`."""
    return torch.where(g <= FILTER_REACH, (1.0 + p * g) * torch.exp(-p * g), 0.0)


def skirt_slope(level_db: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """s(X): p of the low-frequency skirt over p51, by level per ERB."""
    p51 = sharpness_p51(torch.tensor(1000.0, dtype=torch.float64))
    return 1.0 - SLOPE_PER_DB / float(p51) * (level_db - REFERENCE_LEVEL_DB)


def _erb_weight() -> Float[Tensor, "component component"]:
    """From components to the power per ERB around each of them."""
    frequency = component_frequencies()
    g = (frequency[:, None] - frequency[None, :]).abs() / frequency[None, :]
    return drop_unheard(roex(sharpness_p51(frequency)[None, :], g))


def filter_weight(n_bands: int = N_BANDS) -> Float[Tensor, "node component band"]:
    """Spline coefficients of the filters of ISO 532-2."""
    frequency, center = component_frequencies()[:, None], center_frequencies(n_bands)[None, :]
    p51 = sharpness_p51(center)
    g = (frequency - center).abs() / center
    slope = skirt_slope(node_levels_db())[:, None, None].expand(-1, *g.shape)
    widening = rounded_exponential_nodes(slope, p51 * g)
    weight = torch.where(frequency < center, widening, roex(p51, g))
    return torch.where(g <= FILTER_REACH, weight, 0.0)


@lru_cache
def _sharpened_weight(n_bands: int) -> Float[Tensor, "node component band"]:
    wanted = filter_weight(n_bands)
    smear = smear_matrix()
    reached = smear.sum(0)[:, None].clamp_min(1e-3)
    weight = wanted.clone()
    for _ in range(SHARPENING_STEPS):
        ratio = wanted / (smear @ weight).clamp_min(1e-30)
        weight = weight * (smear.T @ ratio) / reached
    return weight
