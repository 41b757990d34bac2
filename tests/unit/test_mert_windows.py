"""Windows that overlap, long clips in pieces, and the ways to run an encoder faster."""

import subprocess
import sys

import pytest
import torch

from pamt_metric.encoders import windows
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.errors import ConfigError, InputError
from tests.conftest import TINY_ENCODER

# Of the largest value: sums in another order; measured up to 1.1e-6.
SAME_TOLERANCE = 3e-6
# 1 s: 75 frames.
WINDOW_S = 1.0


def noise(*shape, seed=0, level=0.1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * level


def relative_difference(a, b):
    return float((a - b).abs().max() / b.abs().max())


def make(**timing):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MertEncoder(TINY_ENCODER | {"window_s": WINDOW_S} | timing, normalize=True)


def test_an_overlapping_window_gives_the_frames_it_is_kept_for():
    encoder = make(overlap_s=0.4)  # 30 frames
    encoder.normalize = False
    clip = noise(1, 40_000)
    states = encoder(clip)
    alone = make()
    alone.normalize = False
    size = encoder.window_samples
    first = alone(clip[:, :size])
    assert relative_difference(states[:, :, :60], first[:, :, :60]) <= SAME_TOLERANCE
    second = alone(clip[:, 45 * 320 : 45 * 320 + size])
    assert relative_difference(states[:, :, 60:105], second[:, :, 15:60]) <= SAME_TOLERANCE


def test_the_timing_is_kept_where_the_config_is(tmp_path):
    encoder = make(overlap_s=0.4)
    clip = noise(1, 60_000)
    states = encoder(clip)
    assert not torch.equal(make()(clip), states)
    encoder.to_folder(tmp_path)
    assert torch.equal(MertEncoder.from_pretrained(tmp_path)(clip), states)
    other = MertEncoder.from_pretrained(tmp_path, overlap_s=0.0)
    assert torch.equal(other(clip), make()(clip))
    longer = MertEncoder.from_pretrained(tmp_path, window_s=3.0)
    assert longer.window_samples == 400 + 224 * 320
    assert longer.config["window_s"] == 3.0


@pytest.mark.parametrize(
    "timing",
    [
        {"window_s": 0.001},
        {"window_s": -1.0},
        {"window_s": float("inf")},
        {"window_s": "5"},
        {"overlap_s": -0.5},
        {"overlap_s": 1.0},
        {"overlap_s": None},
    ],
)
def test_windows_that_do_not_advance_are_refused(timing):
    with pytest.raises(ConfigError, match="window_s and overlap_s must be seconds"):
        make(**timing)


# Alone and in a batch, at every length and overlap


@pytest.mark.parametrize("overlap_s", [0.0, 0.5])
@pytest.mark.parametrize("window_s", [0.3, 1.0])
def test_a_clip_is_the_same_alone_and_in_a_padded_batch(window_s, overlap_s):
    encoder = make(window_s=window_s, overlap_s=overlap_s * window_s)
    lengths = [60_000, 24_080, 24_081, 400, 31_234]
    clips = noise(5, 60_000)
    for item, length in enumerate(lengths):
        clips[item, length:] = torch.nan
    batch = encoder(clips, lengths)
    for item, length in enumerate(lengths):
        alone = encoder(clips[item : item + 1, :length])[0]
        n_frame = windows.n_frames(length)
        assert relative_difference(batch[item, :, :n_frame], alone) <= SAME_TOLERANCE
        assert not batch[item, :, n_frame:].any()


# Long clips in pieces


@pytest.mark.parametrize("overlap_s", [0.0, 0.4])
@pytest.mark.parametrize("n_samples", [400, 24_080, 100_001])
def test_the_pieces_of_a_stream_are_the_clip(n_samples, overlap_s):
    encoder = make(overlap_s=overlap_s)
    clip = noise(n_samples) + 0.05
    expected = encoder(clip[None], layers=[2, 0])[0]
    for at_once in (1, 3):
        pieces = list(encoder.stream(clip, layers=[2, 0], windows_per_forward=at_once))
        assert relative_difference(torch.cat(pieces, dim=1), expected) <= SAME_TOLERANCE


def test_a_stream_encodes_no_more_than_was_asked_for():
    encoder = make()
    passes = []
    encoder.module.feature_extractor.register_forward_hook(
        lambda _, inputs, __: passes.append(inputs[0].shape)
    )
    stream = encoder.stream(noise(200_000), layers=[0])
    assert next(stream).shape == (1, 75, 32)
    assert passes == [(1, encoder.window_samples)]


def test_a_stream_checks_its_input():
    with pytest.raises(InputError, match="0 to 2"):
        make().stream(noise(4000), layers=[3])
    with pytest.raises(InputError, match="at least 400"):
        next(make().stream(noise(399)))


# Faster


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_bfloat16_is_near_single_precision(attention):
    # An offset that bfloat16 sums would lose: the clip is normalised in single precision. Few
    # channels in a group: oneDNN's own positional convolution was wrong by the whole result.
    clip = noise(1, 60_000, level=0.01) + 0.3
    encoder = MertEncoder(TINY_ENCODER, normalize=True, attn_implementation=attention)
    expected = encoder(clip)
    states = encoder.to(torch.bfloat16)(clip)
    assert states.dtype == torch.bfloat16
    error = (states.float() - expected).norm() / expected.norm()
    # Eight bits through seven convolutions and two layers.
    assert error < 0.03


COMPILED = """
import torch
from tests.unit.test_mert_windows import make, noise, relative_difference

encoder, clips, lengths = make(), noise(3, 60_000), [60_000, 30_000, 24_000]
expected, keys = encoder(clips, lengths), list(encoder.state_dict())
encoder.compile()
compiled = encoder(clips, lengths)
assert list(encoder.state_dict()) == keys
assert not torch.equal(compiled, expected)  # other kernels ran
print(relative_difference(compiled, expected))
"""


@pytest.mark.slow
def test_compiled_parts_give_the_same():
    # A process of its own: torch's compiler cannot look through the checks of types in here.
    command = [sys.executable, "-c", COMPILED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Fused kernels sum in another order.
    assert float(done.stdout.splitlines()[-1]) < 1e-5
