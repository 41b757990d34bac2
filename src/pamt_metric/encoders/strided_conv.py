"""A convolution over time as matrix products on views of its input, channels last.

With stride s, samples in runs of s and channels c, the input is a matrix of rows of s c values; a
kernel of k taps is k / s such rows, each a matrix of its own:

    y[t] = sum_j  x[s (t + j) : s (t + j + 1)] W_j

so nothing is copied or laid out anew. Taps left over, where s does not divide k, go one by one.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def strided_conv(
    x: Float[Tensor, "window time channel"],
    weight: Float[Tensor, "channel_out channel tap"],
    bias: Float[Tensor, "channel_out"] | None,
    *,
    stride: int,
) -> Float[Tensor, "window less_time channel_out"]:
    """What `conv1d` gives, time before channels; no padding."""
    if x.is_cuda:
        return functional.conv1d(x.transpose(1, 2), weight, bias, stride=stride).transpose(1, 2)
    if x.shape[-1] == 1:
        # So few values a row that copying them is the cheaper way.
        return functional.linear(x[..., 0].unfold(1, weight.shape[-1], stride), weight[:, 0], bias)
    each = [_one(window, weight, bias, stride) for window in x]
    return each[0][None] if len(each) == 1 else torch.stack(each)


def _one(
    x: Float[Tensor, "time channel"],
    weight: Float[Tensor, "channel_out channel tap"],
    bias: Float[Tensor, "channel_out"] | None,
    stride: int,
) -> Float[Tensor, "less_time channel_out"]:
    (rows, matrix), *others = _products(x, weight, stride)
    total = rows @ matrix if bias is None else torch.addmm(bias, rows, matrix)
    for rows, matrix in others:
        total = torch.addmm(total, rows, matrix)
    return total


def _products(
    x: Float[Tensor, "time channel"], weight: Float[Tensor, "channel_out channel tap"], stride: int
) -> Iterator[tuple[Float[Tensor, "less_time row"], Float[Tensor, "row channel_out"]]]:
    n_tap = weight.shape[-1]
    count = (len(x) - n_tap) // stride + 1
    whole = n_tap - n_tap % stride
    for first in range(0, whole, stride):
        rows = x[first : first + count * stride].unflatten(0, (count, stride)).flatten(1)
        yield rows, weight[..., first : first + stride].permute(2, 1, 0).flatten(0, 1)
    for tap in range(whole, n_tap):
        yield x[tap : tap + (count - 1) * stride + 1 : stride], weight[..., tap].T
