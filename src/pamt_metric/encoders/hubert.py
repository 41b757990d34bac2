"""HuBERT's network, as the MERT family needs it: waveform in, hidden states of its layers out.

The same parameters under the same names as transformers' `HubertModel`, and the same hidden states
to rounding (`tests/unit/test_hubert.py` compares them). It is written out because importing that
module takes seconds, longer than all the rest of a short run, and because its front end moves
channels and time past each other around every norm. Here time comes before channels throughout, and
a convolution is a few matrix products on views of its input.

Inference only: no dropout, no masks. Nothing padded may enter it, see `windows`.

Source: Hsu et al. 2021, "HuBERT" (arXiv 2106.07447); names and order of operations are those of
transformers (Apache-2.0), `models/hubert/modeling_hubert.py`.
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from pamt_metric.encoders.grouped_conv import GroupedConv
from pamt_metric.encoders.strided_conv import strided_conv

BLOCK_VALUES = 2**18
"""Values of a front end's widest layer that are worked on at once: what stays near a core."""


class Hubert(nn.Module):
    """HuBERT without a head.

    Args:
        values: those of a HuBERT config, all of them, as `mert_config.read_architecture` gives.
        eager: spell attention out instead of using the fused kernel; they differ by rounding.
    """

    def __init__(self, values: Mapping[str, Any], *, eager: bool) -> None:
        super().__init__()
        self.feature_extractor = FrontEnd(values)
        self.feature_projection = Projection(values)
        if values["mask_time_prob"] > 0.0 or values["mask_feature_prob"] > 0.0:
            # Stood in for masked frames in pretraining; checkpoints have it, nothing here reads it.
            self.masked_spec_embed = nn.Parameter(torch.empty(values["hidden_size"]).uniform_())
        self.encoder = Transformer(values, eager=eager)
        self.apply(lambda module: _initialize(module, spread=values["initializer_range"]))

    def forward(
        self, waveform: Float[Tensor, "window time"], *, n_layers: int
    ) -> list[Float[Tensor, "window frame width"]]:
        """The transformer's input and the outputs of its first `n_layers` layers."""
        return self.encoder(self.feature_projection(self.feature_extractor(waveform)), n_layers)


class FrontEnd(nn.Module):
    """Seven convolutions: from samples to frames."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(
            ConvLayer(values, i) for i in range(len(values["conv_dim"]))
        )
        self.hop, self.span = hop_and_span(values["conv_stride"], values["conv_kernel"])
        self.values_per_frame = values["conv_dim"][0] * self.hop // values["conv_stride"][0]
        self.is_local = values["feat_extract_norm"] == "layer"

    def forward(
        self, waveform: Float[Tensor, "window time"]
    ) -> Float[Tensor, "window frame channel"]:
        """Frames of each window; blocks of them one after another where no norm spans time."""
        n_frame = (waveform.shape[1] - self.span) // self.hop + 1
        if not self.is_local or waveform.is_cuda:
            return self._run(waveform)
        size = max(1, BLOCK_VALUES // self.values_per_frame)
        blocks = [range(start, min(start + size, n_frame)) for start in range(0, n_frame, size)]
        frames = [
            self._run(window[:, block[0] * self.hop : block[-1] * self.hop + self.span])
            for window in waveform.split(1)
            for block in blocks
        ]
        return torch.cat(frames, dim=1).unflatten(1, (-1, n_frame))[0]

    def _run(self, x: Float[Tensor, "window time"]) -> Float[Tensor, "window frame channel"]:
        x = x[..., None]
        for layer in self.conv_layers:
            x = layer(x)
        return x


class ConvLayer(nn.Module):
    """Convolution, perhaps a norm, GELU; `(window, time, channel)` in and out."""

    def __init__(self, values: Mapping[str, Any], index: int) -> None:
        super().__init__()
        width = values["conv_dim"][index]
        self.stride = values["conv_stride"][index]
        self.conv = nn.Conv1d(
            values["conv_dim"][index - 1] if index else 1,
            width,
            values["conv_kernel"][index],
            stride=self.stride,
            bias=values["conv_bias"],
        )
        self.layer_norm = None
        if values["feat_extract_norm"] == "layer":
            self.layer_norm = nn.LayerNorm(width)
        elif index == 0:
            self.layer_norm = nn.GroupNorm(width, width)

    def forward(
        self, x: Float[Tensor, "window time channel"]
    ) -> Float[Tensor, "window less_time channel_out"]:
        """One layer."""
        x = strided_conv(x, self.conv.weight, self.conv.bias, stride=self.stride)
        if isinstance(self.layer_norm, nn.GroupNorm):
            x = self.layer_norm(x.transpose(1, 2)).transpose(1, 2)
        elif self.layer_norm is not None:
            x = self.layer_norm(x)
        return functional.gelu(x)


class Projection(nn.Module):
    """From the front end's channels to the transformer's width."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__()
        channels = values["conv_dim"][-1]
        self.layer_norm = None
        if values["feat_proj_layer_norm"]:
            self.layer_norm = nn.LayerNorm(channels, eps=values["layer_norm_eps"])
        self.projection = nn.Linear(channels, values["hidden_size"])

    def forward(
        self, x: Float[Tensor, "window frame channel"]
    ) -> Float[Tensor, "window frame width"]:
        """Normalised, perhaps, and projected."""
        return self.projection(x if self.layer_norm is None else self.layer_norm(x))


class Transformer(nn.Module):
    """Positions, then layers; the norm of the sum comes before or after them."""

    def __init__(self, values: Mapping[str, Any], *, eager: bool) -> None:
        super().__init__()
        self.pos_conv_embed = Positions(values)
        self.layer_norm = nn.LayerNorm(values["hidden_size"], eps=values["layer_norm_eps"])
        self.layers = nn.ModuleList(
            Layer(values, eager=eager) for _ in range(values["num_hidden_layers"])
        )
        self.is_stable = values["do_stable_layer_norm"]

    def forward(
        self, x: Float[Tensor, "window frame width"], n_layers: int
    ) -> list[Float[Tensor, "window frame width"]]:
        """The input of the layers and the output of each, the top one of a stable model normed."""
        x = x + self.pos_conv_embed(x)
        if not self.is_stable:
            x = self.layer_norm(x)
        states = [x]
        for layer in self.layers[:n_layers]:
            states.append(layer(states[-1]))
        if self.is_stable and n_layers == len(self.layers):
            states[-1] = self.layer_norm(states[-1])
        return states


class Positions(nn.Module):
    """Where a frame stands among its neighbours: a grouped convolution over 1.7 s."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__()
        conv = GroupedConv(
            values["hidden_size"],
            values["num_conv_pos_embeddings"],
            groups=values["num_conv_pos_embedding_groups"],
        )
        nn.init.constant_(cast("Tensor", conv.bias), 0.0)
        self.conv = nn.utils.parametrizations.weight_norm(conv, dim=2)

    def forward(
        self, x: Float[Tensor, "window frame width"]
    ) -> Float[Tensor, "window frame width"]:
        """The convolution, in single precision where the rest is in half: FFTs need it."""
        exact = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            return functional.gelu(self.conv(x.to(exact))).to(x.dtype)


class Layer(nn.Module):
    """Attention and feed-forward, normed before (stable) or after each."""

    def __init__(self, values: Mapping[str, Any], *, eager: bool) -> None:
        super().__init__()
        width, epsilon = values["hidden_size"], values["layer_norm_eps"]
        self.attention = Attention(width, values["num_attention_heads"], eager=eager)
        self.layer_norm = nn.LayerNorm(width, eps=epsilon)
        self.feed_forward = FeedForward(width, values["intermediate_size"])
        self.final_layer_norm = nn.LayerNorm(width, eps=epsilon)
        self.is_stable = values["do_stable_layer_norm"]

    def forward(
        self, x: Float[Tensor, "window frame width"]
    ) -> Float[Tensor, "window frame width"]:
        """One layer."""
        if self.is_stable:
            x = x + self.attention(self.layer_norm(x))
            return x + self.feed_forward(self.final_layer_norm(x))
        x = self.layer_norm(x + self.attention(x))
        return self.final_layer_norm(x + self.feed_forward(x))


class Attention(nn.Module):
    """Multi-head self-attention over a window."""

    def __init__(self, width: int, n_heads: int, *, eager: bool) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.eager = eager
        self.k_proj, self.v_proj, self.q_proj = (nn.Linear(width, width) for _ in range(3))
        self.out_proj = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "window frame width"]
    ) -> Float[Tensor, "window frame width"]:
        """What each frame gathers from all others."""
        query, key, value = (
            project(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        if self.eager:
            logits = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
            attended = logits.softmax(-1) @ value
        else:
            attended = functional.scaled_dot_product_attention(query, key, value)
        return self.out_proj(attended.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two linear maps with GELU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(width, hidden)
        self.output_dense = nn.Linear(hidden, width)

    def forward(
        self, x: Float[Tensor, "window frame width"]
    ) -> Float[Tensor, "window frame width"]:
        """Each frame on its own."""
        return self.output_dense(functional.gelu(self.intermediate_dense(x)))


def hop_and_span(strides: list[int], kernels: list[int]) -> tuple[int, int]:
    """Samples from frame to frame, and those that one frame sees."""
    hop, span = 1, 1
    for stride, kernel in zip(strides, kernels, strict=True):
        span += (kernel - 1) * hop
        hop *= stride
    return hop, span


def _initialize(module: nn.Module, *, spread: float) -> None:
    """Random weights as HuBERT's pretraining starts with."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=spread)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv1d) and not parametrize.is_parametrized(module):
        nn.init.kaiming_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
