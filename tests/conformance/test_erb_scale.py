"""Published values of the ERB-number scale (Glasberg and Moore, 1990; ISO 532-2:2017)."""

import pytest
import torch

from pamt_metric.psychoacoustics import scales


@pytest.mark.parametrize(
    ("hz", "bandwidth", "cam"),
    # Glasberg and Moore's 24.7 (4.37 f / kHz + 1) Hz and 21.4 lg(4.37 f / kHz + 1) Cam.
    [(1000.0, 132.6, 15.6), (100.0, 35.5, 3.4), (4000.0, 456.5, 27.1)],
)
def test_bandwidth_and_erb_number(hz: float, bandwidth: float, cam: float) -> None:
    frequency = torch.tensor([hz], dtype=torch.float64)
    width = scales.equivalent_rectangular_bandwidth(frequency)
    # ISO 532-2 gives the constants to more digits: 24.673 for 24.7, up to 0.16 % less.
    assert float(width) == pytest.approx(bandwidth, rel=0.002)
    assert float(scales.hz_to_erb_number(frequency)) == pytest.approx(cam, abs=0.06)
