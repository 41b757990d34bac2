"""Noise-to-mask ratio in dB (BS.1387's Total NMR), written by us from the standard.

Hears the baselines' common conditions, resampled to 48 kHz. The reference alone decides which
frames count, so the value depends on the order of the two sounds. The shortest sound it takes is
1024 samples at 48 kHz (21 ms), if that is how its file begins; 2047 wherever it begins.

For two identical sounds the value is finite, though their error is 0: the standard takes the error
for no less than 1e-12 in any band, which is 120 dB under 0 dB SPL.

Source: `benchmarks.baselines.bs1387`.
"""

import numpy as np

from benchmarks.baselines.bs1387.ear import active_frames, magnitudes
from benchmarks.baselines.bs1387.excitation import smeared, unsmeared
from benchmarks.baselines.bs1387.metric import Bs1387Metric
from benchmarks.baselines.bs1387.noise_to_mask import noise_to_mask, total_nmr
from benchmarks.metrics import register


def noise_to_mask_level(reference: np.ndarray, test: np.ndarray) -> float:
    """Mean power of the error over the reference's mask, in dB."""
    frames = active_frames(reference)
    reference, test = magnitudes(reference), magnitudes(test)
    excitation = smeared(unsmeared(reference))
    return total_nmr(noise_to_mask(reference, test, excitation)[frames])


@register("nmr")
def make_nmr(_argument: str | None) -> Bs1387Metric:
    """Takes no argument."""
    return Bs1387Metric("nmr", "Total NMR_B of BS.1387, ours", noise_to_mask_level)
