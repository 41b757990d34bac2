"""Shifts of frequency that listeners just hear move the place of a tone by about its precision."""

import pytest
import torch

from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.place import Place, place, squared_move
from pamt_metric.psychoacoustics.scales import center_frequencies
from tests.conformance.signals import batch, noise, tone

EDGE = 8
# Wier, Jesteadt and Green (1977), table II, 40 dB SL: percent of the frequency. Their 8 kHz, 0.856
# percent, is half a unit here.
JUST_HEARD = {400: 0.25, 600: 0.183, 800: 0.175, 1000: 0.19, 2000: 0.16, 4000: 0.398}
# A factor between listeners and between studies.
SPREAD = 1.75


def placed(clip: torch.Tensor) -> Place:
    with torch.no_grad():
        tokens = Ear()(batch([clip]), torch.tensor([len(clip)]))
    return place(tokens.excitation, tokens.loudness)


def moved(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """z^2 by band, mean over time."""
    return squared_move(placed(a), placed(b))[0, EDGE:-EDGE].mean(0)


@pytest.mark.parametrize("hz", JUST_HEARD)
def test_a_shift_that_is_just_heard_is_one_unit(hz: int) -> None:
    shifted = hz * (1.0 + 0.01 * JUST_HEARD[hz])
    band = int((center_frequencies() - hz).abs().argmin())
    size = float(moved(tone(hz, 45.0), tone(shifted, 45.0))[band].sqrt())
    assert 1.0 / SPREAD < size < SPREAD


def test_two_tokens_of_one_noise_lie_at_the_same_place() -> None:
    # Far less than a shift that is just heard.
    a, b = (noise(100.0, 10_000.0, 20.0, duration=0.5, seed=seed) for seed in (0, 1))
    assert float(moved(a, b).mean()) < 0.1
