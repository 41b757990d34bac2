import pytest
import torch
from torch.nn import functional

from pamt_metric.encoders.strided_conv import strided_conv


@pytest.mark.parametrize(
    ("channels", "kernel", "stride"),
    [(1, 10, 5), (8, 3, 2), (8, 2, 2), (8, 10, 5), (8, 8, 3), (8, 3, 1)],
)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("n_window", [1, 3])
def test_is_conv1d_with_channels_last(channels, kernel, stride, biased, n_window):
    generator = torch.Generator().manual_seed(kernel)
    x = torch.randn(n_window, 61, channels, generator=generator, dtype=torch.float64)
    weight = torch.randn(6, channels, kernel, generator=generator, dtype=torch.float64)
    bias = torch.randn(6, generator=generator, dtype=torch.float64) if biased else None
    expected = functional.conv1d(x.transpose(1, 2), weight, bias, stride=stride).transpose(1, 2)
    torch.testing.assert_close(strided_conv(x, weight, bias, stride=stride), expected)
