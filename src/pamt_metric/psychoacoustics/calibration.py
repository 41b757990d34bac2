"""Level calibration: what a sample value means in air.

    full-scale sine (amplitude 1, power 1/2)  =  100 dB SPL

An intensity is relative to 0 dB SPL: the mean square of the waveform times 2 * 10^(100 / 10).

Source: the project's convention, which is that of the test signals of ISO 532-1, annex B.
"""

from jaxtyping import Float
from torch import Tensor, nn

FULL_SCALE_SINE_DB_SPL = 100.0
"""Level of a sine of amplitude 1."""
POWER_TO_INTENSITY = 2.0 * 10.0 ** (FULL_SCALE_SINE_DB_SPL / 10.0)
"""From the mean square of a waveform to intensity re 0 dB SPL."""
INTENSITY_FLOOR = 1e-4
"""Intensity (-40 dB SPL) that keeps the level of silence, and its slope, finite."""


class Calibration(nn.Module):
    """Mean square of a waveform -> intensity re 0 dB SPL."""

    def forward(self, power: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """Intensity; 1 is 0 dB SPL."""
        return intensity(power)


def intensity(power: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Intensity re 0 dB SPL of a waveform's mean square."""
    return power * POWER_TO_INTENSITY


def level_db(intensity: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Level in dB of an intensity, -40 dB in silence."""
    return 10.0 * (intensity + INTENSITY_FLOOR).log10()
