"""Every known trap of MERT checkpoints: each test names one, and what the loader does about it."""

import json
import subprocess
import sys
import threading

import pytest
import torch
from torch.nn import functional

from pamt_metric.encoders import mert_files
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.errors import CheckpointError, ConfigError
from pamt_metric.head import SequenceHead
from pamt_metric.metric import Metric
from tests.conftest import TINY_ENCODER, TINY_HEAD
from tests.support import mert_checkpoints
from tests.support.mert_checkpoints import edit_json, edit_weights


def noise(*shape, seed=0, level=0.1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * level


def relative_difference(a, b):
    return float((a - b).norm() / b.norm())


@pytest.fixture(params=mert_checkpoints.MODELS)
def folder(request, tmp_path):
    return mert_checkpoints.assemble(tmp_path / request.param, request.param)


@pytest.fixture
def tiny_95m(tmp_path):
    return mert_checkpoints.assemble(tmp_path / "tiny")


def test_the_top_layer_has_the_final_norm_in_every_version(folder):
    # transformers 5.16.1 and later: `hidden_states[-1]` of a 330M lacks it, `last_hidden_state`
    # has it.
    encoder = MertEncoder.from_pretrained(folder, normalize=False)
    clip = noise(1, 8000)
    stock = mert_checkpoints.stock_of(encoder)
    # The same sums in another order, on values up to 6.
    torch.testing.assert_close(
        encoder(clip, layers=[-1])[:, 0], stock(clip).last_hidden_state, rtol=0, atol=1e-5
    )


def test_zeros_at_the_end_would_change_a_clip_and_never_enter(folder):
    encoder = MertEncoder.from_pretrained(folder)
    audio = noise(1, 24_000, level=0.3)
    padded = functional.pad(audio, (0, 96_000))
    alone = encoder(audio, layers=[-1])
    n_frame = alone.shape[2]
    as_audio = encoder(padded, layers=[-1])[:, :, :n_frame]
    as_padding = encoder(padded, [24_000], layers=[-1])[:, :, :n_frame]
    assert relative_difference(as_audio, alone) > 0.05  # the trap is there
    assert torch.equal(as_padding, alone)


def test_normalising_makes_the_level_irrelevant_and_nothing_else_does(folder):
    # At a level where the epsilons of the norms inside still count.
    clip = noise(1, 24_000, level=0.01)
    normalizing = MertEncoder.from_pretrained(folder, normalize=True)
    plain = MertEncoder.from_pretrained(folder, normalize=False)
    drift = {
        encoder.normalize: relative_difference(encoder(clip / 10), encoder(clip))
        for encoder in (normalizing, plain)
    }
    # The epsilon of the normalisation itself: 1e-7 beside a variance of 1e-6.
    assert drift[True] < 0.01 < drift[False], drift


def test_only_valid_samples_are_normalised(folder):
    encoder = MertEncoder.from_pretrained(folder, normalize=True)
    clips = noise(2, 24_000, level=0.01)
    clips[1, 12_000:] = 100.0
    batch = encoder(clips, [24_000, 12_000], layers=[-1])
    alone = encoder(clips[1:, :12_000], layers=[-1])
    assert relative_difference(batch[1:, :, : alone.shape[2]], alone) < 1e-5  # sums reordered


def test_loading_a_folder_starts_no_thread(folder, monkeypatch):
    # transformers' own loader asks a conversion service for safetensors, in the background.
    def refuse(self):
        raise AssertionError(f"started {self.name}")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert MertEncoder.from_pretrained(folder).source.sha256


def test_transformers_is_not_needed(folder):
    # It takes seconds to import; its loader refuses a .bin on some versions of torch, and would
    # follow `auto_map`.
    code = (
        "import sys, torch; sys.modules['transformers'] = None\n"
        "from pamt_metric.encoders.mert import MertEncoder\n"
        "assert MertEncoder.from_pretrained(sys.argv[1])(torch.zeros(1, 4000)).shape[1] == 4"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)


def test_code_beside_the_weights_is_neither_needed_nor_run(tiny_95m, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert json.loads((tiny_95m / "config.json").read_text())["auto_map"]
    before = MertEncoder.from_pretrained(tiny_95m)(noise(1, 4000))
    for name in ("configuration_MERT.py", "modeling_MERT.py"):
        (tiny_95m / name).write_text("from pathlib import Path\nPath('ran').touch()\n")
    assert torch.equal(MertEncoder.from_pretrained(tiny_95m)(noise(1, 4000)), before)
    assert not (tmp_path / "ran").exists()


def test_torch_loads_with_weights_only(tiny_95m, monkeypatch):
    asked = []
    load = torch.load

    def spy(*args, **kwargs):
        asked.append(kwargs.get("weights_only"))
        return load(*args, **kwargs)

    monkeypatch.setattr(torch, "load", spy)
    MertEncoder.from_pretrained(tiny_95m)
    assert asked == [True]


def test_attention_relax_has_no_effect(tiny_95m):
    before = MertEncoder.from_pretrained(tiny_95m)(noise(1, 4000))
    edit_json(tiny_95m / "config.json", attention_relax=32)
    assert torch.equal(MertEncoder.from_pretrained(tiny_95m)(noise(1, 4000)), before)


@pytest.mark.parametrize("key", ["attention_relax", "deepnorm", "feature_extractor_cqt"])
def test_keys_that_some_configs_lack_are_not_needed(tiny_95m, key):
    before = MertEncoder.from_pretrained(tiny_95m)(noise(1, 4000))
    edit_json(tiny_95m / "config.json", **{key: None})
    assert torch.equal(MertEncoder.from_pretrained(tiny_95m)(noise(1, 4000)), before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layout", ["legacy", "parametrizations"])
def test_weights_in_half_precision_load_from_both_layouts(tiny_95m, dtype, layout):
    def change(state):
        rounded = {key: value.to(dtype) for key, value in state.items()}
        wanted = MertEncoder.from_pretrained(tiny_95m).module.state_dict()
        new = mert_files.match_keys(rounded, wanted=wanted)
        state.clear()
        state.update(rounded if layout == "legacy" else new)

    full = MertEncoder.from_pretrained(tiny_95m).to(dtype).float()
    edit_weights(tiny_95m, change)
    loaded = MertEncoder.from_pretrained(tiny_95m)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert torch.equal(loaded(noise(1, 4000)), full(noise(1, 4000)))


@pytest.mark.parametrize(
    ("name", "rate", "normalize"),
    [("MERT-v0-public", 16_000, False), ("MERT-v0", 16_000, False), ("MERT-v1-95M", 24_000, True)],
)
def test_what_the_files_leave_open_is_the_models_own_default(tmp_path, name, rate, normalize):
    folder = mert_checkpoints.assemble(tmp_path / name)
    edit_json(folder / "config.json", sample_rate=None)
    (folder / "preprocessor_config.json").unlink()
    encoder = MertEncoder.from_pretrained(folder)
    assert (encoder.sample_rate, encoder.normalize) == (rate, normalize)
    assert MertEncoder.from_pretrained(folder, normalize=not normalize).normalize is not normalize


@pytest.mark.parametrize("value", ["false", 0, None])
def test_do_normalize_that_is_no_truth_value_is_refused(tiny_95m, value):
    path = tiny_95m / "preprocessor_config.json"
    path.write_text(json.dumps({"do_normalize": value}))
    with pytest.raises(CheckpointError, match=r"preprocessor_config.json: do_normalize is"):
        MertEncoder.from_pretrained(tiny_95m)


@pytest.mark.parametrize("value", ["24000", 24000.5, 0, None])
def test_a_sample_rate_that_is_none_is_refused(value):
    with pytest.raises(ConfigError, match="sample_rate must be a whole number of Hz"):
        MertEncoder(TINY_ENCODER | {"sample_rate": value}, normalize=False)


def test_an_encoder_off_the_ears_frames_is_refused_for_a_metric(tiny_metric):
    # MERT v0: 16 kHz, 50 frames a second; the ear has 75.
    encoder = MertEncoder(TINY_ENCODER | {"sample_rate": 16_000}, normalize=False)
    with pytest.raises(ConfigError, match="50 frames/s at 16000 Hz, the ear 75"):
        Metric(encoder, SequenceHead(**TINY_HEAD))
