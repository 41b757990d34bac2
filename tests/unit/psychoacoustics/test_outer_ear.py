import pytest
import torch

from pamt_metric.psychoacoustics.outer_ear import transfer_gain_db


def gain(hz: float) -> float:
    return float(transfer_gain_db(torch.tensor([hz], dtype=torch.float64)))


def test_gain_at_tabulated_frequencies_is_the_sum_of_both_ears() -> None:
    # Outer plus middle ear, ISO 532-2:2017, tables 1 and 2.
    assert gain(1000.0) == pytest.approx(2.6 - 2.6)
    assert gain(100.0) == pytest.approx(-12.4)
    assert gain(3000.0) == pytest.approx(15.3 - 7.3)
    assert gain(10_000.0) == pytest.approx(-1.6 - 10.1)


def test_gain_between_is_linear_over_log_frequency() -> None:
    assert gain((2000.0 * 2500.0) ** 0.5) == pytest.approx((3.5 + 6.4) / 2)


def test_gain_outside_the_table_keeps_its_ends() -> None:
    assert gain(0.0) == gain(5.0) == pytest.approx(-39.6)
    assert gain(24_000.0) == pytest.approx(2.5 - 45.5)
