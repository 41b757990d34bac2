"""Rise and fall of loudness."""

import pytest
import torch

from pamt_metric.psychoacoustics.flux import FRAMES, flux
from pamt_metric.psychoacoustics.scales import N_BANDS

INSIDE = torch.ones(1, 6, dtype=torch.bool)


def by_frame(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[None, :, None].expand(-1, -1, N_BANDS)


def test_hand_computed() -> None:
    found = flux(by_frame([0.0, 0.0, 0.24, 0.24, 0.24, 0.08]), INSIDE)
    # Roots of 0.01, 0.25 and 0.09.
    expected = [0.0, 0.0, 0.4, 0.4, 0.0, -0.2]
    assert FRAMES == 2
    assert found[0, :, 7].tolist() == pytest.approx(expected)


def test_a_clip_that_begins_loud_does_not_rise() -> None:
    assert not flux(by_frame([0.7] * 6), INSIDE).any()


def test_beyond_the_end_is_nothing() -> None:
    inside = torch.tensor([[True, True, True, True, False, False]])
    found = flux(by_frame([0.0, 0.5, 0.5, 0.5, 0.0, 0.0]), inside)
    assert not found[:, 4:].any()
    assert found[:, :4].any()


def test_gradient_is_that_of_finite_differences_and_finite_in_silence() -> None:
    loudness = torch.rand(1, 6, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: flux(x, INSIDE), loudness)
    quiet = torch.zeros(1, 6, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(flux(quiet, INSIDE).abs().sum(), quiet)
    assert bool(slope.isfinite().all())
