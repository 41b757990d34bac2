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
from pamt_metric.errors import InputError
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
    check_align(align)
    compared = metric.compare(reference, test, sample_rate=SAMPLE_RATE, level=level, align=align)
    comparison = cast("Comparison", compared)
    with torch.no_grad():
        pair = _as_compared(metric, reference, test, comparison, level)
        n_frame = comparison.band_map.shape[0]
        heard_reference = metric.ear(pair.a, pair.lengths_a, n_frame=n_frame)
        heard_test = metric.ear(pair.b, pair.lengths_b, n_frame=n_frame)
    longest = max(pair.a.shape[-1], pair.b.shape[-1])
    return Listening(
        comparison=comparison,
        reference=_padded(pair.a, longest),
        test=_padded(pair.b, longest),
        heard_reference=heard_reference,
        heard_test=heard_test,
    )


def check_align(align: Align) -> None:
    """Refuse what has no one time axis for both sounds.

    Raises:
        InputError: it is neither "auto" nor "none".
    """
    if align == "dtw":
        raise InputError(
            "pictures and players have one time axis for both sounds: align must be 'auto' or "
            "'none', got 'dtw'"
        )


def _padded(
    waveform: Float[Tensor, "one channel time"], length: int
) -> Float[Tensor, "channel longest"]:
    """The only clip of a batch, with zeros up to a length."""
    return functional.pad(waveform, (0, length - waveform.shape[-1]))[0].cpu()


def _as_compared(
    metric: Metric,
    reference: Float[Tensor, "channel time"],
    test: Float[Tensor, "channel time"],
    comparison: Comparison,
    level: Level,
) -> Pair:
    """The steps of `Metric.compare` before its encoder, with the lag that it found."""
    a, b = audio.match_channels(_load(metric, reference), _load(metric, test))
    wave_a, wave_b = (metric.to_listening_level(x.waveform, x.lengths, level)[0] for x in (a, b))
    lag = torch.full_like(a.lengths, round(comparison.lag_ms * SAMPLE_RATE / 1000.0))
    return cut_pair(Pair(wave_a, wave_b, a.lengths, b.lengths), lag)


def _load(metric: Metric, clip: Float[Tensor, "channel time"]) -> AudioBatch:
    loaded = audio.load(clip, sample_rate=SAMPLE_RATE, target_rate=SAMPLE_RATE)
    return loaded.to(next(metric.head.parameters()).device)
