"""The head: a psychoacoustically conditioned sequential contrastive transformer.

    hidden states -> learned mix of layers -> projection -> blocks -> sequence embedding (per frame)
                                           -> shortcut -----------^-> pooled embedding (per clip)

The shortcut carries what the encoder heard past the blocks, which add what context and the ear
make of it. The ear's tokens modulate every normalisation, and what is audible weighs attention and
pooling. Attention runs within windows of 375 frames (5 s), the encoder's own, so cost stays linear
in time.

Shapes: b batch, f frame, w width of the blocks, d dimension of an embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from pamt_metric.conditioning import EarConditioning, ModulatedNorm, audibility, log_audibility
from pamt_metric.psychoacoustics import EarTokens
from pamt_metric.psychoacoustics.statistics import LAYOUT, N_STATISTICS

WINDOW_FRAMES = 375
"""Frames that attend to each other: those of one 5 s window of the encoder."""
MASKED = -1e4
"""Attention logit of a frame beyond the clip's end; exp of it is exactly 0 in float32."""
NORM_FLOOR = 1e-6
RESIDUAL_GAIN = 0.1
"""Size at which the blocks' part of an embedding starts, beside the shortcut's."""


@dataclass(frozen=True)
class Embedding:
    """What the head makes of a batch of clips.

    Attributes:
        sequence: unit-length embedding of each frame; zeros beyond a clip's end.
        pooled: embedding of each clip, from the sequence and the clip statistics.
    """

    sequence: Float[Tensor, "batch frame dim"]
    pooled: Float[Tensor, "batch pooled"]


class Frames(NamedTuple):
    """What the blocks make of each frame.

    Attributes:
        sequence: as in `Embedding`.
        score: logarithm of the frame's weight in the pooled embedding.
        value: what it brings there.
    """

    sequence: Float[Tensor, "batch frame dim"]
    score: Float[Tensor, "batch frame"]
    value: Float[Tensor, "batch frame dim"]


class Pool(NamedTuple):
    """A weighted mean over frames that can go on: softmax pooling of a clip that comes in parts.

    Attributes:
        log_weight: logarithm of the sum of all weights so far.
        share: mean of the values so far.
    """

    log_weight: Float[Tensor, "batch"]
    share: Float[Tensor, "batch dim"]

    @classmethod
    def of(cls, frames: Frames) -> "Pool":
        """The mean over these frames."""
        weight = frames.score.softmax(-1)
        return cls(frames.score.logsumexp(-1), (weight[..., None] * frames.value).sum(1))

    def joined(self, other: "Pool") -> "Pool":
        """The mean over the frames of both."""
        log_weight = torch.logaddexp(self.log_weight, other.log_weight)
        parts = [
            (pool.log_weight - log_weight).exp()[:, None] * pool.share for pool in (self, other)
        ]
        return Pool(log_weight, parts[0] + parts[1])


class Block(nn.Module):
    """Pre-norm transformer block with modulated norms and distance-biased attention."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.attention_norm = ModulatedNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.feedforward_norm = ModulatedNorm(width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(
        self,
        x: Float[Tensor, "b f w"],
        local: Float[Tensor, "head f f"],
        key_weight: Float[Tensor, "b f"],
        modulations: Sequence[tuple[Tensor, Tensor] | None],
    ) -> Float[Tensor, "b f w"]:
        """One round of attention and feed-forward."""
        normed = self.attention_norm(x, modulations[0])
        qkv = self.query_key_value(normed).unflatten(-1, (3, self.n_heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        attended = _attend(query, key, value, local, key_weight)
        x = x + self.output(attended.transpose(1, 2).flatten(2))
        return x + self.feedforward(self.feedforward_norm(x, modulations[1]))


def _attend(
    query: Float[Tensor, "b head f d"],
    key: Float[Tensor, "b head f d"],
    value: Float[Tensor, "b head f d"],
    local: Float[Tensor, "head f f"],
    key_weight: Float[Tensor, "b f"],
) -> Float[Tensor, "b head f d"]:
    """Fused attention with a bias by distance and one by key.

    The bias by key is one more dimension of query and key. In the mask it would ask for a gradient
    where the clip does, and then torch takes another kernel, which rounds otherwise: d(x, x) would
    not be 0 where one of the two asks for a gradient.
    """
    size = query.shape[-1]
    one = torch.ones_like(query[..., :1])
    weight = key_weight[:, None, :, None].expand_as(one)
    attended = functional.scaled_dot_product_attention(
        torch.cat([query * size**-0.5, one], dim=-1),
        torch.cat([key, weight], dim=-1),
        functional.pad(value, (0, 1)),
        attn_mask=local.expand(len(query), -1, -1, -1),
        scale=1.0,
    )
    return attended[..., :size]


class SequenceHead(nn.Module):
    """Hidden states and ear tokens -> sequence and pooled embeddings.

    Args:
        encoder_layers: indices of the encoder's hidden states that are mixed.
        encoder_width: width of a hidden state.
        width: width of the blocks.
        n_blocks: number of transformer blocks.
        n_heads: attention heads of a block.
        dim: dimension of a frame's embedding.
        groups: token groups that condition the head; `()` switches conditioning off.
    """

    statistics_mean: Tensor
    statistics_scale: Tensor
    state_mean: Tensor
    state_scale: Tensor

    def __init__(
        self,
        *,
        encoder_layers: Sequence[int],
        encoder_width: int,
        width: int = 128,
        n_blocks: int = 2,
        n_heads: int = 4,
        dim: int = 64,
        groups: Sequence[str] = ("loudness", "threshold", "modulation", "interaural"),
    ) -> None:
        super().__init__()
        self.encoder_layers = tuple(encoder_layers)
        self.register_buffer("state_mean", torch.zeros(len(self.encoder_layers), encoder_width))
        self.register_buffer("state_scale", torch.ones(len(self.encoder_layers), encoder_width))
        self.layer_logits = nn.Parameter(torch.zeros(len(self.encoder_layers)))
        self.projection = nn.Linear(encoder_width, width)
        self.shortcut = nn.Linear(encoder_width, dim, bias=False)
        nn.init.orthogonal_(self.shortcut.weight)
        self.conditioning = EarConditioning(
            groups=groups, width=width, n_modulations=2 * n_blocks + 1
        )
        self.blocks = nn.ModuleList(Block(width, n_heads) for _ in range(n_blocks))
        self.final_norm = ModulatedNorm(width)
        # ALiBi slopes (Press et al., 2022), learned from their usual start
        slopes = torch.tensor([2.0 ** (-8.0 * (i + 1) / n_heads) for i in range(n_heads)])
        self.log_slope = nn.Parameter(slopes.log())
        self.audibility_weight = nn.Parameter(torch.tensor(0.5))
        self.to_sequence = nn.Linear(width, dim)
        self.pool_score = nn.Linear(width, 1)
        self.to_pooled = nn.Linear(width, dim)
        with torch.no_grad():
            for last in (self.to_sequence, self.to_pooled):
                last.weight.mul_(RESIDUAL_GAIN)
                last.bias.zero_()
        self.register_buffer("statistics_mean", torch.zeros(N_STATISTICS))
        self.register_buffer("statistics_scale", torch.ones(N_STATISTICS))

    def forward(
        self,
        hidden_states: Float[Tensor, "b layer f encoder_width"],
        tokens: EarTokens,
    ) -> Embedding:
        """Embeddings of a batch; hidden states and tokens share one frame grid."""
        frames = self.read(hidden_states, tokens)
        own = Pool.of(frames).share
        return Embedding(sequence=frames.sequence, pooled=self.join(own, tokens.statistics))

    def read(
        self, hidden_states: Float[Tensor, "b layer f encoder_width"], tokens: EarTokens
    ) -> Frames:
        """What the blocks make of each frame.

        A clip may come in parts, if they start at multiples of `WINDOW_FRAMES`.
        """
        mixed = self.mix_layers(hidden_states)
        # Layer norms in the encoder blow silence up to full size; what is not heard counts nothing,
        # and sends nothing back.
        mixed = mixed * audibility(tokens)[..., None]
        direct = self.shortcut(mixed)
        x = self.projection(mixed)
        audible = self.audibility_weight * log_audibility(tokens)
        modulations = self.conditioning(tokens)
        x = self._transform(x, audible, tokens.mask, modulations)
        sequence = direct + self.to_sequence(x)
        length = (sequence.square().sum(-1, keepdim=True) + NORM_FLOOR).sqrt()
        score = self.pool_score(x)[..., 0] + audible
        return Frames(
            sequence=sequence / length * tokens.mask[..., None],
            score=score.masked_fill(~tokens.mask, MASKED),
            value=direct + self.to_pooled(x),
        )

    def mix_layers(
        self, hidden_states: Float[Tensor, "b layer f encoder_width"]
    ) -> Float[Tensor, "b f encoder_width"]:
        """The learned mix of the layers, each channel standardised."""
        gain = self.layer_logits.softmax(0)[:, None] / self.state_scale
        mixed = -(gain * self.state_mean).sum(0)
        for index, weight in enumerate(gain):
            mixed = torch.addcmul(mixed, hidden_states[:, index], weight)
        return mixed

    def join(
        self, own: Float[Tensor, "b d"], statistics: Float[Tensor, "b statistic"]
    ) -> Float[Tensor, "b pooled"]:
        """The pooled embedding: what the blocks made of the clip, and its standardised statistics.

        The squares of a group of numbers add up to their mean square, whatever their number.
        """
        standard = (statistics - self.statistics_mean) / self.statistics_scale
        size = torch.tensor(list(LAYOUT.values()), device=standard.device)
        each = size.to(standard.dtype).rsqrt().repeat_interleave(size, output_size=N_STATISTICS)
        return torch.cat([own * own.shape[-1] ** -0.5, standard * each], dim=-1)

    def _transform(
        self,
        x: Float[Tensor, "b f w"],
        audible: Float[Tensor, "b f"],
        mask: Bool[Tensor, "b f"],
        modulations: list[tuple[Tensor, Tensor]] | None,
    ) -> Float[Tensor, "b f w"]:
        """The blocks, window by window; windows of all clips run as one batch."""
        batch, n_frame, _ = x.shape
        window = min(n_frame, WINDOW_FRAMES)
        cut = [_windows(part, window) for part in (x, audible[..., None], mask[..., None])]
        x, key_weight, inside = cut[0], cut[1][..., 0], cut[2][..., 0]
        steps: list = [None] * (2 * len(self.blocks) + 1)
        if modulations is not None:
            steps = [(_windows(a, window), _windows(b, window)) for a, b in modulations]
        key_weight = key_weight.masked_fill(~inside, MASKED)
        local = self._attention_bias(window, x)
        for index, block in enumerate(self.blocks):
            x = block(x, local, key_weight, steps[2 * index : 2 * index + 2])
        x = self.final_norm(x, steps[-1])
        return x.reshape(batch, -1, x.shape[-1])[:, :n_frame]

    def _attention_bias(self, n_frame: int, like: Tensor) -> Float[Tensor, "head f f"]:
        frame = torch.arange(n_frame, device=like.device)
        distance = (frame[:, None] - frame[None, :]).abs().to(like.dtype)
        return -self.log_slope.exp()[:, None, None] * distance


def _windows(x: Tensor, window: int) -> Tensor:
    """(batch, frame, ...) -> (batch * window count, window, ...), the last padded with zeros."""
    missing = -x.shape[1] % window
    padded = functional.pad(x, (0, 0, 0, missing)) if missing else x
    return padded.reshape(-1, window, x.shape[-1])
