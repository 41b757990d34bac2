"""Flux: how loudness rises and falls within 27 ms, band by band.

    flux(t) = r(t) - r(t - 2),   r = root of specific loudness

Onsets tell the steepest rise of a region in 3.3 ms; this tells how each band moves, up and down: a
tone that trembles or decays otherwise than another differs in it when levels hardly do. What lies
before a clip is unknown, so its first frame neither rises nor falls.
"""

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

FRAMES = 2
"""From which frame before: 27 ms."""
LOUDNESS_FLOOR = 0.01
"""Sone per Cam at which the root turns linear."""


def flux(
    loudness: Float[Tensor, "batch frame band"], mask: Bool[Tensor, "batch frame"]
) -> Float[Tensor, "batch frame band"]:
    """Change of the root of specific loudness, in root sone per Cam; zeros outside `mask`."""
    root = (loudness + LOUDNESS_FLOOR).sqrt()
    before = functional.pad(root, (0, 0, FRAMES, 0), mode="replicate")[:, : root.shape[1]]
    return (root - before) * mask[..., None]
