"""Stages 2 and 3: a run that was stopped ends where one that was not does."""

import copy
from dataclasses import replace

import pandas as pd
import pytest
import torch

from pamt_metric.errors import ConfigError
from pamt_metric.evidence import EVIDENCE
from pamt_metric.psychoacoustics.statistics import LAYOUT
from tests.support import signals
from training import crossval, losses
from training.data.alignment_set import AlignmentSet, Ladder, Study
from training.data.features import clip_features, pair_features
from training.data.ladders import MASKED_NOISE
from training.head_config import OBJECTIVES, HeadConfig, JointConfig, LossConfig
from training.head_model import make_metric
from training.head_stages import Inputs
from training.processes import make_accelerator
from training.trainer import Trainer

N_STEPS = 5
CONFIG = JointConfig(n_steps=N_STEPS, n_warmup_steps=1, ladder_clips_per_step=2, contrast_frames=16)
FITTED = {f"head.{part}_{what}" for part in ("statistics", "state") for what in ("mean", "scale")}
HEAD = HeadConfig(width=16, n_blocks=1, n_heads=2, dim=8)


@pytest.fixture(scope="module")
def material(tiny_metric):
    """A study of three clips and two ladders: four rungs of masked noise, two of noise, a delay."""
    clips = [w[None] for w in (signals.tone(0.25), signals.noise(0.25), signals.clicks(0.25))]
    first, second = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2])
    pairs = pair_features(clip_features(tiny_metric, clips), first, second)
    studies = [Study("made up", "a", "a", "", pairs, torch.tensor([3.0, 1.0, 2.0]))]
    ladders = []
    for seed in (1, 2):
        clip = signals.piece(0.25, seed=seed)
        copies = [signals.with_noise(clip, snr) for snr in (50.0, 45.0, 40.0, 35.0, 20.0, 10.0)]
        copies.append(clip.roll(96))
        features = clip_features(tiny_metric, [w[None] for w in (clip, *copies)])
        index = torch.arange(1, 8)
        made = pair_features(features, torch.zeros_like(index), index)
        families = (MASKED_NOISE,) * 4 + ("noise",) * 2 + ("delayed",)
        ladders.append(Ladder(made, families, (0, 1, 2, 3, 0, 1, 0)))
    return studies, ladders


@pytest.fixture
def make_trainer(tiny_metric, material, tmp_path):
    def make(folder):
        metric = copy.deepcopy(tiny_metric)
        metric.head.requires_grad_(True)
        metric.pair.requires_grad_(True)
        studies, ladders = material
        just_heard = [replace(studies[0], dataset="just heard")]
        found = AlignmentSet(studies, ladders, just_heard)
        return Trainer(CONFIG, metric, found, tmp_path / folder)

    return make


def weights(trainer):
    parts = {"head": trainer.model.head, "pair": trainer.model.pair}
    state = {f"{k}.{n}": v for k, part in parts.items() for n, v in part.state_dict().items()}
    return state | {"log_scale": trainer.model.log_scale.detach()}


# At step 1 the warm-up has not ended yet; at step 3 the cosine has begun.
@pytest.mark.parametrize("stop", [1, 3])
def test_resuming_gives_the_weights_of_an_uninterrupted_run(make_trainer, stop):
    whole = make_trainer("whole")
    for _ in range(N_STEPS):
        whole.train_step()
    killed = make_trainer("killed")
    for _ in range(stop):
        killed.train_step()
    killed.save()
    killed.train_step()  # lost
    resumed = make_trainer("killed")
    resumed.resume()
    assert resumed.step == stop
    for _ in range(N_STEPS - stop):
        resumed.train_step()
    expected, found = weights(whole), weights(resumed)
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_a_step_changes_every_trained_part_and_no_frozen_one(make_trainer):
    trainer = make_trainer("run")
    before = {key: value.clone() for key, value in weights(trainer).items()}
    for _ in range(2):  # the conditioning's first layer moves once its last one is not 0
        values = trainer.train_step()
    assert set(values) == {
        "rating",
        "rating_head",
        "penalty",
        "order",
        "content_margin",
        "jnd",
        "consistency",
        "just_heard",
        "same_content",
        "contrast",
        "gradient_norm",
        "total",
    }
    after = weights(trainer)
    same = {key for key, value in before.items() if torch.equal(after[key], value)}
    assert same <= {*FITTED, "pair.scale"} | {
        key
        for key in same
        if key.endswith("pool_score.bias")  # softmax does not see it
    }


def test_just_heard_changes_become_equally_far(tiny_metric, material, tmp_path):
    """Of three pairs of a 'listening experiment', whose distances differ, by that objective."""
    studies, ladders = material
    heard = replace(studies[0], dataset="just heard")
    only = LossConfig(**dict.fromkeys(OBJECTIVES, 0.0) | {"just_heard": 1.0})
    config = replace(CONFIG, n_steps=60, n_warmup_steps=1, loss=only)
    metric = copy.deepcopy(tiny_metric)
    metric.pair.requires_grad_(True)
    trainer = Trainer(config, metric, AlignmentSet(studies, ladders, [heard]), tmp_path / "run")
    spread = [trainer.train_step()["just_heard"] for _ in range(config.n_steps)]
    assert spread[-1] < 0.8 * spread[0]
    with torch.no_grad():
        distance = (trainer.model.distances(heard.pairs) + losses.TINY).log()
    assert spread[-1] == pytest.approx((distance - distance.mean()).abs().mean().item(), rel=0.1)


def test_reports(make_trainer, material):
    trainer = make_trainer("run")
    summary = trainer.summary()
    assert set(summary) == {"made up", "orderings"}
    assert 0.0 <= summary["orderings"] <= 1.0
    (agreement,) = trainer.model.agreement(material[0])
    assert summary["made up"] == pytest.approx(agreement)
    assert -1.0 <= agreement <= 1.0


def test_folds_divide_no_group_and_leave_every_study_out_once(material):
    names = [("timbre", f"g{i // 2}", f"s{i}") for i in range(16)]
    names += [("voice", f"v{i}", f"t{i}") for i in range(4)]
    pairs, human = material[0][0].pairs, material[0][0].human
    studies = [Study(dataset, name, group, "", pairs, human) for dataset, group, name in names]
    found = crossval.folds(studies)
    assert len(found) == crossval.N_FOLDS
    assert sorted(study.name for fold in found for study in fold) == sorted(n for *_, n in names)
    homes = {(s.dataset, s.group, number) for number, fold in enumerate(found) for s in fold}
    assert len(homes) == len({home[:2] for home in homes})


def rated_table(studies):
    """The table that studies of three pairs each could have been made of."""
    rows = [
        {
            "dataset": study.dataset,
            "study": study.name,
            "group": study.group,
            "question": study.question,
            "reference": f"{study.name}/{first}.wav",
            "test": f"{study.name}/{second}.wav",
            "human": human,
        }
        for study in studies
        for first, second, human in zip((0, 0, 1), (1, 2, 2), study.human.tolist(), strict=True)
    ]
    return pd.DataFrame(rows)


def test_cross_validation_resumes_by_fold(tiny_metric, material, tmp_path):
    studies = [replace(material[0][0], name=name, group=name) for name in ("one", "two")]
    config = replace(CONFIG, n_steps=1, head=HEAD)
    inputs = Inputs(
        config, tiny_metric.encoder, AlignmentSet(studies, material[1]), make_accelerator("no")
    )
    result = crossval.cross_validate(inputs, rated_table(studies), tmp_path)
    assert list(result["study"]) == ["one", "two"]
    assert result[["untrained", "trained"]].notna().all(axis=None)
    (tmp_path / "fold-0" / crossval.RESULT_FILE).write_text(
        "fold,dataset,study,question,untrained,trained,orderings\nfold-0,made up,kept,,0,0,1\n"
    )
    again = crossval.cross_validate(inputs, rated_table(studies), tmp_path)
    assert list(again["study"]) == ["kept", "two"]


def test_out_of_fold_values_are_the_distances_that_the_agreement_is_of(
    tiny_metric, material, tmp_path
):
    studies = [replace(material[0][0], name=name, group=name) for name in ("one", "two")]
    config = replace(CONFIG, n_steps=1, head=HEAD)
    inputs = Inputs(
        config, tiny_metric.encoder, AlignmentSet(studies, material[1]), make_accelerator("no")
    )
    result = crossval.cross_validate(inputs, rated_table(studies), tmp_path)
    values = pd.read_csv(tmp_path / crossval.OUT_OF_FOLD_FILE)
    assert len(values) == 6
    assert set(values["split"]) == {"train"}
    for study, agreement in zip(studies, result["trained"], strict=True):
        rows = values[values["study"] == study.name].sort_values(["reference", "test"])
        human = pd.Series(study.human.numpy())
        found = rows["value"].reset_index(drop=True).corr(human, method="spearman")
        assert found == pytest.approx(agreement)


def test_each_question_is_answered_by_its_part(make_trainer, material):
    study = material[0][0]
    trainer = make_trainer("run")
    asked = {name: replace(study, question=name) for name in ("", "interference", "quality")}
    with torch.no_grad():
        answers = {name: trainer.model.answers(study) for name, study in asked.items()}
        assert torch.equal(answers[""], trainer.model.distances(study.pairs))
        turned = replace(study.pairs, first=study.pairs.second, second=study.pairs.first)
        means = study.pairs.means.clone()
        means[:, :3], means[:, 3:6] = study.pairs.means[:, 3:6], study.pairs.means[:, :3]
        turned = replace(turned, means=means)
        # What one clip adds to the other, the other lacks.
        other = trainer.model.answers(replace(asked["quality"], pairs=turned))
    assert torch.equal(other, answers["interference"])
    assert not torch.equal(answers["quality"], answers["interference"])


def test_every_part_of_a_question_study_is_kept(tiny_metric, material, tmp_path):
    asked = replace(material[0][0], question="interference")
    studies = [replace(asked, name=name, group=name) for name in ("one", "two")]
    config = replace(CONFIG, n_steps=0, head=HEAD)
    inputs = Inputs(
        config, tiny_metric.encoder, AlignmentSet(studies, material[1]), make_accelerator("no")
    )
    crossval.cross_validate(inputs, rated_table(studies), tmp_path)
    values = pd.read_csv(tmp_path / crossval.OUT_OF_FOLD_FILE)
    parts = ["", "-added", "-content", "-fidelity", "-missing"]
    assert sorted(set(values["metric"])) == [f"pamt{part}" for part in parts]
    of_one = values[(values["metric"] == "pamt-added") & (values["study"] == "one")]
    added = of_one.sort_values(["reference", "test"])["value"]
    left_out = crossval.make_trainer(inputs, tmp_path / "again", without=[studies[0]])
    with torch.no_grad():
        expected = left_out.model.answers(studies[0])
    assert added.tolist() == pytest.approx(expected.tolist())


def test_head_is_fitted_to_the_clips(make_trainer, material):
    head, (studies, _) = make_trainer("run").model.head, material
    clips = studies[0].pairs.clips
    frames = clips.states.transpose(1, 2)[clips.tokens.mask].float()
    mixed = head.mix_layers(frames.transpose(0, 1)[None])[0]
    torch.testing.assert_close(mixed.mean(0), torch.zeros(mixed.shape[1]), rtol=0, atol=1e-4)
    rows = head.shortcut.weight
    torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)), rtol=0, atol=1e-4)
    # No directions hold more of the variance than the principal ones.
    held = (mixed @ rows.T).var(0).sum()
    assert torch.linalg.eigvalsh(mixed.T.cov())[-len(rows) :].sum().item() == pytest.approx(
        held.item(), rel=1e-3
    )


def test_two_ears_of_a_stereo_clip_are_not_beyond_all_scale(make_trainer):
    scale = make_trainer("run").model.head.statistics_scale.split(list(LAYOUT.values()))
    of = dict(zip(LAYOUT, scale, strict=True))
    # The clips are mono and have no spread of their own.
    assert of["width"].tolist() == pytest.approx([0.25, 0.25], rel=0.01)


def test_unused_evidence_weighs_nothing_and_unknown_is_an_error(tiny_metric):
    config = replace(CONFIG, head=HEAD, evidence=("loudness", "own"))
    metric = make_metric(config, tiny_metric.encoder)
    weights = dict(zip(EVIDENCE, metric.pair.log_other_weight.exp().tolist(), strict=True))
    assert {name for name, weight in weights.items() if weight > 1e-9} == {"loudness", "own"}
    with pytest.raises(ConfigError, match="louder"):
        make_metric(replace(CONFIG, evidence=("louder",)), tiny_metric.encoder)
