"""The ear of our metric alone: what it hears differ, without the encoder, the head or training.

The aligned evidence of `pamt_metric.distance` (loudness, masked level, patches, modulation,
interaural cues) from the ear's tokens, in the untrained mix in which every kind counts the same.
There is no embedding, so no sequence evidence, no content and no gate: always the fidelity of two
performances of one content.

Hears the baselines' conditions; at absolute level (the psychophysics suite) both sounds as they
are. Its judgements of single sounds are the ear's own: loudness and loudness level as the median
over frames, roughness and fluctuation strength as the mean.
"""

import functools
import sys
from collections.abc import Sequence

import numpy as np
import torch

import pamt_metric
from benchmarks import waveforms
from benchmarks.baselines import batches
from benchmarks.metrics import UndefinedError, package_version, register, source_version
from benchmarks.waveforms import baseline_conditions, match_channels, resample
from pamt_metric import psychoacoustics
from pamt_metric.distance import PairDistance
from pamt_metric.evidence import Encoded, aligned_means, frame_weight
from pamt_metric.head import Embedding
from pamt_metric.psychoacoustics import Ear, EarTokens
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE

# How each judgement becomes one number.
JUDGEMENTS = {
    "loudness": np.median,
    "loudness_level": np.median,
    "roughness": np.mean,
    "fluctuation_strength": np.mean,
}


class PamtEar:
    """The distance of b from a by ear."""

    name = "pamt-ear"

    def __init__(self, *, absolute: bool = False) -> None:
        self._absolute = absolute
        own = source_version(sys.modules[__name__], waveforms, batches, settings=absolute)
        self.version = f"{package_version(pamt_metric)}-{own}"
        self.implementation = f"the ear of pamt-metric {pamt_metric.__version__}"

    def at_absolute_level(self) -> "PamtEar":
        """The same ear, for sounds at the level they have."""
        return PamtEar(absolute=True)

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """The distance, the shorter sound padded with zeros."""
        if self._absolute:
            a, b = match_channels(a, b)
        else:
            a, b = (x[None] for x in baseline_conditions(a, b))
        longest = max(a.shape[-1], b.shape[-1])
        padded = [np.pad(x, ((0, 0), (0, longest - x.shape[-1]))) for x in (a, b)]
        return self.between([tuple(self.encode_all(padded, sample_rate))])[0]

    @torch.no_grad()
    def encode_all(self, sounds: Sequence[np.ndarray], sample_rate: int) -> list[EarTokens]:
        """The ear's tokens of sounds of any lengths."""
        resampled = [resample(sound, sample_rate, SAMPLE_RATE) for sound in sounds]
        return batches.encode_all(self._ear, resampled)

    @torch.no_grad()
    def between(self, pairs: Sequence[tuple[EarTokens, ...]]) -> list[float]:
        """The distance of each pair of tokens of the same number of frames."""
        return batches.compare_all(self._distance, pairs)

    def judge(self, quantity: str, waveform: np.ndarray, sample_rate: int) -> float:
        """One of `JUDGEMENTS` of one sound.

        Raises:
            UndefinedError: The ear does not offer it.
        """
        function = getattr(psychoacoustics, quantity, None)
        if quantity not in JUDGEMENTS or not callable(function):
            raise UndefinedError(f"pamt_metric.psychoacoustics has no function {quantity}")
        with torch.no_grad():
            found = function(torch.from_numpy(waveform), sample_rate)
        return float(JUDGEMENTS[quantity](np.asarray(found)))

    @functools.cached_property
    def _ear(self) -> Ear:
        return Ear()

    @functools.cached_property
    def _mix(self) -> PairDistance:
        return PairDistance()

    def _distance(self, a: EarTokens, b: EarTokens) -> torch.Tensor:
        encoded = _without_embedding(a), _without_embedding(b)
        return self._mix.fidelity(aligned_means(*encoded, frame_weight(a, b)))


def _without_embedding(tokens: EarTokens) -> Encoded:
    n_batch, n_frame = tokens.mask.shape
    zeros = Embedding(sequence=torch.zeros(n_batch, n_frame, 1), pooled=torch.zeros(n_batch, 1))
    return Encoded(tokens=tokens, embedding=zeros)


@register(PamtEar.name)
def make_pamt_ear(_argument: str | None) -> PamtEar:
    """Takes no argument."""
    return PamtEar()
