"""A pair as it was compared: both clips from the same start and at the same loudness.

`Metric.compare` gives numbers and maps. Pictures and players need the clips behind them, and what
the ear made of each.
"""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pamt_metric import audio
from pamt_metric.alignment import Pair, cut_pair
from pamt_metric.audio import AudioBatch
from pamt_metric.comparison import Comparison
from pamt_metric.metric import Align, Level, Metric
from pamt_metric.psychoacoustics.ear import EarTokens
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE


@dataclass(frozen=True)
class Listening:
    """Two clips as they were compared.

    Attributes:
        comparison: what the metric found.
        reference: waveform at 48 kHz, level and lag as compared; zeros up to the longer one's end.
        test: the same of the other clip.
        heard_reference: what the ear made of the reference, on the frames of the comparison's maps.
        heard_test: the same of the test.
    """

    comparison: Comparison
    reference: Float[Tensor, "channel time"]
    test: Float[Tensor, "channel time"]
    heard_reference: EarTokens
    heard_test: EarTokens

    @property
    def duration_s(self) -> float:
        """From the common start to the end of the longer clip."""
        return self.reference.shape[-1] / SAMPLE_RATE


def listen(
    metric: Metric,
    reference: Float[Tensor, "channel time"],
    test: Float[Tensor, "channel time"],
    *,
    level: Level = "match",
    align: Align = "auto",
) -> Listening:
    """Compare two clips at 48 kHz, and keep them as they were compared.

    Raises:
        InputError: the audio or an argument cannot be used; the message says why.
    """
    compared = metric.compare(reference, test, sample_rate=SAMPLE_RATE, level=level, align=align)
    comparison = cast("Comparison", compared)
    with torch.no_grad():
        pair = _as_compared(metric, reference, test, comparison, level)
        n_frame = comparison.band_map.shape[0]
        heard = [
            metric.ear(waveform, lengths, n_frame=n_frame)
            for waveform, lengths in ((pair.a, pair.lengths_a), (pair.b, pair.lengths_b))
        ]
    longest = max(pair.a.shape[-1], pair.b.shape[-1])
    clips = [functional.pad(x, (0, longest - x.shape[-1]))[0].cpu() for x in (pair.a, pair.b)]
    return Listening(comparison, *clips, *heard)


def _as_compared(
    metric: Metric,
    reference: Float[Tensor, "channel time"],
    test: Float[Tensor, "channel time"],
    comparison: Comparison,
    level: Level,
) -> Pair:
    """The steps of `Metric.compare` before its encoder, with the lag that it found."""
    clips = audio.match_channels(*(_load(metric, clip) for clip in (reference, test)))
    leveled = [metric.to_listening_level(x.waveform, x.lengths, level)[0] for x in clips]
    lag = torch.full_like(clips[0].lengths, round(comparison.lag_ms * SAMPLE_RATE / 1000.0))
    return cut_pair(Pair(*leveled, clips[0].lengths, clips[1].lengths), lag)


def _load(metric: Metric, clip: Float[Tensor, "channel time"]) -> AudioBatch:
    loaded = audio.load(clip, sample_rate=SAMPLE_RATE, target_rate=SAMPLE_RATE)
    return loaded.to(next(metric.head.parameters()).device)
