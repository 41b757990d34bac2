"""The positional convolution, kept away from a routine that gives wrong numbers."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def positions(
    embedding: Any, hidden: Float[Tensor, "batch frame width"]
) -> Float[Tensor, "batch frame width"]:
    """What transformers' HubertPositionalConvEmbedding gives; in bfloat16 on a CPU, without error.

    There the convolution is taken in single precision. With few channels in a group, oneDNN's own
    in bfloat16 is wrong by as much as the result (torch 2.11 on processors with bfloat16
    instructions: 12 channels a group, as in pamt-mini, and fewer; with MERT's 48 it is right).
    """
    if hidden.dtype != torch.bfloat16 or hidden.device.type != "cpu":
        return embedding(hidden)
    conv = embedding.conv
    convolved = functional.conv1d(
        hidden.transpose(1, 2).float(),
        conv.weight.float(),
        conv.bias.float(),
        padding=conv.padding,
        groups=conv.groups,
    )
    return embedding.activation(embedding.padding(convolved)).transpose(1, 2).to(hidden.dtype)
