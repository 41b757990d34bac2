"""Resampling of tensors, and the gradients through it."""

import pytest
import torch
from julius.resample import resample_frac

from pamt_metric.audio import load, resample
from tests.support.audio_files import N_TIME, RATE, noise, tone


@pytest.mark.parametrize("rates", [(44_100, 24_000), (24_000, 48_000), (48_000, 24_000)])
def test_resample_agrees_with_julius_away_from_the_ends(rates):
    samples = noise(2, 3, 9_999)
    ours = resample(samples, *rates)
    theirs = resample_frac(samples, *rates, zeros=64, rolloff=0.956, full=True)
    assert ours.shape == theirs.shape
    assert (ours - theirs)[..., 500:-500].abs().max() < 1e-6  # float32 rounding


@pytest.mark.parametrize("rates", [(44_100, 44_101), (24_001, 16_000), (11_025, 24_001)])
def test_resample_between_awkward_rates(rates):
    old, new = rates
    n_time = 12_345
    out = resample(torch.from_numpy(tone(n_time, rate=old, n_channels=1)), old, new)
    expected = torch.from_numpy(tone(-(-n_time * new // old), rate=new, n_channels=1))
    assert out.shape == expected.shape
    # The filter's ripple, the same as at other rates.
    assert (out - expected)[:, 500:-500].abs().max() < 1e-4


@pytest.mark.parametrize("new_rate", [24_000, 24_001])
def test_resample_removes_what_would_alias(new_rate):
    high = torch.from_numpy(tone(24_000, rate=48_000, frequency=13_000.0))
    assert resample(high, 48_000, new_rate)[:, 200:-200].abs().max() < 1e-3  # -54 dB of 0.5


def test_resample_ignores_autocast():
    samples = noise(1, 9_999)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = resample(samples, 44_100, 24_000)
    exact = resample(samples.double(), 44_100, 24_000)
    assert (under_autocast - exact).abs().max() < 1e-6  # float32 rounding; bfloat16: 1e-3


def test_gradient_after_inference_mode_at_the_same_rate():
    with torch.inference_mode():
        resample(noise(4_000), 32_000, 24_000)
    samples = noise(4_000).requires_grad_()
    resample(samples, 32_000, 24_000).square().sum().backward()
    assert samples.grad is not None


@pytest.mark.parametrize("rates", [(12, 7), (7, 12), (2, 1), (4_001, 4_000)])
def test_resample_gradient_is_its_adjoint(rates):
    samples = noise(2, 400, dtype=torch.float64).requires_grad_()
    out = resample(samples, *rates)
    projection = (out * noise(*out.shape, seed=1, dtype=torch.float64)).sum()
    projection.backward()
    # A linear map A: <A x, v> = <x, A' v>, where A' v is the gradient. float64 rounding.
    assert samples.grad is not None
    assert torch.isclose((samples.grad * samples).sum(), projection, rtol=1e-10, atol=0)


@pytest.mark.parametrize("rate", [RATE, 44_100, 48_000, 24_001])
def test_gradient_reaches_the_tensor_and_stops_at_its_length(rate):
    samples = noise(2, 2, N_TIME)
    samples[0, :, 9_000:] = float("nan")
    samples.requires_grad_()
    audio = load(samples, sample_rate=rate, target_rate=RATE, lengths=[9_000, N_TIME])
    audio.waveform.square().sum().backward()
    assert samples.grad is not None
    assert samples.grad.isfinite().all()
    assert samples.grad[0, :, 9_000:].count_nonzero() == 0
    assert samples.grad[0, :, :9_000].abs().amax(-1).min() > 0
    assert samples.grad[1].abs().amax(-1).min() > 0
