"""Encoders of the MERT family from folders and the Hub: what loads, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pamt_metric import hub
from pamt_metric.encoders import mert_files
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.errors import CheckpointError, ConfigError
from tests.support.mert_checkpoints import (
    SMALL_CONFIG,
    assemble,
    edit_json,
    edit_weights,
    legacy_names,
    noise,
    relative_difference,
)

# Of the largest value: transformers' module has its sums in another order throughout.
STOCK_TOLERANCE = 5e-6


@pytest.fixture
def checkpoint(tmp_path):
    """Assemble the folder of a tiny model, which a test may then damage."""
    return lambda model="mert-95m-tiny": assemble(tmp_path / model, model)


@pytest.fixture
def tiny(checkpoint):
    return MertEncoder.from_pretrained(checkpoint())


@pytest.fixture
def small():
    return MertEncoder(SMALL_CONFIG, normalize=True)


def test_an_encoder_is_rebuilt_from_its_config_and_state(tiny):
    rebuilt = MertEncoder(tiny.config, normalize=tiny.normalize)
    rebuilt.load_state_dict(tiny.state_dict())
    assert rebuilt.config == tiny.config
    assert torch.equal(rebuilt(noise(1, 4000)), tiny(noise(1, 4000)))


def test_a_state_with_older_weight_norm_names_loads(small):
    state = legacy_names(small.state_dict())
    assert "module.encoder.pos_conv_embed.conv.weight_g" in state
    other = MertEncoder(SMALL_CONFIG, normalize=True)
    assert not torch.equal(other(noise(1, 4000)), small(noise(1, 4000)))
    nn.ModuleDict({"encoder": other}).load_state_dict({f"encoder.{k}": v for k, v in state.items()})
    assert torch.equal(other(noise(1, 4000)), small(noise(1, 4000)))
    del state["module.encoder.pos_conv_embed.conv.weight_g"]
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict(state)


def test_weight_norm_names_are_matched_both_ways():
    names = {"conv.weight_g": 0, "conv.weight_v": 1, "conv.bias": 2, "masked_spec_embed": 3}
    old = {name: torch.full((1,), value) for name, value in names.items()}
    new = {
        "conv.parametrizations.weight.original0": old["conv.weight_g"],
        "conv.parametrizations.weight.original1": old["conv.weight_v"],
        "conv.bias": old["conv.bias"],
    }
    assert mert_files.match_keys(old, wanted=new) == new
    assert mert_files.match_keys(old, wanted=old) == old
    old.pop("masked_spec_embed")
    assert mert_files.match_keys(new, wanted=old) == old


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_folder_written_is_a_folder_read(small, tmp_path, dtype):
    small.to_folder(tmp_path / "encoder", dtype=dtype)
    assert sorted(path.name for path in (tmp_path / "encoder").iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]
    # Weights that only their owner may read would fail in a shared installation.
    assert len({path.stat().st_mode for path in (tmp_path / "encoder").iterdir()}) == 1
    loaded = MertEncoder.from_pretrained(tmp_path / "encoder")
    assert loaded.config == small.config
    assert loaded.normalize is small.normalize
    assert next(loaded.parameters()).dtype == torch.float32
    small.to(dtype).float()  # round as the file did
    assert torch.equal(loaded(noise(1, 4000)), small(noise(1, 4000)))


@pytest.mark.parametrize("layout", ["as written", "legacy names"])
@pytest.mark.parametrize("mask_time_prob", [0.0, 0.65])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_what_save_pretrained_wrote_loads(tmp_path, dtype, mask_time_prob, layout):
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    model = HubertModel(HubertConfig(**SMALL_CONFIG | {"mask_time_prob": mask_time_prob})).to(dtype)
    model.save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor(sampling_rate=24_000, do_normalize=False).save_pretrained(tmp_path)
    if layout == "legacy names":
        state = legacy_names(load_file(tmp_path / "model.safetensors"))
        save_file(state, tmp_path / "model.safetensors")
    encoder = MertEncoder.from_pretrained(tmp_path)
    assert not encoder.normalize
    expected = model.float().eval()(noise(1, 4000)).last_hidden_state
    found = encoder(noise(1, 4000), layers=[-1])[:, 0]
    assert relative_difference(found, expected) <= STOCK_TOLERANCE


def test_an_encoder_of_another_sample_rate(checkpoint):
    folder = checkpoint()
    edit_json(folder / "config.json", sample_rate=None)
    edit_json(folder / "preprocessor_config.json", sampling_rate=16_000)
    encoder = MertEncoder.from_pretrained(folder)
    assert (encoder.sample_rate, encoder.frame_rate) == (16_000, 50.0)
    assert encoder.config["sample_rate"] == 16_000
    sizes = []
    encoder.module.feature_extractor.register_forward_hook(
        lambda _, inputs, __: sizes.append(inputs[0].shape[1])
    )
    encoder(noise(1, 90_000), layers=[0])
    assert sizes[0] == 80_080  # 250 frames


def test_loading_leaves_the_random_numbers_alone(checkpoint):
    folder = checkpoint()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    MertEncoder.from_pretrained(folder)
    assert torch.equal(torch.rand(3), expected)


def test_importing_does_not_import_transformers():
    code = "import sys, pamt_metric.encoders.mert; sys.exit('transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# What is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feature_extractor_cqt": True}, "feature_extractor_cqt is true"),
        ({"deepnorm": True}, "deepnorm is true"),
        ({"model_type": "wav2vec2"}, "model_type is 'wav2vec2'"),
        ({"conv_stride": [5, 2, 2, 2, 2, 2, 1]}, "a hop of 160"),
        ({"conv_kernel": [10, 3, 3, 3, 3, 3, 3]}, "a span of 640"),
        ({"num_attention_heads": 5}, "a width of 64 and 5 attention heads"),
        ({"conv_dim": [32, 32]}, "no HuBERT module has front ends of several lengths"),
        ({"num_conv_pos_embedding_groups": 7}, "no HuBERT module can be built"),
        ({"hidden_act": "selu"}, "hidden_act must be gelu, got 'selu'"),
        ({"feat_extract_norm": "batch"}, "feat_extract_norm must be group or layer"),
    ],
)
def test_unsupported_configs_are_refused(checkpoint, changes, message):
    folder = checkpoint()
    edit_json(folder / "config.json", **changes)
    values = json.loads((folder / "config.json").read_text())
    with pytest.raises(ConfigError, match=message):
        MertEncoder(values, normalize=True)
    with pytest.raises(CheckpointError, match=message) as caught:
        MertEncoder.from_pretrained(folder)
    assert str(folder / "config.json") in str(caught.value)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda s: s.pop("encoder.layer_norm.bias"), r"lacks encoder\.layer_norm\.bias"),
        (lambda s: s.pop("masked_spec_embed"), "lacks masked_spec_embed"),
        (lambda s: s.pop("encoder.pos_conv_embed.conv.weight_g"), "lacks encoder.pos_conv_embed"),
        (lambda s: s.update({"head.weight": torch.zeros(2)}), r"unexpected head\.weight"),
        (lambda s: s.update({"encoder.layer_norm.bias": torch.zeros(9)}), r"bias \(9,\) for \(64,"),
        (
            lambda s: s.update({"encoder.layer_norm.bias": torch.zeros(64, dtype=torch.int64)}),
            r"floats in encoder\.layer_norm\.bias \(torch\.int64\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(checkpoint, edit, message):
    folder = checkpoint()
    edit_weights(folder, edit)
    with pytest.raises(CheckpointError, match=message) as caught:
        MertEncoder.from_pretrained(folder)
    assert str(folder / "pytorch_model.bin") in str(caught.value)


def test_many_wrong_keys_are_counted(checkpoint):
    folder = checkpoint()
    edit_json(folder / "config.json", num_hidden_layers=2)
    with pytest.raises(CheckpointError, match=r"unexpected .* and 12 more"):
        MertEncoder.from_pretrained(folder)


class Malicious:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_a_pickle_with_code_is_refused_and_not_run(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = checkpoint()
    edit_weights(folder, lambda state: state.update(code=Malicious()))
    with pytest.raises(CheckpointError, match=r"pytorch_model.bin .*more than tensors"):
        MertEncoder.from_pretrained(folder)
    assert not Path("ran").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_damaged_weights_are_refused(checkpoint, name):
    folder = checkpoint()
    (folder / name).write_bytes((folder / "pytorch_model.bin").read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=f"{name} is damaged"):
        MertEncoder.from_pretrained(folder)


def test_a_pickle_of_something_else_is_refused(checkpoint):
    folder = checkpoint()
    torch.save([torch.zeros(2)], folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="holds a list, expected named tensors"):
        MertEncoder.from_pretrained(folder)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize("text", ["{", "[]"])
def test_damaged_configs_are_refused(checkpoint, name, text):
    folder = checkpoint()
    (folder / name).write_text(text)
    with pytest.raises(CheckpointError, match=rf"/{name} (is not readable JSON|holds a list)"):
        MertEncoder.from_pretrained(folder)


def test_sample_rates_that_differ_are_refused(checkpoint):
    folder = checkpoint()
    edit_json(folder / "preprocessor_config.json", sampling_rate=16_000)
    with pytest.raises(CheckpointError, match="24000 and 16000 Hz"):
        MertEncoder.from_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", "config.json is missing"),
        ("pytorch_model.bin", "neither model.safetensors nor pytorch_model.bin"),
    ],
)
def test_missing_files_are_named(checkpoint, name, message):
    folder = checkpoint()
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=message):
        MertEncoder.from_pretrained(folder)


@pytest.mark.parametrize("name", ["nowhere", "./no/where", "/no/where", Path("no/where"), "a/b/c"])
def test_a_missing_folder_is_no_hub_id(name):
    with pytest.raises(CheckpointError, match=r"no folder .*or a Hub id"):
        MertEncoder.from_pretrained(name)


def test_a_folder_has_no_revision(checkpoint):
    with pytest.raises(CheckpointError, match="no revision"):
        MertEncoder.from_pretrained(checkpoint(), revision="main")


# The Hub, without the network; with a Hub on this machine: tests/test_hub.py


@pytest.fixture
def hub_files(monkeypatch, checkpoint, tmp_path):
    """A Hub with one repository, under any name and at any revision."""
    calls = []

    def fetch(hub_id, wanted, *, revision):
        calls.append((hub_id, revision))
        commit = revision or hub.pinned_revision(hub_id) or "0123abcd"
        return hub.Snapshot(checkpoint().rename(tmp_path / commit), commit)

    monkeypatch.setattr(hub, "fetch", fetch)
    return calls


def test_a_hub_id_is_downloaded(hub_files):
    encoder = MertEncoder.from_pretrained("someone/tiny")
    assert hub_files == [("someone/tiny", None)]
    assert (encoder.source.name, encoder.source.revision) == ("someone/tiny", "0123abcd")


def test_a_given_revision_is_used(hub_files):
    encoder = MertEncoder.from_pretrained("m-a-p/MERT-v1-95M", revision="7d1bb4c6")
    assert hub_files == [("m-a-p/MERT-v1-95M", "7d1bb4c6")]
    assert encoder.source.revision == "7d1bb4c6"


def test_the_hash_of_a_pinned_revision_is_checked(hub_files):
    with pytest.raises(CheckpointError, match=r"sha256 a7e040df.*expected a2b8b747.*damaged"):
        MertEncoder.from_pretrained("m-a-p/MERT-v1-95M")
