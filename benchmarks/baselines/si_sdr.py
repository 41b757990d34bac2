"""SI-SDR, the scale-invariant signal-to-distortion ratio of source separation.

Value: -SI-SDR in dB, so about -100 for the same sound and more the louder the distortion. Both
sounds in the baselines' conditions at their own rate; no mean is taken out (the package's default).

Source: J. Le Roux et al., SDR - half-baked or well done?, ICASSP 2019; torchmetrics.
"""

import importlib
import sys

import numpy as np
import torch

from benchmarks import waveforms
from benchmarks.guard import Guarded
from benchmarks.metrics import UndefinedError, distribution, register, source_version
from benchmarks.waveforms import baseline_conditions


class SiSdr:
    """-SI-SDR in dB; a is the target, b the estimate."""

    name = "si-sdr"

    def __init__(self) -> None:
        self.implementation = distribution("torchmetrics", extra="bench")
        self.version = source_version(
            sys.modules[__name__], waveforms, settings=self.implementation
        )

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """The same at any sample rate.

        Raises:
            UndefinedError: A sound is silent: the package would call that 0 dB.
        """
        audio = importlib.import_module("torchmetrics.functional.audio")
        target, estimate = (torch.from_numpy(x) for x in baseline_conditions(a, b))
        if not (target.any() and estimate.any()):
            raise UndefinedError("silence has no SI-SDR")
        return -float(audio.scale_invariant_signal_distortion_ratio(estimate, target))


@register(SiSdr.name)
def make_si_sdr(_argument: str | None) -> Guarded:
    """Takes no argument."""
    return Guarded(SiSdr())
