import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pamt_metric import hub
from pamt_metric.encoders import mert_files, windows
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.encoders.normalization import prepare
from pamt_metric.errors import CheckpointError, ConfigError, InputError
from tests.support.mert_checkpoints import (
    GOLDEN,
    MODELS,
    assemble,
    edit_json,
    edit_weights,
    legacy_names,
    stock_of,
)

N_STATES = 4
# From tests/golden/make_mert_golden.py: every eighth frame was kept, and zeros follow the second
# waveform up to the length of its batch.
FRAME_STEP = 8
PADDED_SAMPLES = 72_000
# The reference ran another transformers, torch and thread count: measured up to 9e-6, on values
# up to 6.
GOLDEN_TOLERANCE = 2e-5
# Of the largest value. The same sums in another order: torch picks another convolution routine for
# a lone short clip than for a batch; measured up to 6e-7, and 0 for windows of 5 s.
SAME_TOLERANCE = 1e-6
# The same of transformers' module, whose sums are in another order throughout.
STOCK_TOLERANCE = 5e-6
WINDOW = 120_000

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


def normalize_clip(clip):
    return prepare([clip], dtype=clip.dtype)(clip)


def noise(*shape, seed=0, level=0.1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * level


def difference(a, b):
    return float((a - b).detach().abs().max())


def relative_difference(a, b):
    return difference(a, b) / float(b.detach().abs().max())


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


# The window grid


@pytest.mark.parametrize(
    ("n_samples", "expected"),
    [(400, 1), (719, 1), (720, 2), (24_000, 74), (WINDOW, 374), (720_000, 2249)],
)
def test_n_frames(n_samples, expected):
    assert windows.n_frames(n_samples) == expected
    assert MertEncoder.n_frames(n_samples) == expected


def test_a_clip_of_one_window_or_less_goes_in_whole():
    for n_samples in (400, 50_001, WINDOW):
        assert windows.window_grid(n_samples, window_samples=WINDOW) == [
            windows.Window(0, n_samples, 0, windows.n_frames(n_samples))
        ]


def test_the_last_window_ends_with_the_last_full_frame():
    grid = windows.window_grid(260_000, window_samples=WINDOW)
    # 812 frames: 2 x 374, and 64 from a window that starts at frame 812 - 374 = 438.
    assert grid == [(0, WINDOW, 0, 374), (119_680, WINDOW, 0, 374), (140_160, 119_840, 310, 64)]


@pytest.mark.parametrize(
    "n_samples",
    # One sample or frame around one and two windows, and lengths of no special kind.
    [120_001, 120_080, 120_081, 120_320, 239_439, 239_440, 239_679, 240_000, 299_999, 1_000_003],
)
def test_kept_frames_join_without_gap_or_overlap(n_samples):
    grid = windows.window_grid(n_samples, window_samples=WINDOW)
    frames = []
    for start, length, skip, n_kept in grid:
        assert start % windows.HOP_LENGTH == 0
        assert 119_760 <= length <= WINDOW
        assert start + length <= n_samples
        assert windows.n_frames(length) == 374
        first = start // windows.HOP_LENGTH
        frames += range(first + skip, first + skip + n_kept)
    assert frames == list(range(windows.n_frames(n_samples)))


def test_only_equal_lengths_are_grouped():
    groups = windows.group_equal([5, 7, 5, 5, 7], at_most=2)
    assert groups == [[0, 2], [3], [1, 4]]


# Agreement with MERT's own code


@pytest.fixture
def golden():
    return load_file(GOLDEN / "golden.safetensors")


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("model", MODELS)
def test_hidden_states_are_those_of_the_reference(model, attention, checkpoint, golden):
    encoder = MertEncoder.from_pretrained(
        checkpoint(model), normalize=False, attn_implementation=attention
    )
    padded = golden["padded.waveform"]
    padded = nn.functional.pad(padded, (0, PADDED_SAMPLES - padded.shape[1]))
    for case, waveform in (("single", golden["single.waveform"]), ("padded_unmasked", padded)):
        states = encoder(waveform)[:, :, ::FRAME_STEP]
        for layer in range(N_STATES):
            expected = golden[f"{model}.{case}.{layer}"]
            assert difference(states[:, layer], expected) <= GOLDEN_TOLERANCE, (case, layer)


def stock_states(encoder, waveform, mask):
    """Hidden states of the stock module; its own last entry may lack the final layer norm."""
    stock = stock_of(encoder, attention=encoder.attn_implementation)
    output = stock(waveform, attention_mask=mask, output_hidden_states=True)
    return (*output.hidden_states[:-1], output.last_hidden_state)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("model", MODELS)
def test_a_masked_batch_is_that_of_the_reference(model, attention, checkpoint, golden):
    encoder = MertEncoder.from_pretrained(checkpoint(model), attn_implementation=attention)
    audio = golden["padded.waveform"]
    padding = (0, PADDED_SAMPLES - audio.shape[1])
    mask = nn.functional.pad(torch.ones_like(audio, dtype=torch.long), padding)
    states = stock_states(encoder, nn.functional.pad(audio, padding), mask)
    for layer in range(N_STATES):
        expected = golden[f"{model}.padded_masked.{layer}"]
        assert difference(states[layer][:, ::FRAME_STEP], expected) <= GOLDEN_TOLERANCE, layer


@pytest.mark.skipif(
    "PAMT_MERT_FIXTURES" not in os.environ, reason="PAMT_MERT_FIXTURES names no full fixtures"
)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("model", MODELS)
def test_full_fixtures(model, attention):
    folder = Path(os.environ["PAMT_MERT_FIXTURES"]) / model
    full = load_file(folder / "golden.safetensors")
    encoder = MertEncoder.from_pretrained(folder, normalize=False, attn_implementation=attention)
    masked = stock_states(encoder, full["batch.waveform"], full["batch.attention_mask"])
    found = {
        "single": encoder(full["single.waveform"]).unbind(1),
        "batch_unmasked": encoder(full["batch.waveform"]).unbind(1),
        "batch_masked": masked,
    }
    for case, states in found.items():
        for layer in range(N_STATES):
            expected = full[f"{case}.hidden_states.{layer}"]
            assert difference(states[layer], expected) <= GOLDEN_TOLERANCE, (case, layer)


# Layers


@pytest.mark.parametrize("model", MODELS)
def test_chosen_layers_are_those_of_all(model, checkpoint):
    encoder = MertEncoder.from_pretrained(checkpoint(model))
    waveform = noise(1, 8000)
    states = encoder(waveform)
    assert states.shape == (1, N_STATES, 24, 64)
    for layers in ([0], [3], [2, 0], [-1, 1], [-4]):
        assert torch.equal(encoder(waveform, layers=layers), states[:, layers]), layers


def test_layers_above_the_highest_asked_are_not_run(tiny):
    ran = []
    for index, layer in enumerate(tiny.module.encoder.layers, start=1):
        layer.register_forward_hook(lambda *_, index=index: ran.append(index))
    tiny(noise(1, 4000), layers=[2, 1])
    assert ran == [1, 2]
    ran.clear()
    tiny(noise(1, 4000), layers=[0])
    assert ran == []


@pytest.mark.parametrize("layers", [[], [4], [0, -5]])
def test_unknown_layers_are_refused(tiny, layers):
    with pytest.raises(InputError, match="0 to 3"):
        tiny(noise(1, 4000), layers=layers)


# Clips, windows and batches


def test_a_long_clip_is_its_windows_joined(checkpoint):
    encoder = MertEncoder.from_pretrained(checkpoint(), normalize=False)
    clip = noise(1, 260_000)
    states = encoder(clip)
    assert states.shape[2] == windows.n_frames(260_000) == 812
    # Windows of 375 frames, 120 080 samples; the last starts at frame 812 - 375 = 437.
    parts = [
        encoder(clip[:, :120_080]),
        encoder(clip[:, 120_000:240_080]),
        encoder(clip[:, 139_840:259_920])[:, :, 313:],
    ]
    assert relative_difference(states, torch.cat(parts, dim=2)) <= SAME_TOLERANCE


@pytest.mark.parametrize("model", MODELS)
def test_a_clip_is_the_same_alone_and_in_a_padded_batch(model, checkpoint):
    encoder = MertEncoder.from_pretrained(checkpoint(model))
    lengths = [300_000, 120_321, 24_000, 400, 24_000]
    waveform = noise(5, 300_000, level=0.3)
    for item, length in enumerate(lengths):
        waveform[item, length:] = torch.nan  # must never be read
    batch = encoder(waveform, lengths=torch.tensor(lengths))
    assert batch.shape[2] == windows.n_frames(300_000)
    for item, length in enumerate(lengths):
        alone = encoder(waveform[item : item + 1, :length])[0]
        n_frames = windows.n_frames(length)
        assert alone.shape[1] == n_frames
        assert relative_difference(batch[item, :, :n_frames], alone) <= SAME_TOLERANCE
        assert torch.all(batch[item, :, n_frames:] == 0)


def test_equal_lengths_share_a_forward_pass(tiny):
    batches = []
    tiny.module.feature_extractor.register_forward_hook(
        lambda _, inputs, __: batches.append(tuple(inputs[0].shape))
    )
    tiny(noise(11, 4000), lengths=[4000] * 9 + [3000, 4000], layers=[0])
    assert batches == [(8, 4000), (2, 4000), (1, 3000)]


def test_lengths_may_be_a_list_or_a_tensor(tiny):
    waveform = noise(2, 4000)
    assert torch.equal(tiny(waveform, [4000, 2000]), tiny(waveform, torch.tensor([4000, 2000])))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([4000, 4001], "at most 4000"),
        ([4000], "must be 2 numbers"),
        ([4000, 399], "at least 400"),
        ([4000, -1], "at least 400"),
    ],
)
def test_impossible_lengths_are_refused(tiny, lengths, message):
    with pytest.raises(InputError, match=message):
        tiny(noise(2, 4000), lengths)


def test_an_empty_batch_is_refused(tiny):
    with pytest.raises(InputError, match="no clips"):
        tiny(torch.zeros(0, 4000))


def test_a_clip_without_a_whole_frame_is_refused(tiny):
    with pytest.raises(InputError, match="is time the last axis"):
        tiny(noise(1, 399))


# Normalisation


def test_normalisation_is_that_of_the_feature_extractor(tiny):
    from transformers import Wav2Vec2FeatureExtractor

    clip = noise(3000, level=0.02) + 0.1
    expected = Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm([clip.numpy()], None)[0]
    # Sums of 3000 float32 values in another order, on values up to 4.
    np.testing.assert_allclose(normalize_clip(clip).numpy(), expected, rtol=0, atol=5e-6)
    assert tiny.normalize
    tiny.normalize = False
    normalized = tiny(torch.from_numpy(expected)[None])
    tiny.normalize = True
    assert difference(tiny(clip[None]), normalized) < 5e-5  # the above, through the layers
    assert difference(tiny(clip[None]), tiny(clip[None] * 0.01)) < 5e-3  # the epsilon remains


def test_normalisation_takes_the_whole_clip_not_each_window(tiny):
    clip = noise(1, 240_000)
    clip[:, 150_000:] *= 0.01
    states = tiny(clip)
    tiny.normalize = False
    assert relative_difference(states, tiny(normalize_clip(clip[0])[None])) <= SAME_TOLERANCE


@pytest.mark.parametrize(
    ("preprocessor", "argument", "expected"),
    [
        ({"do_normalize": True}, None, True),
        ({"do_normalize": False}, None, False),
        ({"do_normalize": False}, True, True),
        ({"do_normalize": True}, False, False),
        ({"do_normalize": None}, None, True),
        (None, None, True),
    ],
)
def test_whether_to_normalise(checkpoint, preprocessor, argument, expected):
    folder = checkpoint()
    if preprocessor is None:
        (folder / "preprocessor_config.json").unlink()
    else:
        edit_json(folder / "preprocessor_config.json", **preprocessor)
    assert MertEncoder.from_pretrained(folder, normalize=argument).normalize is expected


# Gradients, and what is frozen


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("waveform", [torch.zeros(1, 8000), noise(1, 8000)], ids=["zeros", "noise"])
def test_the_gradient_reaches_the_waveform_and_is_finite(checkpoint, waveform, normalize):
    encoder = MertEncoder.from_pretrained(checkpoint(), normalize=normalize)
    waveform = waveform.clone().requires_grad_()
    states = encoder(waveform)
    assert torch.isfinite(states).all()
    (states * noise(*states.shape)).sum().backward()
    assert torch.isfinite(waveform.grad).all()
    # The layer norm of a constant feature has no slope: only noise must give a gradient.
    assert waveform.grad.any() or not waveform.any()


def test_the_gradient_is_the_slope(small):
    small.double()
    clip = noise(1, 1200).double().requires_grad_()
    weights = noise(1, 3, 3, 32, seed=1).double()
    (small(clip) * weights).sum().backward()
    step = noise(1, 1200, seed=2, level=1e-5).double()
    with torch.no_grad():
        rise = ((small(clip + step) - small(clip - step)) * weights).sum() / 2
    # Central differences with steps of 1e-5: the error is of their square.
    torch.testing.assert_close(rise, (clip.grad * step).sum(), rtol=1e-4, atol=0.0)


def assert_frozen(encoder):
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_frozen_means_frozen(tiny, small):
    assert_frozen(tiny)
    assert_frozen(small)
    nn.Sequential(tiny).train()
    assert_frozen(tiny)
    assert tiny.train() is tiny
    state = {key: nn.Parameter(value.clone()) for key, value in small.state_dict().items()}
    small.load_state_dict(state, assign=True)
    assert_frozen(small)


# Building, saving, loading


def test_attributes(tiny, small):
    assert (tiny.width, tiny.n_layers, tiny.sample_rate, tiny.frame_rate) == (64, 3, 24_000, 75.0)
    assert (tiny.hop_length, tiny.min_samples) == (320, 400)
    assert tiny.source.name == "mert-95m-tiny"
    assert tiny.source.revision is None
    assert tiny.source.sha256.startswith("a7e040df14ed7ee2")  # sha256sum of the file
    assert small.source is None
    assert json.loads(json.dumps(tiny.config)) == tiny.config


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
