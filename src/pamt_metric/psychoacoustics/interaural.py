"""What two ears hear that one does not: where a sound sits and how wide it is.

By region of five bands and by frame: the level difference as the share of loudness that one side
has more than the other, in [-1, 1], and the coherence, the cross-power of the two sides over the
geometric mean of their powers, in [-1, 1]: 1 for mono, 0 for unrelated sides, -1 for a channel of
flipped polarity. A mono clip has difference 0 and coherence 1. In silence both are 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from pamt_metric.psychoacoustics.scales import BANDS_PER_REGION, N_REGIONS

LOUDNESS_FLOOR = 1e-3
"""Sone in a region under which sides are not told apart."""
POWER_FLOOR = 10.0
"""Intensity (10 dB SPL) under which coherence fades to 0."""


def interaural_cues(
    specific_loudness: Float[Tensor, "batch channel frame band"],
    power: Float[Tensor, "batch channel frame band"],
    cross_power: Float[Tensor, "batch frame band"],
) -> Float[Tensor, "batch frame region 2"]:
    """Level difference and coherence of the two sides, by region.

    `power` and `cross_power` are those of the band's own components, before they spread.
    """
    left, right = _region(specific_loudness[:, 0]), _region(specific_loudness[:, -1])
    difference = (left - right) / (left + right + LOUDNESS_FLOOR)
    product = _region(power[:, 0]) * _region(power[:, -1])
    coherence = _region(cross_power) / (product + POWER_FLOOR**2).sqrt()
    return torch.stack([difference, coherence], dim=-1)


def _region(band: Float[Tensor, "batch frame band"]) -> Float[Tensor, "batch frame region"]:
    return band.unflatten(-1, (N_REGIONS, BANDS_PER_REGION)).sum(-1)
