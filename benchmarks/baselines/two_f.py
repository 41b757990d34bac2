"""A 2f-model-style distance: its published regression on our own two BS.1387 variables.

Not the authors' program and not certified PEAQ. 100 - MMS is not clipped to 0..100, which would tie
the best and the worst. Two identical sounds come out at -18.5, and barely audible differences may
come out lower: ADB is 0 where no frame is detected and may be negative where one is.

Hears the baselines' common conditions, resampled to 48 kHz. The reference alone decides which
frames count, so the value depends on the order of the two sounds. The standard leaves modulation
out for the first 24 frames. A reference that ends before they do (25 600 samples, 0.53 s) gets
that time as silence in front of both sounds; then it may be as short as for `nmr`.

Source: T. Kastner & J. Herre, An efficient model for estimating subjective quality of separated
audio source signals, WASPAA 2019; `benchmarks.baselines.bs1387`.
"""

import numpy as np

from benchmarks.baselines.bs1387.distortion import average_distorted_block, detection
from benchmarks.baselines.bs1387.ear import HOP_LENGTH, active_frames, magnitudes
from benchmarks.baselines.bs1387.excitation import smeared, unsmeared
from benchmarks.baselines.bs1387.metric import Bs1387Metric
from benchmarks.baselines.bs1387.modulation import AVERAGING_DELAY, average_modulation_difference
from benchmarks.metrics import register


def mean_mushra_score(modulation_difference: float, distorted_block: float) -> float:
    """The regression: MMS of AvgModDiff1 and ADB, 0 to 100 where it was fitted."""
    bend = 1.0 + (-0.0282 * modulation_difference - 0.8628) ** 2
    return 56.1345 / bend - 27.1451 * distorted_block + 86.3515


def points_taken_off(reference: np.ndarray, test: np.ndarray) -> float:
    """How many points of MUSHRA the model takes off: 100 - MMS."""
    frames = active_frames(reference)
    if frames.stop <= AVERAGING_DELAY:
        lead = AVERAGING_DELAY * HOP_LENGTH
        reference, test = (np.pad(x, (lead, 0)) for x in (reference, test))
        frames = active_frames(reference)
    reference, test = (unsmeared(magnitudes(x)) for x in (reference, test))
    difference = average_modulation_difference(reference, test, frames)
    block = average_distorted_block(*detection(smeared(reference)[frames], smeared(test)[frames]))
    return 100.0 - mean_mushra_score(difference, block)


@register("two-f")
def make_two_f(_argument: str | None) -> Bs1387Metric:
    """Takes no argument."""
    return Bs1387Metric("two-f", "2f-model style, ours", points_taken_off)
