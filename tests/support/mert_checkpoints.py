"""Checkpoints of the MERT family in the Hub's layout: tiny golden ones, and full-size random ones.

The published layout: `config.json` with code of its own named in it, `preprocessor_config.json`,
and `pytorch_model.bin` with the older names of a weight-normalised convolution.
"""

import json
import shutil
from pathlib import Path

import torch

from pamt_metric.encoders import mert_config

GOLDEN = Path(__file__).parents[1] / "golden" / "mert"
MODELS = ("mert-95m-tiny", "mert-330m-tiny")

# What the published configs state where the tiny ones have smaller numbers.
FULL_SIZE = {
    "95M": {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "conv_dim": [512] * 7,
        "do_stable_layer_norm": False,
    },
    "330M": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "conv_dim": [512] * 7,
        "do_stable_layer_norm": True,
    },
}
# As training's pretrained encoder: layer norm in the front end, biases; small.
SMALL_CONFIG = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "num_conv_pos_embedding_groups": 4,
    "num_conv_pos_embeddings": 16,
    "mask_time_prob": 0.0,
}
LEGACY_NAMES = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}


def noise(*shape, seed=0, level=0.1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * level


def difference(a, b):
    return float((a - b).detach().abs().max())


def relative_difference(a, b):
    return difference(a, b) / float(b.detach().abs().max())


def assemble(folder, model="mert-95m-tiny"):
    """The folder of a tiny model, which a test may then damage."""
    folder.mkdir()
    shutil.copyfile(GOLDEN / f"{model}.config.json", folder / "config.json")
    for name in ("preprocessor_config.json", "pytorch_model.bin"):
        shutil.copyfile(GOLDEN / name, folder / name)
    return folder


def edit_json(path, **changes):
    """Change values of a JSON file; None takes one out."""
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: v for key, v in values.items() if v is not None}))


def edit_weights(folder, edit):
    path = folder / "pytorch_model.bin"
    state = torch.load(path, weights_only=True)
    edit(state)
    torch.save(state, path)


def legacy_names(state):
    """Weight-norm keys as in the published files."""
    return {
        next((key.replace(new, old) for new, old in LEGACY_NAMES.items() if new in key), key): value
        for key, value in state.items()
    }


def full_size_config(size):
    """The published config.json of `size`, with what only its own code reads."""
    values = json.loads((GOLDEN / f"mert-{size.lower()}-tiny.config.json").read_text())
    return values | FULL_SIZE[size]


def stock_module(config):
    """transformers' module of these values, built without the package; random weights."""
    from transformers import HubertConfig, HubertModel

    known = HubertConfig().to_dict().keys() - {"model_type", "architectures", "auto_map"}
    return HubertModel(HubertConfig(**{k: v for k, v in config.items() if k in known})).eval()


def stock_of(encoder, *, attention="sdpa", copy=True):
    """transformers' module of our config, with our weights: the reference of every hidden state."""
    from transformers import HubertConfig, HubertModel

    known = {name: encoder.config[name] for name in mert_config.HUBERT_DEFAULTS}
    module = HubertModel(HubertConfig(**known, attn_implementation=attention)).eval()
    if copy:
        module.load_state_dict(encoder.module.state_dict())
    return module.to(next(encoder.parameters()).dtype)


def write_full_size(folder, size, *, seed=0):
    """Write a random-weight checkpoint as large as the published one; gives the module in it."""
    config = full_size_config(size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = stock_module(config)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copyfile(GOLDEN / "preprocessor_config.json", folder / "preprocessor_config.json")
    torch.save(legacy_names(module.state_dict()), folder / "pytorch_model.bin")
    return module
