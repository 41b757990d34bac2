"""How audible a perturbation is: measured, not said."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pamt_metric import Metric
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE


@dataclass(frozen=True)
class Audibility:
    """Of a perturbed clip beside the clean one.

    Attributes:
        snr_db: the clip's energy over the perturbation's; infinite for none.
        nmr_db: mean over frames and bands of the perturbation's excitation over the clip's masked
            threshold; under 0 dB it should not be heard.
        jnd: the metric's own distance.
    """

    snr_db: float
    nmr_db: float
    jnd: float


@torch.no_grad()
def measure(
    metric: Metric, clean: Float[Tensor, "time"], perturbed: Float[Tensor, "time"]
) -> Audibility:
    """All three; a change of tempo or pitch is a perturbation as large as the clip."""
    delta = perturbed - clean
    if not bool(delta.any()):
        return Audibility(math.inf, -math.inf, 0.0)
    snr = 10.0 * math.log10(float(clean.square().sum() / delta.square().sum()))
    length = torch.tensor([clean.shape[0]])
    levelled, gain_db, _ = metric.to_listening_level(clean[None, None], length, "match")
    heard = metric.ear(levelled, length)
    noise = metric.ear(delta[None, None] * 10.0 ** (gain_db / 20.0), length)
    ratio = noise.excitation / heard.threshold
    nmr = 10.0 * math.log10(float(ratio.mean()))
    jnd = metric.distance(clean, perturbed, sample_rate=SAMPLE_RATE)
    return Audibility(snr, nmr, float(jnd))
