"""Everything frozen about the clips of stages 2 and 3, computed once: ear tokens, hidden states.

The head sees nothing else of a clip, so training it costs neither the ear nor the encoder. Of
each pair, the evidence that does not pass through the head is computed once too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from pamt_metric.evidence import ALIGNED_MEANS, Encoded, aligned_means, frame_weight, unshared
from pamt_metric.head import Embedding
from pamt_metric.metric import Level, Metric
from pamt_metric.psychoacoustics import EarTokens
from pamt_metric.psychoacoustics.frames import n_frames

EAR_EVIDENCE = tuple(name for name in ALIGNED_MEANS if name != "sequence")
"""Aligned evidence that the ear alone gives."""
_BATCH = 8


@dataclass(frozen=True)
class ClipSet:
    """Clips of one study or one ladder, padded to one length."""

    tokens: EarTokens
    states: Float[Tensor, "clip layer frame width"]

    def at(self, index: Sequence[int] | Tensor) -> "ClipSet":
        """Some of the clips."""
        index = torch.as_tensor(index)
        return ClipSet(pick_tokens(self.tokens, index), self.states[index])

    def to(self, device: torch.device) -> "ClipSet":
        """The clips where they are needed; themselves if they are there."""
        if self.states.device == device:
            return self
        names = [f.name for f in fields(EarTokens)]
        tokens = EarTokens(**{name: getattr(self.tokens, name).to(device) for name in names})
        return ClipSet(tokens, self.states.to(device))


@dataclass(frozen=True)
class PairSet:
    """Pairs of clips of one set, with the evidence that needs no head.

    Attributes:
        clips: the clips.
        first, second: which clips each pair is of.
        means: mean squares of `EAR_EVIDENCE`.
        cue: the gate's.
        weight: of each frame in means over time.
    """

    clips: ClipSet
    first: Int64[Tensor, "pair"]
    second: Int64[Tensor, "pair"]
    means: Float[Tensor, "pair evidence"]
    cue: Float[Tensor, "pair"]
    weight: Float[Tensor, "pair frame"]

    def to(self, device: torch.device) -> "PairSet":
        """The pairs where they are needed; themselves if they are there."""
        if self.means.device == device:
            return self
        moved = {f.name: getattr(self, f.name).to(device) for f in fields(PairSet)}
        return PairSet(**moved)

    def without_states(self) -> "PairSet":
        """The pairs without what the encoder says of them, which is most of their memory."""
        empty = self.clips.states[..., :0]
        return replace(self, clips=ClipSet(self.clips.tokens, empty))


def pick_layers(pairs: PairSet, index: Sequence[int]) -> PairSet:
    """The same pairs with some of the hidden states, in the order of `index`."""
    clips = pairs.clips
    return replace(pairs, clips=ClipSet(clips.tokens, clips.states[:, list(index)]))


@torch.no_grad()
def clip_features(
    metric: Metric, waveforms: Sequence[Float[Tensor, "channel time"]], *, level: Level = "match"
) -> ClipSet:
    """Tokens and hidden states of mono or stereo clips, by default at the metric's listening level.

    Hidden states are kept in half precision.
    """
    sizes = torch.tensor([w.shape[-1] for w in waveforms])
    n_frame = int(n_frames(sizes).max())
    tokens, states = [], []
    for start in range(0, len(waveforms), _BATCH):
        batch, lengths = waveforms[start : start + _BATCH], sizes[start : start + _BATCH]
        longest = int(lengths.max())
        padded = torch.stack([functional.pad(w, (0, longest - w.shape[-1])) for w in batch])
        leveled, _, _ = metric.to_listening_level(padded, lengths, level)
        tokens.append(metric.ear(leveled, lengths, n_frame=n_frame))
        hidden = metric.hidden_states(leveled, lengths).half()
        states.append(functional.pad(hidden, (0, 0, 0, n_frame - hidden.shape[2])))
    return ClipSet(join_tokens(tokens), torch.cat(states))


@torch.no_grad()
def pair_features(clips: ClipSet, first: Tensor, second: Tensor) -> PairSet:
    """The ear's evidence on pairs of clips."""
    means, cues, weights = [], [], []
    for a, b in zip(first.split(_BATCH), second.split(_BATCH), strict=True):
        one, two = pick_tokens(clips.tokens, a), pick_tokens(clips.tokens, b)
        weight = frame_weight(one, two)
        found = aligned_means(_without_head(one), _without_head(two), weight)
        means.append(torch.stack([found[name] for name in EAR_EVIDENCE], dim=-1))
        cues.append(unshared(one, two))
        weights.append(weight)
    return PairSet(clips, first, second, torch.cat(means), torch.cat(cues), torch.cat(weights))


def _without_head(tokens: EarTokens) -> Encoded:
    empty = tokens.loudness.new_zeros(*tokens.mask.shape, 1)
    return Encoded(tokens, Embedding(sequence=empty, pooled=empty[:, 0]))


def pick_tokens(tokens: EarTokens, index: Tensor) -> EarTokens:
    """Tokens of some clips of a batch, in the order of `index`."""
    return EarTokens(**{f.name: getattr(tokens, f.name)[index] for f in fields(EarTokens)})


def join_tokens(batches: Sequence[EarTokens]) -> EarTokens:
    """One batch out of several that have as many frames."""
    names = [f.name for f in fields(EarTokens)]
    return EarTokens(**{n: torch.cat([getattr(t, n) for t in batches]) for n in names})
