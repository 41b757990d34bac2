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

Its derivative is written out: with x the place of the level among the nodes, P the power of a
component and G_k = grad c_k^T what the bands send back through node k,

    dP  =  sum_k  B(x - k) G_k            dx  =  P sum_k  B'(x - k) G_k

so that the graph holds P and x instead of a dozen products of both. The sum over nodes and
components is one product: the nodes' shares of a block of frames stand side by side.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LEVEL_STEP_DB = 8.0
LOWEST_LEVEL_DB = 20.0
"""Below this level the slope stays: what it spreads is under the threshold of hearing."""
HIGHEST_LEVEL_DB = 108.0
N_NODES = 13
LEAST_WEIGHT = 1e-20
"""What spreads less than this is 0: under the threshold of hearing even from the loudest sound, and
numbers that small slow the processor down."""
BLOCK_FRAMES = 128
"""Frames worked on at once, all nodes together: what fits the processor's cache."""


def node_levels_db() -> Float[Tensor, "node"]:
    """Levels X_k of the splines; half a step beyond the range on both sides."""
    first = LOWEST_LEVEL_DB - LEVEL_STEP_DB / 2.0
    return first + LEVEL_STEP_DB * torch.arange(N_NODES, dtype=torch.float64)


def drop_unheard(weight: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """The same without what is too little to matter."""
    return torch.where(weight < LEAST_WEIGHT, 0.0, weight)


class LevelSpread(nn.Module):
    """Power of components and their levels -> power of bands, spread by level.

    Args:
        weight: what a component gives to a band, at each level of `node_levels_db`.
    """

    weight: Tensor

    def __init__(self, weight: Float[Tensor, "node component band"]) -> None:
        super().__init__()
        self.register_buffer("weight", drop_unheard(weight).float(), persistent=False)

    def forward(
        self,
        power: Float[Tensor, "*batch component"],
        level_db: Float[Tensor, "*batch component"],
    ) -> Float[Tensor, "*batch band"]:
        """Power of each band."""
        return self.each(power[None], level_db)[0]

    def each(
        self,
        powers: Float[Tensor, "kind *batch component"],
        level_db: Float[Tensor, "*batch component"],
    ) -> Float[Tensor, "kind *batch band"]:
        """The same for several powers that spread by one level."""
        flat, place = powers.flatten(1, -2), node_place(level_db).flatten(0, -2)
        return _Spread.apply(flat, place, self.weight).unflatten(1, level_db.shape[:-1])


class _Spread(torch.autograd.Function):
    """The sum over nodes, in blocks of frames, with its derivative."""

    @staticmethod
    def forward(
        ctx: Any,
        powers: Float[Tensor, "kind frame component"],
        place: Float[Tensor, "frame component"],
        weight: Float[Tensor, "node component band"],
    ) -> Float[Tensor, "kind frame band"]:
        ctx.save_for_backward(powers, place, weight)
        node = _nodes(place)
        flat = weight.flatten(0, 1)
        total = powers.new_empty(*powers.shape[:2], weight.shape[-1])
        for start in range(0, len(place), BLOCK_FRAMES):
            block = slice(start, start + BLOCK_FRAMES)
            near = _reached(place[block])
            share = spline_share(place[block, None], node[near])
            used = flat[: share[0].numel()]
            for power, out in zip(powers, total, strict=True):
                torch.mm((share * power[block, None]).flatten(1), used, out=out[block])
        return total

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Float[Tensor, "kind frame band"]
    ) -> tuple[Float[Tensor, "kind frame component"], Float[Tensor, "frame component"], None]:
        powers, place, weight = ctx.saved_tensors
        node = _nodes(place)
        flat = weight.flatten(0, 1).T
        to_powers, to_place = torch.empty_like(powers), torch.zeros_like(place)
        for start in range(0, len(place), BLOCK_FRAMES):
            block = slice(start, start + BLOCK_FRAMES)
            share = spline_share(place[block, None], node)
            slope = spline_slope(place[block, None], node)
            for power, grad, to_power in zip(powers, grads[0], to_powers, strict=True):
                back = (grad[block] @ flat).unflatten(1, (N_NODES, -1))
                torch.sum(share * back, 1, out=to_power[block])
                to_place[block].addcmul_((slope * back).sum(1), power[block])
        return to_powers, to_place, None


def _nodes(place: Float[Tensor, "frame component"]) -> Float[Tensor, "node 1"]:
    return torch.arange(N_NODES, dtype=place.dtype, device=place.device)[:, None]


def _reached(place: Float[Tensor, "frame component"]) -> slice:
    """Nodes that any of these levels is near; music leaves the loudest ones alone."""
    loudest = float(place.max())
    return slice(0, math.ceil(loudest + 1.5) if math.isfinite(loudest) else N_NODES)


def node_place(level_db: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Where a level lies among the nodes, 0 at the first, 1 at the second."""
    inside = level_db.clamp(LOWEST_LEVEL_DB, HIGHEST_LEVEL_DB)
    return (inside - LOWEST_LEVEL_DB) / LEVEL_STEP_DB + 0.5


def spline_share(
    place: Float[Tensor, "*#any"], node: Float[Tensor, "*#any"] | int
) -> Float[Tensor, "*any"]:
    """Quadratic B-spline of a node, by its index; those of all nodes sum to one."""
    outer = (1.5 - (place - node).abs()).clamp_min(0.0)
    inner = (outer - 1.0).clamp_min(0.0)
    return torch.addcmul(0.5 * outer.square(), inner, inner, value=-1.5)


def spline_slope(
    place: Float[Tensor, "*#any"], node: Float[Tensor, "*#any"] | int
) -> Float[Tensor, "*any"]:
    """Derivative of `spline_share` by place."""
    away = place - node
    # Odd and piecewise straight: -sign (3/2 - |away|)+ beyond 1/2, -2 away within.
    return away.clamp(-1.5, 1.5) - 3.0 * away.clamp(-0.5, 0.5)


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
