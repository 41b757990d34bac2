"""A convolution by spectra gives what torch's gives, and keeps no spectrum of other weights."""

import copy

import pytest
import torch
from torch.nn import functional

from pamt_metric.encoders.grouped_conv import GroupedConv

CHANNELS, GROUPS = 12, 3


def make(kernel_size, dtype=torch.float64):
    torch.manual_seed(0)
    return GroupedConv(CHANNELS, kernel_size, groups=GROUPS).to(dtype).requires_grad_(False)


def sounds(n_frame, dtype=torch.float64, n_window=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n_window, n_frame, CHANNELS, generator=generator, dtype=dtype)


def expected(conv, x):
    padding = conv.kernel_size[0] // 2
    signals = x.transpose(1, 2)
    y = functional.conv1d(signals, conv.weight, conv.bias, padding=padding, groups=GROUPS)
    return y.transpose(1, 2)[:, : x.shape[1]]


@pytest.mark.parametrize("kernel_size", [1, 2, 15, 16, 128])
@pytest.mark.parametrize("n_frame", [1, 2, 7, 100, 129, 374])
def test_is_a_convolution(kernel_size, n_frame):
    conv, x = make(kernel_size), sounds(n_frame)
    assert conv(x).shape == x.shape
    assert torch.allclose(conv(x), expected(conv, x), rtol=0.0, atol=1e-12)


def test_in_single_precision_it_errs_by_rounding():
    conv, x = make(128, torch.float32), sounds(374, torch.float32)
    exact = expected(copy.deepcopy(conv).double(), x.double())
    assert (conv(x) - exact).abs().max() < 1e-5


def test_gradients_are_right():
    conv, x = make(4), sounds(9, n_window=1)
    assert torch.autograd.gradcheck(conv, x.requires_grad_())
    conv.requires_grad_(True)
    found = torch.autograd.grad(conv(x).square().sum(), conv.weight)[0]
    wanted = torch.autograd.grad(expected(conv, x).square().sum(), conv.weight)[0]
    assert torch.allclose(found, wanted)


@pytest.mark.parametrize(
    "change",
    [
        lambda conv: conv.weight.mul_(2.0),
        lambda conv: conv.load_state_dict({k: -v for k, v in conv.state_dict().items()}),
        lambda conv: setattr(conv, "weight", torch.nn.Parameter(conv.weight.flip(-1))),
        lambda conv: conv.float(),
    ],
    ids=["in place", "load_state_dict", "another parameter", "dtype"],
)
def test_new_weights_are_heard(change):
    conv, x = make(16), sounds(50)
    before = conv(x)
    change(conv)
    x = x.to(conv.weight)
    assert torch.allclose(conv(x), expected(conv, x), rtol=0.0, atol=1e-5)
    assert not torch.allclose(conv(x).double(), before, atol=1e-5) or x.dtype == torch.float32


def test_what_inference_mode_kept_serves_autograd():
    conv = make(16)
    with torch.inference_mode():
        conv(sounds(50))
    x = sounds(50).requires_grad_()
    conv(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_a_copy_goes_by_its_own_weights():
    conv, x = make(16), sounds(50)
    conv(x)
    other = copy.deepcopy(conv)
    with torch.no_grad():
        other.weight.zero_()
    assert torch.allclose(other(x), other.bias.expand_as(x))
    assert torch.allclose(conv(x), expected(conv, x))
