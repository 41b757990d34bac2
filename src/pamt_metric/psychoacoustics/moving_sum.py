"""Sums over a moving stretch of an axis, by doubling.

Sums over 1, 2, 4, ... neighbours are made from one another, and put together by the binary digits
of n: six additions of the whole for a stretch of 15, where a pooling adds 15 times.
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def moving_sum(x: Float[Tensor, "*any"], size: int, *, dim: int) -> Float[Tensor, "*any"]:
    """Sum of the `size` neighbours centred on each place, an odd number; beyond the ends is 0."""
    axis = dim % x.dim()
    padding = [0] * (2 * (x.dim() - axis))
    padding[-2:] = [size // 2, size // 2]
    n_out = x.shape[axis]
    run, span = functional.pad(x, padding), 1
    parts = []
    first = 0
    while size:
        if size & 1:
            parts.append(run.narrow(axis, first, n_out))
            first += span
        size >>= 1
        if size:
            n_next = run.shape[axis] - span
            run = run.narrow(axis, 0, n_next) + run.narrow(axis, span, n_next)
            span *= 2
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
