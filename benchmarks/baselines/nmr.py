"""Noise-to-mask ratio in dB (BS.1387's Total NMR), written by us from the standard.

Hears the baselines' common conditions, resampled to 48 kHz. The reference alone decides which
frames count, so the value depends on the order of the two sounds. The shortest sound it takes is
1024 samples at 48 kHz (21 ms), if that is how its file begins; 2047 wherever it begins.

For two identical sounds the value is finite, though their error is 0: the standard takes the error
for no less than 1e-12 in any band, which is 120 dB under 0 dB SPL.

Source: `benchmarks.baselines.bs1387`.
"""

import sys

import numpy as np

from benchmarks import waveforms
from benchmarks.baselines import bs1387
from benchmarks.baselines.bs1387.ear import active_frames, at_48_khz, magnitudes
from benchmarks.baselines.bs1387.excitation import smeared, unsmeared
from benchmarks.baselines.bs1387.noise_to_mask import noise_to_mask, total_nmr
from benchmarks.metrics import package_version, register, source_version


class NoiseToMaskRatio:
    """Total NMR of b against the reference a."""

    name = "nmr"
    implementation = "Total NMR_B of BS.1387, ours"

    def __init__(self) -> None:
        self.version = source_version(
            sys.modules[__name__], waveforms, settings=package_version(bs1387)
        )

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """Mean power of the error over the reference's mask, in dB.

        Raises:
            UndefinedError: The reference is silent or shorter than one frame.
        """
        reference, test = at_48_khz(a, b, sample_rate)
        frames = active_frames(reference)
        reference, test = magnitudes(reference), magnitudes(test)
        excitation = smeared(unsmeared(reference))
        return total_nmr(noise_to_mask(reference, test, excitation)[frames])


@register(NoiseToMaskRatio.name)
def make_nmr(_argument: str | None) -> NoiseToMaskRatio:
    """Takes no argument."""
    return NoiseToMaskRatio()
