"""Spreading whose slope changes with level, as a few matrix products.

Both the auditory filters of ISO 532-2 and the masking slopes of BS.1387 let a component at
distance d spread by exp(-s d), where s falls in a straight line with the component's level X.
Evaluated for every pair of component and band, that is costly; but it is a function of two
numbers, which B-splines over level part into sums of products:

    exp(-s(X) d)  =  sum_k  B((X - X_k) / step)  c_k(d)

with quadratic B-splines B. Laying an exponential on a grid of B-splines gives back the same
exponential times M(z) = (sinh(z/2) / (z/2))^3, z = slope * step * d, up to a ripple of 1 % or
less where z < 1.3. So c_k(d) = exp(-s(X_k) d) / M(z), and for the rounded exponential, with the
derivative of the same identity,

    (1 + s d) exp(-s d)  :  c_k(d) = exp(-s_k d) [(1 + z M'/M) + s_k d] / M

The sum is positive, smooth in level (its slope has no jumps) and a product of matrices.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

LEVEL_STEP_DB = 8.0
LOWEST_LEVEL_DB = 20.0
"""Below this level the slope stays: what it spreads is under the threshold of hearing."""
HIGHEST_LEVEL_DB = 108.0
N_NODES = 13
BLOCK_FRAMES = 256
"""Frames worked on at once, node by node: what fits the processor's cache."""


def node_levels_db() -> Float[Tensor, "node"]:
    """Levels X_k of the splines; half a step beyond the range on both sides."""
    first = LOWEST_LEVEL_DB - LEVEL_STEP_DB / 2.0
    return first + LEVEL_STEP_DB * torch.arange(N_NODES, dtype=torch.float64)


class LevelSpread(nn.Module):
    """Power of components and their levels -> power of bands, spread by level.

    Args:
        weight: what a component gives to a band, at each level of `node_levels_db`.
    """

    weight: Tensor

    def __init__(self, weight: Float[Tensor, "node component band"]) -> None:
        super().__init__()
        self.register_buffer("weight", weight.float(), persistent=False)

    def forward(
        self,
        power: Float[Tensor, "*batch component"],
        level_db: Float[Tensor, "*batch component"],
    ) -> Float[Tensor, "*batch band"]:
        """Power of each band."""
        flat, place = power.flatten(0, -2), node_place(level_db).flatten(0, -2)
        blocks = zip(flat.split(BLOCK_FRAMES), place.split(BLOCK_FRAMES), strict=True)
        total = torch.cat([self._block(*block) for block in blocks])
        return total.unflatten(0, power.shape[:-1])

    def _block(
        self, power: Float[Tensor, "frame component"], place: Float[Tensor, "frame component"]
    ) -> Float[Tensor, "frame band"]:
        total = (power * spline_share(place, 0)) @ self.weight[0]
        for index in range(1, N_NODES):
            total = torch.addmm(total, power * spline_share(place, index), self.weight[index])
        return total


def node_place(level_db: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Where a level lies among the nodes, 0 at the first, 1 at the second."""
    inside = level_db.clamp(LOWEST_LEVEL_DB, HIGHEST_LEVEL_DB)
    return (inside - LOWEST_LEVEL_DB) / LEVEL_STEP_DB + 0.5


def spline_share(place: Float[Tensor, "*any"], index: int) -> Float[Tensor, "*any"]:
    """Quadratic B-spline of one node; those of all nodes sum to one."""
    away = (place - index).abs()
    outer, inner = (1.5 - away).clamp_min(0.0), (0.5 - away).clamp_min(0.0)
    return torch.addcmul(0.5 * outer.square(), inner, inner, value=-1.5)


def exponential_nodes(
    slope: Float[Tensor, "node *pair"], distance: Float[Tensor, "*pair"]
) -> Float[Tensor, "node *pair"]:
    """Coefficients c_k of exp(-s d) for slopes s_k that fall evenly over the nodes."""
    gain, _ = _grid_gain(slope, distance)
    return torch.exp(-slope * distance) / gain


def rounded_exponential_nodes(
    slope: Float[Tensor, "node *pair"], distance: Float[Tensor, "*pair"]
) -> Float[Tensor, "node *pair"]:
    """Coefficients c_k of (1 + s d) exp(-s d)."""
    gain, relative_slope = _grid_gain(slope, distance)
    return torch.exp(-slope * distance) * (1.0 + relative_slope + slope * distance) / gain


def _grid_gain(
    slope: Float[Tensor, "node *pair"], distance: Float[Tensor, "*pair"]
) -> tuple[Float[Tensor, "*pair"], Float[Tensor, "*pair"]]:
    """M(z) and z M'(z) / M(z)."""
    half = ((slope[0] - slope[1]) * distance / 2.0).clamp_min(1e-6)
    gain = (torch.sinh(half) / half) ** 3
    return gain, 3.0 * (half / torch.tanh(half) - 1.0)
