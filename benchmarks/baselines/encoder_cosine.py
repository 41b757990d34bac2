"""Cosine distance of a frozen encoder's hidden states, averaged over time: what no training gives.

Departs from the baselines' common conditions in one point: each sound is encoded on its own and
without padding, since padding would enter the encoder's attention and the mean over time.
"""

import hashlib
import sys
from typing import Protocol

import numpy as np
import torch

import pamt_metric
from benchmarks import waveforms
from benchmarks.metrics import (
    HASH_LENGTH,
    UndefinedError,
    named,
    register,
    source_version,
)
from benchmarks.waveforms import TARGET_RMS, resample

ENCODER_RATE = 24_000
# The span of one vector: less than this gives the encoder's front end no frame.
MIN_SAMPLES = 400


class Encoder(Protocol):
    """`pamt_metric.encoders.mert.MertEncoder` or anything called like it."""

    def __call__(self, waveform: torch.Tensor) -> torch.Tensor:
        """(batch, time) at 24 kHz -> hidden states (batch, layer, frame, width)."""
        ...


class EncoderCosine:
    """1 - cosine of the time-averaged hidden states, averaged over all layers."""

    def __init__(self, encoder: Encoder, *, name: str = "encoder-cosine") -> None:
        self.name = name
        self._encoder = encoder
        weights = _weights_hash(encoder)
        self.version = source_version(sys.modules[__name__], waveforms, settings=weights)
        self.implementation = f"pamt-metric {pamt_metric.__version__}, weights {weights}"

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """Mean over layers of 1 - cos(pooled(a), pooled(b)).

        Raises:
            UndefinedError: A sound is too short for one frame, or silent.
        """
        a_direction, b_direction = (self._direction(x, sample_rate) for x in (a, b))
        # 1 - cos = |a - b|^2 / 2 of unit vectors: exactly 0 for the same, never below.
        return float((a_direction - b_direction).square().sum(dim=-1).mean() / 2.0)

    @torch.no_grad()
    def _direction(self, waveform: np.ndarray, sample_rate: int) -> torch.Tensor:
        mono = resample(waveform.mean(axis=0, keepdims=True), sample_rate, ENCODER_RATE)
        if mono.shape[-1] < MIN_SAMPLES:
            raise UndefinedError(
                f"{mono.shape[-1]} samples at 24 kHz are too short for the encoder"
            )
        rms = float(np.sqrt(np.mean(mono.astype(np.float64) ** 2)))
        if rms == 0.0:
            raise UndefinedError("silence has no direction")
        states = self._encoder(torch.from_numpy((mono * (TARGET_RMS / rms)).astype(np.float32)))
        return torch.nn.functional.normalize(states[0].double().mean(dim=-2), dim=-1)


def _weights_hash(encoder: object) -> str:
    digest = hashlib.sha256(type(encoder).__qualname__.encode())
    if isinstance(encoder, torch.nn.Module):
        for key, tensor in sorted(encoder.state_dict().items()):
            digest.update(key.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:HASH_LENGTH]


@register("encoder-cosine")
def make_encoder_cosine(argument: str | None) -> EncoderCosine:
    """`encoder-cosine`: the bundled model's encoder; `encoder-cosine@FOLDER_OR_HUB_ID`: another."""
    from pamt_metric.encoders.mert import MertEncoder

    if argument is None:
        return EncoderCosine(pamt_metric.load().encoder)
    encoder = MertEncoder.from_pretrained(argument)
    return EncoderCosine(encoder, name=named("encoder-cosine", argument))
