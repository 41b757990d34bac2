"""What two ears hear that one does not: where a sound sits and how wide it is.

By region of five bands and by frame: the level difference as the share of loudness that one side
has more than the other, in [-1, 1], and the coherence, the cross-power of the two sides over the
geometric mean of their powers, in [-1, 1]: 1 for mono, 0 for unrelated sides, -1 for a channel of
flipped polarity. A mono clip has difference 0 and coherence 1 at any level, and so has silence: a
faint sound on both sides is not wider than a loud one.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pamt_metric.psychoacoustics.scales import BANDS_PER_REGION, N_REGIONS

LOUDNESS_FLOOR = 1e-3
"""Sone in a region under which sides are not told apart."""
POWER_FLOOR = 10.0
"""Intensity (10 dB SPL) that both ears have of their own, in common."""


def interaural_cues(
    specific_loudness: Float[Tensor, "batch channel frame band"],
    power: Float[Tensor, "batch channel frame band"],
    cross_power: Float[Tensor, "batch frame band"],
    mask: Bool[Tensor, "batch frame"],
) -> Float[Tensor, "batch frame region 2"]:
    """Level difference and coherence of the two sides, by region.

    `power` and `cross_power` are those of the band's own components, before they spread. Both cues
    are 0 in frames outside `mask`.
    """
    left, right = _region(specific_loudness[:, 0]), _region(specific_loudness[:, -1])
    difference = (left - right) / (left + right + LOUDNESS_FLOOR)
    one, other = (_region(side) + POWER_FLOOR for side in (power[:, 0], power[:, -1]))
    coherence = (_region(cross_power) + POWER_FLOOR) / (one.sqrt() * other.sqrt())
    return torch.stack([difference, coherence * mask[..., None]], dim=-1)


def _region(band: Float[Tensor, "batch frame band"]) -> Float[Tensor, "batch frame region"]:
    return band.unflatten(-1, (N_REGIONS, BANDS_PER_REGION)).sum(-1)
