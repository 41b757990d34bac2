"""Ablations: each variant changes what its name says, and nothing else."""

from dataclasses import asdict

import pytest
import torch

from pamt_metric.errors import ConfigError
from pamt_metric.evidence import ALIGNED, EVIDENCE, POOLED
from tests.support import signals
from training import ablations
from training.data.alignment_set import AlignmentSet, Study
from training.data.features import clip_features, pair_features
from training.head_config import HeadConfig, JointConfig
from training.head_model import make_metric
from training.head_stages import Inputs
from training.processes import make_accelerator

CONFIG = JointConfig(n_steps=1, head=HeadConfig(width=16, n_blocks=1, n_heads=2, dim=8))


def difference(variant):
    """Fields of the configuration that a variant changes, with their new values."""
    before, after = asdict(CONFIG), asdict(ablations.changed(CONFIG, variant))
    for part in ("head", "loss"):
        for settings in (before, after):
            settings |= {f"{part}.{name}": value for name, value in settings.pop(part).items()}
    return {name: value for name, value in after.items() if before[name] != value}


def test_variants_change_what_they_are_named_for():
    assert difference(ablations.FULL) == {}
    assert difference("untrained") == {"n_steps": 0}
    assert difference("no conditioning") == {"head.groups": ()}
    assert difference("no contrast") == {"loss.contrast": 0.0}
    assert set(difference("no alignment")) == {
        "loss.rating",
        "loss.order",
        "loss.content_margin",
        "loss.jnd",
        "loss.consistency",
        "loss.just_heard",
        "loss.same_content",
    }
    assert set(EVIDENCE) - set(difference("no encoder")["evidence"]) == {"sequence", "own"}
    assert difference("no ear") == {"evidence": ("sequence", "own"), "head.groups": ()}
    assert difference("pooled only") == {"evidence": POOLED}
    assert difference("sequence only") == {"evidence": ALIGNED}
    assert difference("layer 1") == {"head.encoder_layers": (1,)}
    assert difference(ablations.RANDOM_ENCODER) == {}


def test_an_unknown_variant_is_named():
    with pytest.raises(ConfigError, match="no brain"):
        ablations.changed(CONFIG, "no brain")


@pytest.fixture(scope="module")
def study(tiny_metric):
    """Three clips with all of the tiny encoder's hidden states."""
    metric = make_metric(CONFIG, tiny_metric.encoder)
    clips = [w[None] for w in (signals.tone(0.25), signals.noise(0.25), signals.clicks(0.25))]
    first, second = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2])
    pairs = pair_features(clip_features(metric, clips), first, second)
    return Study("made up", "a", "a", "", pairs, torch.tensor([3.0, 1.0, 2.0]))


def test_one_layer_is_taken_out_of_the_features_of_all(tiny_metric, study):
    config = ablations.changed(CONFIG, "layer 1")
    inputs = Inputs(config, tiny_metric.encoder, AlignmentSet([study], []), make_accelerator("no"))
    material, (held_out,) = ablations.of_layers(inputs, [study])
    expected = study.pairs.clips.states[:, 1:2]
    assert torch.equal(material.studies[0].pairs.clips.states, expected)
    assert torch.equal(held_out.pairs.clips.states, expected)
    head = make_metric(config, tiny_metric.encoder).head
    assert head(expected.float(), study.pairs.clips.tokens).sequence.isfinite().all()


def test_where_the_release_reads_one_layer_a_variant_may_read_another(tiny_metric, study):
    release = ablations.changed(CONFIG, "layer 0")
    for variant, layers in (("layer 1", [1]), (ablations.FULL, [0]), ("all layers", None)):
        inputs = Inputs(
            ablations.changed(release, variant),
            tiny_metric.encoder,
            AlignmentSet([study], [], [study]),
            make_accelerator("no"),
        )
        material, _ = ablations.of_layers(inputs, [study])
        states = study.pairs.clips.states
        expected = states if layers is None else states[:, layers]
        for part in (material.studies, material.just_heard):
            assert torch.equal(part[0].pairs.clips.states, expected)


def test_without_layers_of_its_own_a_variant_keeps_the_features(tiny_metric, study):
    inputs = Inputs(CONFIG, tiny_metric.encoder, AlignmentSet([study], []), make_accelerator("no"))
    material, studies = ablations.of_layers(inputs, [study])
    assert material is inputs.material
    assert studies == [study]


def test_a_random_encoder_has_the_layout_and_weights_by_its_seed(tiny_metric):
    one, again, other = (
        ablations.random_encoder(tiny_metric.encoder, seed=seed).state_dict() for seed in (7, 7, 8)
    )
    trained = tiny_metric.encoder.state_dict()
    assert {n: w.shape for n, w in one.items()} == {n: w.shape for n, w in trained.items()}
    assert all(torch.equal(one[name], again[name]) for name in one)
    (projection,) = (name for name in one if name.endswith("feature_projection.projection.weight"))
    assert not torch.equal(one[projection], other[projection])
    assert not torch.equal(one[projection], trained[projection])
