"""What holds for all audio that the input check lets pass."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pamt_metric.audio import load, resample

RATES = st.sampled_from([8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 24_001])
LEADING = st.sampled_from([(), (1,), (2,), (1, 1), (2, 1), (3, 2)])
SEEDS = st.integers(0, 2**32 - 1)
# Cases take up to a second while two cores are shared: no deadline, and few of them.
few = settings(max_examples=30, deadline=None)


def clip(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).uniform(-0.6, 0.6, shape)
    scale = {"int16": 2.0**15, "int32": 2.0**31}.get(dtype, 1.0)
    return (values * scale).astype(dtype)


@few
@given(
    leading=LEADING,
    dtype=st.sampled_from(["float32", "float64", "int16", "int32"]),
    rate=RATES,
    target_rate=st.sampled_from([24_000, 48_000]),
    extra=st.integers(0, 5_000),
    as_tensor=st.booleans(),
    seed=SEEDS,
)
def test_any_valid_clip_loads(*, leading, dtype, rate, target_rate, extra, as_tensor, seed):
    n_time = -(-rate // 10) + extra
    samples = clip((*leading, n_time), dtype, seed)
    source = torch.from_numpy(samples) if as_tensor else samples
    audio = load(source, sample_rate=rate, target_rate=target_rate)
    expected = -(-n_time * target_rate // rate)
    n_batch, n_channels = (1, 1, *leading)[-2:]
    assert audio.waveform.shape == (n_batch, n_channels, expected)
    assert audio.lengths.tolist() == [expected] * n_batch
    assert audio.is_batch is (len(leading) == 2)
    assert audio.waveform.is_floating_point()
    # White noise within +-0.6 overshoots between its samples, by less than 2 for these lengths.
    assert audio.waveform.abs().max() <= (1.0 if rate == target_rate else 2.0)


@few
@given(seed=SEEDS, n_time=st.integers(2_400, 10_000))
def test_int16_becomes_float_exactly(seed, n_time):
    samples = np.random.default_rng(seed).integers(-(2**15), 2**15, n_time).astype(np.int16)
    waveform = load(samples, sample_rate=24_000, target_rate=24_000).waveform
    assert np.array_equal(waveform.numpy()[0, 0] * 2.0**15, samples)
    assert waveform.abs().max() <= 1.0


@few
@given(
    old_rate=RATES,
    new_rate=RATES,
    n_time=st.integers(1, 6_000),
    n_zeros=st.integers(0, 3_000),
    seed=SEEDS,
)
def test_resampling_commutes_with_padding_at_the_end(old_rate, new_rate, n_time, n_zeros, seed):
    samples = torch.from_numpy(clip((2, n_time), "float32", seed))
    padded = torch.nn.functional.pad(samples, (0, n_zeros))
    alone = resample(samples, old_rate, new_rate)
    together = resample(padded, old_rate, new_rate)
    assert alone.shape[-1] == -(-n_time * new_rate // old_rate)
    assert together.shape[-1] == -(-(n_time + n_zeros) * new_rate // old_rate)
    # float32 sums of some hundred products, in another order
    assert torch.allclose(together[:, : alone.shape[-1]], alone, rtol=0, atol=1e-6)


@few
@given(old_rate=RATES, new_rate=RATES, gain=st.floats(-4, 4), seed=SEEDS)
def test_resampling_is_linear(old_rate, new_rate, gain, seed):
    a, b = torch.from_numpy(clip((2, 3_000), "float64", seed))
    mixed = resample(a + gain * b, old_rate, new_rate)
    apart = resample(a, old_rate, new_rate) + gain * resample(b, old_rate, new_rate)
    assert torch.allclose(mixed, apart, rtol=0, atol=1e-12)  # float64 rounding
