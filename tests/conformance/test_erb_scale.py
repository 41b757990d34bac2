"""Published values of the ERB-number scale (Glasberg and Moore, 1990; ISO 532-2:2017)."""

import pytest
import torch

from pamt_metric.psychoacoustics import scales


@pytest.mark.parametrize(
    ("hz", "bandwidth", "cam"),
    # To the digits that are printed.
    [(1000.0, 132.6, 15.6), (100.0, 35.5, 3.4), (4000.0, 455.8, 27.1)],
)
def test_bandwidth_and_erb_number(hz: float, bandwidth: float, cam: float) -> None:
    frequency = torch.tensor([hz], dtype=torch.float64)
    width = scales.equivalent_rectangular_bandwidth(frequency)
    assert float(width) == pytest.approx(bandwidth, abs=0.15)
    assert float(scales.hz_to_erb_number(frequency)) == pytest.approx(cam, abs=0.06)
