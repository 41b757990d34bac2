"""The encoder: agreement with MERT's own code, lengths, layers, normalisation, gradients."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pamt_metric.encoders import windows
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.encoders.normalization import prepare
from pamt_metric.errors import InputError
from tests.support.mert_checkpoints import (
    GOLDEN,
    MODELS,
    SMALL_CONFIG,
    assemble,
    difference,
    edit_json,
    noise,
    relative_difference,
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


def normalize_clip(clip):
    return prepare([clip], dtype=clip.dtype)(clip)


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
