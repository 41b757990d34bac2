"""The systems: what the frozen encoder heard, and the metric's two kinds of embedding.

All read one waveform at 48 kHz, at the metric's listening level, and are one differentiable
function of it.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from benchmarks.robustness import clips
from pamt_metric import Metric

ENCODER = "encoder"
PAMT = "pamt"
"""`pamt.embed(kind="harmony")`, which is meant for these tasks and for being attacked."""
SOUND = "pamt-sound"
"""`pamt.embed()`, which is meant for neither."""
SYSTEMS = (ENCODER, PAMT, SOUND)
ATTACKED = (ENCODER, PAMT)
"""The two whose difference is the gain."""
BATCH = 8

Features = Callable[[Float[Tensor, "batch time"]], Float[Tensor, "batch width"]]


def encoder_layers(
    metric: Metric, waveform: Float[Tensor, "batch time"]
) -> Float[Tensor, "batch layer width"]:
    """Hidden states of every layer, averaged over the clip."""
    return metric.hidden_states(*_levelled(metric, waveform)).mean(2)


def encoder_frames(
    metric: Metric, waveform: Float[Tensor, "batch time"]
) -> Float[Tensor, "batch layer frame width"]:
    """Hidden states of every layer and frame, each of unit mean square."""
    states = metric.hidden_states(*_levelled(metric, waveform))
    return functional.layer_norm(states, states.shape[-1:])


def encoder_features(metric: Metric, layer: int) -> Features:
    """The encoder's own summary of a clip: one layer's hidden states, averaged."""
    return lambda waveform: encoder_layers(metric, waveform)[:, layer]


def pamt_features(metric: Metric, system: str) -> Features:
    """What `pamt.embed` gives."""
    return partial({PAMT: _harmony, SOUND: _sound}[system], metric)


@torch.no_grad()
def extract(
    function: Callable[[Tensor], Tensor],
    store: np.ndarray,
    *,
    on_batch: Callable[[int], object] = lambda _: None,
) -> Tensor:
    """Features of all clips of a store, batch by batch."""
    parts = []
    for start in range(0, store.shape[0], BATCH):
        indices = np.arange(start, min(start + BATCH, store.shape[0]))
        parts.append(function(clips.tensor(store, indices)))
        on_batch(len(indices))
    return torch.cat(parts)


def _harmony(metric: Metric, waveform: Float[Tensor, "batch time"]) -> Tensor:
    return metric.harmony(*_levelled(metric, waveform))


def _sound(metric: Metric, waveform: Float[Tensor, "batch time"]) -> Tensor:
    return metric.encode(*_levelled(metric, waveform)).embedding.pooled


def _levelled(metric: Metric, waveform: Float[Tensor, "batch time"]) -> tuple[Tensor, Tensor]:
    lengths = torch.full((waveform.shape[0],), waveform.shape[1])
    levelled, _, _ = metric.to_listening_level(waveform[:, None], lengths, "match")
    return levelled, lengths
