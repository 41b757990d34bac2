"""Whether there is sound at a place of the cochlea, or only what spreads there from its neighbours.

Excitation runs together: the skirts of what lies around it fill a hole in a spectrum. The nerves of
that place then follow the rhythm of its neighbours and none of its own, and a hole does not sound
like a soft component.
"""

from jaxtyping import Float
from torch import Tensor

OWN_SHARE = 0.1
"""Power of a band's own components, over its excitation, at which they are half present."""
POWER_FLOOR = 1.0
"""Intensity (0 dB SPL) under which nothing is present."""


def presence(
    power: Float[Tensor, "batch frame band"], excitation: Float[Tensor, "batch frame band"]
) -> Float[Tensor, "batch frame band"]:
    """Share, 0 to 1; `power` is that of the band's own components, before they spread."""
    return power / (power + OWN_SHARE * excitation + POWER_FLOOR)
