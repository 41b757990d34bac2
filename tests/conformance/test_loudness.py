"""Loudness of tones: ISO 532-2's reference points.

The filters do not change with level yet, so that tolerances are those of a first version.
"""

import pytest
import torch

from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.loudness import total_loudness

N_SAMPLES = 24_000


def loudness(level_db_spl: float, *, hz: float = 1000.0) -> float:
    """Sone of a steady tone, heard with both ears; a sine of amplitude 1 is 100 dB SPL."""
    amplitude = 10.0 ** ((level_db_spl - 100.0) / 20.0)
    time = torch.arange(N_SAMPLES, dtype=torch.float64) / 48_000
    tone = (amplitude * torch.sin(2.0 * torch.pi * hz * time)).float()
    tokens = Ear()(tone[None, None], torch.tensor([N_SAMPLES]))
    return float(total_loudness(tokens.loudness)[0, 10:-10].mean())


@pytest.mark.parametrize(("level_db_spl", "sone"), [(40.0, 1.0), (60.0, 4.14)])
def test_tone_of_1_khz(level_db_spl: float, sone: float) -> None:
    # ISO 532-2:2017, table of loudness level against loudness: 40 phon is 1 sone by definition.
    assert loudness(level_db_spl) == pytest.approx(sone, rel=0.1)


def test_a_tone_far_under_its_threshold_is_nearly_silent() -> None:
    # ISO 532-2: 0.003 sone at the threshold of hearing (2.2 phon); here 20 dB under it.
    assert loudness(-18.0) < 0.003
