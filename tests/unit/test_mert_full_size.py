"""Checkpoints as large as the published ones, with random weights."""

import pytest
import torch

from pamt_metric.encoders.mert import MertEncoder
from tests.support import mert_checkpoints

# Tensors and values of the published checkpoints.
SIZES = {"95M": (211, 94_371_712), "330M": (403, 315_428_992)}


def size_of(state):
    return len(state), sum(value.numel() for value in state.values())


@pytest.mark.parametrize("size", SIZES)
def test_the_module_is_as_large_as_the_published_checkpoint(size):
    with torch.device("meta"):
        encoder = MertEncoder(mert_checkpoints.full_size_config(size), normalize=True)
    assert size_of(encoder.state_dict()) == SIZES[size]


@pytest.mark.slow
def test_a_full_size_checkpoint_loads_with_all_its_keys(tmp_path):
    module = mert_checkpoints.write_full_size(tmp_path / "MERT-v1-95M", "95M")
    stored = torch.load(tmp_path / "MERT-v1-95M" / "pytorch_model.bin", weights_only=True)
    assert size_of(stored) == SIZES["95M"]
    assert "encoder.pos_conv_embed.conv.weight_g" in stored
    encoder = MertEncoder.from_pretrained(tmp_path / "MERT-v1-95M", normalize=False)
    loaded = {tensor.data_ptr() for tensor in encoder.state_dict().values()}
    assert len(loaded) == SIZES["95M"][0]
    state = encoder.module.state_dict()
    assert all(torch.equal(state[key], value) for key, value in module.state_dict().items())
    clip = torch.randn(1, 24_000, generator=torch.Generator().manual_seed(0)) * 0.1
    # The same module on the same input; sdpa in both.
    torch.testing.assert_close(
        encoder(clip, layers=[-1])[:, 0], module(clip).last_hidden_state, rtol=0, atol=1e-5
    )
