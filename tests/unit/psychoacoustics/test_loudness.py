import pytest
import torch

from pamt_metric.psychoacoustics.loudness import (
    SONE_PER_CAM,
    SpecificLoudness,
    binaural,
    threshold_excitation,
    total_loudness,
)
from pamt_metric.psychoacoustics.scales import N_BANDS, center_frequencies


def levels(*db: float) -> torch.Tensor:
    """Excitation of all bands, one frame for each level."""
    return (10.0 ** (torch.tensor(db) / 10.0))[None, :, None].repeat(1, 1, N_BANDS)


def test_silence_is_exactly_zero_with_a_finite_slope() -> None:
    excitation = torch.zeros(1, 2, N_BANDS, requires_grad=True)
    value = SpecificLoudness()(excitation)
    (slope,) = torch.autograd.grad(value.sum(), excitation)
    assert not value.any()
    assert bool(slope.isfinite().all())


def test_grows_with_excitation() -> None:
    value = SpecificLoudness()(levels(*range(-20, 120, 5)))
    assert bool((value.diff(dim=1) > 0.0).all())


@pytest.mark.parametrize("db", [15.0, 40.0, 80.0])
def test_above_500_hz_it_is_the_standards_formula(db: float) -> None:
    # There G = 1, alpha = 0.2 and A = 4.131 (ISO 532-2, tables 5 and 6).
    expected = 0.0617 * ((10.0 ** (db / 10.0) + 4.131) ** 0.2 - 4.131**0.2)
    value = SpecificLoudness()(levels(db))[0, 0, -1]
    assert float(value) == pytest.approx(expected, rel=1e-4)  # float32 powers


def test_above_100_db_it_grows_by_a_power_of_a_fifth() -> None:
    value = SpecificLoudness()(levels(105.0, 115.0))[0, :, 40]
    assert float(value[1] / value[0]) == pytest.approx(10.0**0.2, rel=1e-4)


def test_below_threshold_it_falls_more_steeply() -> None:
    # (2 E / (E + E_thr))^1.5 is 1 at the threshold and falls with E^1.5 far under it.
    ear = SpecificLoudness()
    threshold = ear.threshold.repeat(1, 1, 1)
    grown = (ear.gain * threshold / 100.0 + ear.offset) ** ear.alpha - ear.offset**ear.alpha
    expected = SONE_PER_CAM * (2.0 / 101.0) ** 1.5 * grown
    torch.testing.assert_close(ear(threshold / 100.0), expected, rtol=1e-3, atol=0.0)


def test_threshold_excitation_is_tabulated() -> None:
    # ISO 532-2, table 4: 27.46 dB at 50 Hz, 3.15 dB from 500 Hz on.
    hz = torch.tensor([50.0, 100.0, 500.0, 8000.0], dtype=torch.float64)
    db = 10.0 * threshold_excitation(hz).log10()
    assert db.tolist() == pytest.approx([27.46, 15.13, 3.15, 3.15])


def test_two_ears_are_one_and_a_half_times_one() -> None:
    one = torch.rand(1, 1, 3, N_BANDS, generator=torch.Generator().manual_seed(0))
    left_only = torch.cat([one, torch.zeros_like(one)], dim=1)
    torch.testing.assert_close(binaural(one), 2.0 * binaural(left_only))
    torch.testing.assert_close(binaural(one), 1.5 * one[:, 0])


def test_total_is_the_integral_over_cam() -> None:
    assert float(total_loudness(torch.ones(1, 1, N_BANDS))) == pytest.approx(37.5)


def test_gradient_is_that_of_finite_differences() -> None:
    ear = SpecificLoudness().double()
    db = torch.linspace(-10.0, 90.0, N_BANDS, dtype=torch.float64)

    def of_level(db: torch.Tensor) -> torch.Tensor:
        return ear(10.0 ** (db[None, None] / 10.0))

    assert len(center_frequencies()) == len(db)
    assert torch.autograd.gradcheck(of_level, db.requires_grad_())


def test_float32_is_near_float64() -> None:
    exact = SpecificLoudness().double()(levels(5.0, 50.0, 90.0).double())
    value = SpecificLoudness()(levels(5.0, 50.0, 90.0))
    torch.testing.assert_close(value.double(), exact, rtol=1e-3, atol=0.0)
