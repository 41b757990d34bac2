import pytest
import torch

from pamt_metric.psychoacoustics import scales

HZ = torch.tensor([20.0, 100.0, 1000.0, 4000.0, 15_000.0], dtype=torch.float64)


def test_erb_number_and_back_is_the_same_frequency() -> None:
    torch.testing.assert_close(scales.erb_number_to_hz(scales.hz_to_erb_number(HZ)), HZ)


def test_bandwidth_is_what_one_cam_spans() -> None:
    # By definition of the scale d Cam / d f = 1 / ERB_N; the standard rounds its constants, so
    # that the two formulas agree to 1e-4.
    step = 0.01
    rise = scales.hz_to_erb_number(HZ + step) - scales.hz_to_erb_number(HZ - step)
    bandwidth = scales.equivalent_rectangular_bandwidth(HZ)
    torch.testing.assert_close(2.0 * step / rise, bandwidth, rtol=1e-3, atol=0.0)


def test_centers_rise_by_half_a_cam_up_to_38_8() -> None:
    cam = scales.hz_to_erb_number(scales.center_frequencies())
    assert len(cam) == scales.N_BANDS
    assert cam.diff().numpy() == pytest.approx(0.5)
    assert float(cam[0]) == pytest.approx(1.8)
    assert float(cam[-1]) == pytest.approx(38.8)
