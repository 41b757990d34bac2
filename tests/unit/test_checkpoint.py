"""A metric as two files: what comes back, and what is refused."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pamt_metric import checkpoint, hub
from pamt_metric.errors import CheckpointError
from tests.support import signals

RATE = signals.SAMPLE_RATE


@pytest.fixture
def pair():
    tone = signals.tone(0.3)
    return tone, signals.with_noise(tone, 20.0)


@pytest.fixture
def save(tiny_metric, tiny_head_config, tmp_path):
    """Writes `tiny_metric` into a folder and returns it."""

    def write(**changes):
        arguments = {
            "name": "tiny",
            "version": "7",
            "head_config": tiny_head_config,
            "card": {"licence": "none"},
            "dtype": torch.float32,
        }
        checkpoint.save(tiny_metric, tmp_path / "model", **(arguments | changes))
        return tmp_path / "model"

    return write


def edit_config(folder, **changes):
    path = folder / checkpoint.CONFIG_FILE
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(config))


def edit_weights(folder, edit):
    """Change the tensors, and the hash with them."""
    path = folder / checkpoint.WEIGHTS_FILE
    state = load_file(path)
    edit(state)
    save_file(state, path)
    edit_config(folder, weights={"sha256": hub.sha256_of(path)})


class TestRoundTrip:
    def test_single_precision_gives_the_same_numbers(self, tiny_metric, save, pair):
        loaded = checkpoint.load(save())
        expected = tiny_metric.distance(*pair, sample_rate=RATE)
        assert loaded.distance(*pair, sample_rate=RATE) == expected
        state = loaded.state_dict()
        assert all(torch.equal(state[k], v) for k, v in tiny_metric.state_dict().items())

    def test_half_precision_gives_nearly_the_same(self, tiny_metric, save, pair):
        loaded = checkpoint.load(save(dtype=torch.float16))
        expected = tiny_metric.distance(*pair, sample_rate=RATE)
        assert loaded.distance(*pair, sample_rate=RATE) == pytest.approx(expected, rel=0.01)
        assert {p.dtype for p in loaded.parameters()} == {torch.float32}

    def test_says_which_model_it_is(self, save):
        folder = save()
        info = checkpoint.load(folder).info
        assert (info.name, info.version) == ("tiny", "7")
        assert info.sha256 == hub.sha256_of(folder / checkpoint.WEIGHTS_FILE)

    def test_encoder_may_live_elsewhere(self, tiny_metric, save, pair, tmp_path):
        tiny_metric.encoder.to_folder(tmp_path / "encoder")
        source = {"hub": str(tmp_path / "encoder"), "revision": None, "normalize": False}
        folder = save(encoder_hub=source)
        stored = load_file(folder / checkpoint.WEIGHTS_FILE)
        assert not any(key.startswith("encoder.") for key in stored)
        expected = tiny_metric.distance(*pair, sample_rate=RATE)
        assert checkpoint.load(folder).distance(*pair, sample_rate=RATE) == expected

    def test_is_frozen_and_in_eval_mode(self, save):
        loaded = checkpoint.load(save())
        assert not any(parameter.requires_grad for parameter in loaded.parameters())
        assert not any(module.training for module in loaded.modules())

    def test_leaves_random_numbers_and_grad_mode_alone(self, save):
        folder = save()
        state = torch.get_rng_state()
        checkpoint.load(folder)
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.is_grad_enabled()


class TestRefusals:
    def test_weights_that_are_not_those_of_the_config(self, save):
        folder = save()
        with (folder / checkpoint.WEIGHTS_FILE).open("ab") as file:
            file.write(b"\0")
        with pytest.raises(CheckpointError, match=r"has sha256 .*damaged or belongs to another"):
            checkpoint.load(folder)

    @pytest.mark.parametrize("name", [checkpoint.CONFIG_FILE, checkpoint.WEIGHTS_FILE])
    def test_missing_file(self, save, name):
        folder = save()
        (folder / name).unlink()
        with pytest.raises(CheckpointError, match=f"{name} is missing"):
            checkpoint.load(folder)

    def test_missing_tensor(self, save):
        folder = save()
        edit_weights(folder, lambda state: state.pop("head.to_pooled.weight"))
        with pytest.raises(CheckpointError, match=r"lacks head\.to_pooled\.weight"):
            checkpoint.load(folder)

    def test_extra_tensor(self, save):
        folder = save()
        edit_weights(folder, lambda state: state.update(surprise=torch.zeros(1)))
        with pytest.raises(CheckpointError, match="unexpected surprise"):
            checkpoint.load(folder)

    def test_tensor_of_another_shape(self, save):
        folder = save()
        edit_weights(folder, lambda state: state.update({"pair.scale": torch.ones(3)}))
        with pytest.raises(CheckpointError, match=r"pair\.scale \(3,\) for \(\)"):
            checkpoint.load(folder)

    def test_another_format(self, save):
        folder = save()
        edit_config(folder, format=2)
        with pytest.raises(CheckpointError, match="format 2, this version reads 1; update"):
            checkpoint.load(folder)

    def test_config_of_an_encoder_alone(self, tiny_metric, tmp_path):
        tiny_metric.encoder.to_folder(tmp_path)
        with pytest.raises(CheckpointError, match="config of an encoder alone"):
            checkpoint.load(tmp_path)

    def test_config_that_is_not_json(self, save):
        folder = save()
        (folder / checkpoint.CONFIG_FILE).write_text("{")
        with pytest.raises(CheckpointError, match="not readable JSON"):
            checkpoint.load(folder)

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param({"head": {"encoder_layers": [0], "depth": 3}}, id="head's arguments"),
            pytest.param({"encoder": {"hub": "folder"}}, id="encoder's source"),
            pytest.param({"encoder": {"bundled": {}}}, id="bundled encoder without normalize"),
            pytest.param({"encoder": None}, id="no encoder"),
        ],
    )
    def test_config_that_builds_nothing(self, save, change):
        folder = save()
        edit_config(folder, **change)
        with pytest.raises(CheckpointError, match="no model can be built from it"):
            checkpoint.load(folder)

    def test_weights_entry_without_a_hash(self, save):
        folder = save()
        edit_config(folder, weights={})
        with pytest.raises(CheckpointError, match="sha256"):
            checkpoint.load(folder)

    def test_a_pickle_is_never_opened(self, save, tmp_path):
        """Neither in place of the weights nor beside them."""
        folder, witness = save(), tmp_path / "witness"
        payload = pickle.dumps(_Malicious(witness))
        (folder / "pytorch_model.bin").write_bytes(payload)
        checkpoint.load(folder)
        (folder / checkpoint.WEIGHTS_FILE).write_bytes(payload)
        sha256 = hub.sha256_of(folder / checkpoint.WEIGHTS_FILE)
        edit_config(folder, weights={"sha256": sha256})
        with pytest.raises(CheckpointError, match="damaged"):
            checkpoint.load(folder)
        assert not witness.exists()
        pickle.loads(payload)  # noqa: S301 (the payload would have worked)
        assert witness.exists()

    @pytest.mark.parametrize("name", ["pamt-nano", "/no/such/folder", "./here", "a/b/c"])
    def test_unknown_name(self, name):
        with pytest.raises(CheckpointError, match=r"no model .*expected a bundled one"):
            checkpoint.load(name)

    def test_hub_id_that_cannot_be_got_offline(self):
        with pytest.raises(CheckpointError, match="cannot get nobody/nothing at revision main"):
            checkpoint.load("nobody/nothing")


class _Malicious:
    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return Path.touch, (self.witness,)
