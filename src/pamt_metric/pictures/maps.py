"""What pictures of a pair show, as arrays over time and the ear's bands.

The share of the distance that falls on each place of time and frequency is told as a density: how
different the clips would be if they differed everywhere as they do here. Its mean over the map is
the distance, whatever the length of the clips.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pamt_metric.evidence import signed_differences
from pamt_metric.pictures.listening import Listening
from pamt_metric.psychoacoustics.calibration import level_db
from pamt_metric.psychoacoustics.frames import FIRST_CENTER, HOP_LENGTH, SAMPLE_RATE
from pamt_metric.psychoacoustics.scales import center_frequencies, hz_to_erb_number

LEAN_DB = 3.0
"""Difference in level over the masked threshold at which a place mostly leans to one clip."""
HEARD_DB = 1.0
"""Difference in level that is just heard (Fastl and Zwicker, 2007, chapter 7)."""
FREQUENCY_TICKS = {100: "100", 300: "300", 1000: "1k", 3000: "3k", 10000: "10k"}
"""Hz that an axis of bands names, and how."""
TOP_QUANTILE = 0.995
"""Share of the map's places that its brightest colour leaves below it."""


@dataclass(frozen=True)
class PairMaps:
    """One pair in time and frequency.

    Attributes:
        reference_db: excitation level of the reference, dB.
        test_db: the same of the test.
        threshold_db: level that a sound added to the reference needs to be heard.
        difference: local distance in just-noticeable differences; its mean is the distance.
        lean: which clip holds more sound there, -1 the reference, 1 the test, 0 neither.
        heard: whether levels differ by `HEARD_DB` or more, once what lies under the masked
            threshold is taken from both.
        duration_s: of the longer clip.
    """

    reference_db: Float[np.ndarray, "frame band"]
    test_db: Float[np.ndarray, "frame band"]
    threshold_db: Float[np.ndarray, "frame band"]
    difference: Float[np.ndarray, "frame band"]
    lean: Float[np.ndarray, "frame band"]
    heard: Bool[np.ndarray, "frame band"]
    duration_s: float

    @property
    def over_time(self) -> Float[np.ndarray, "frame"]:
        """Local distance by frame."""
        return self.difference.mean(1)

    @property
    def top(self) -> float:
        """Local distance at the end of a colour scale that fits this pair; at least 1."""
        return max(1.0, float(np.quantile(self.difference, TOP_QUANTILE)))

    def frame_at(self, second: float) -> int:
        """The frame nearest to a moment."""
        frame = round((second * SAMPLE_RATE - FIRST_CENTER) / HOP_LENGTH)
        return min(max(frame, 0), len(self.difference) - 1)


def pair_maps(listening: Listening) -> PairMaps:
    """The maps of a pair."""
    a, b = listening.heard_reference, listening.heard_test
    share = listening.comparison.band_map
    masked_db = signed_differences(a, b)["masked"] * (10.0 / math.log(10.0))
    return PairMaps(
        reference_db=_array(level_db(a.excitation)),
        test_db=_array(level_db(b.excitation)),
        threshold_db=_array(level_db(a.threshold)),
        difference=(share * share.numel()).numpy(),
        lean=_array(torch.tanh(masked_db / LEAN_DB)),
        heard=_array(masked_db.abs() >= HEARD_DB),
        duration_s=listening.duration_s,
    )


def times(n_frame: int) -> Float[np.ndarray, "frame"]:
    """Seconds on which frames are centred."""
    return (FIRST_CENTER + HOP_LENGTH * np.arange(n_frame)) / SAMPLE_RATE


def band_of(frequency: float) -> float:
    """Position of a frequency in Hz among the bands, 0 for the lowest band's centre."""
    both = torch.cat([torch.tensor([frequency], dtype=torch.float64), center_frequencies()])
    wanted, lowest, second = hz_to_erb_number(both)[:3].tolist()
    return (wanted - lowest) / (second - lowest)


def _array(tokens: Tensor) -> np.ndarray:
    """The only clip of a batch."""
    return tokens[0].cpu().numpy()
