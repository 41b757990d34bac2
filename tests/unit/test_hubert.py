"""Our HuBERT beside transformers' own, of random weights: the same states, whatever the config."""

import pytest
import torch

from pamt_metric.encoders import hubert
from pamt_metric.encoders.mert import MertEncoder
from tests.support.mert_checkpoints import stock_of

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embedding_groups": 4,
    "num_conv_pos_embeddings": 16,
}
# The same sums in another order, on values up to 5.
TOLERANCE = 1e-5


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("stable", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"conv_bias": True},
        {"feat_proj_layer_norm": False},
        {"num_conv_pos_embeddings": 15},
        {"layer_norm_eps": 0.1},
        {"mask_time_prob": 0.0},
        {"conv_dim": [16, 8, 8, 24, 8, 8, 12]},
    ],
    ids=lambda changes: "".join(changes) or "plain",
)
def test_states_are_those_of_transformers(norm, stable, changes):
    config = SMALL | {"feat_extract_norm": norm, "do_stable_layer_norm": stable} | changes
    encoder = MertEncoder(config, normalize=False)
    stock = stock_of(encoder)  # takes our weights, all of them
    clips = noise(2, 8000)
    output = stock(clips, output_hidden_states=True)
    expected = torch.stack([*output.hidden_states[:-1], output.last_hidden_state], dim=1)
    torch.testing.assert_close(encoder(clips), expected, rtol=0.0, atol=TOLERANCE)


@pytest.mark.parametrize("n_samples", [400, 719, 720, 9000])
def test_blocks_of_the_front_end_are_as_one(n_samples, monkeypatch):
    encoder = MertEncoder(SMALL | {"feat_extract_norm": "layer"}, normalize=False)
    clips = noise(2, n_samples)
    whole = encoder.module.feature_extractor(clips)
    monkeypatch.setattr(hubert, "BLOCK_VALUES", 3 * 16 * 64)
    torch.testing.assert_close(
        encoder.module.feature_extractor(clips), whole, rtol=0.0, atol=TOLERANCE
    )


def test_random_weights_are_spread_as_those_of_transformers():
    torch.manual_seed(0)
    ours = MertEncoder(SMALL, normalize=False).module.state_dict()
    torch.manual_seed(0)
    stock = stock_of(MertEncoder(SMALL, normalize=False), copy=False).state_dict()
    assert ours.keys() == stock.keys()
    for name, value in stock.items():
        # A standard deviation of some hundred draws is that near to another's.
        torch.testing.assert_close(ours[name].std(), value.std(), rtol=0.35, atol=1e-6, msg=name)
