"""Stages 2 and 3 together: sequential contrast and perceptual alignment of the head.

    python -m training.joint --config training/configs/joint-mini.yaml \
        --pretrain training/configs/pretrain-mini.yaml --encoder DIR --data ROOT --work DIR

The encoder and the ear are frozen, so everything up to the head is computed once and cached under
WORK. A step takes a few ladders (order of rungs, other songs farther than copies, one
just-noticeable difference at the masked threshold, contrast between frames of a clip and of its
imperceptible copy, the gate between one performance and two) and the human ratings in two ways:
those of one study act on the whole head, those of all studies on the mix of evidence and the clip
statistics, for which the transformer's embeddings are taken from the last refresh. Resumes from
WORK; the same seed gives the same weights.

The held-out split is never read here; `training.crossval` leaves studies of the train split out.
"""

import argparse
import logging
import math
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from benchmarks.datasets import find_root
from pamt_metric.distance import PairDistance
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.errors import ConfigError
from pamt_metric.evidence import (
    ALIGNED,
    EVIDENCE,
    Encoded,
    mean_over_map,
    pooled_differences,
    unshared,
)
from pamt_metric.head import Embedding, SequenceHead
from pamt_metric.metric import Metric
from pamt_metric.psychoacoustics import EarTokens
from training import losses
from training.config import JointConfig, PretrainConfig, load_config
from training.data.alignment_set import AlignmentSet, Ladder, Study, build_alignment_set
from training.data.features import EAR_EVIDENCE, ClipSet, PairSet, join_tokens, pick_tokens
from training.data.ladders import MASKED_LEVELS_DB, SEVERE

CONFIGS = Path(__file__).parent / "configs"
SEPARATION = "source_separation"
SCALE_FLOOR = 1e-3
FIT_FRAMES = 400
"""Frames of a study that stand for it where states are standardised."""
UNUSED = -30.0
"""Logarithm of the weight of evidence that is switched off: too small to show or to move."""
REFRESH_STEPS = 20
"""Steps for which the embeddings behind the rating loss on the mix are kept."""
PART_OF_QUESTION = {"": "combine", "interference": "added", "quality": "missing"}
"""Which part of the distance answers what listeners were asked. How much else is heard beside a
separated voice is sound added; how good it sounds is, for the algorithms of that study, how much of
it is lost."""
IMPERCEPTIBLE_RUNG = 0
"""Rung of the masked-noise ladder that serves as the contrastive positive: 6 dB under."""

_log = logging.getLogger(__name__)


def make_metric(config: JointConfig, encoder: MertEncoder) -> Metric:
    """An untrained metric: random head, neutral mix of evidence. Seeded by the configuration.

    Raises:
        ConfigError: the configuration names evidence that there is not.
    """
    unknown = set(config.evidence) - set(EVIDENCE)
    if unknown:
        raise ConfigError(f"evidence must be among {EVIDENCE}; got {sorted(unknown)}")
    torch.manual_seed(config.seed)
    pair = PairDistance()
    with torch.no_grad():
        for weights, names in (
            (pair.log_same_weight, ALIGNED),
            (pair.log_other_weight, EVIDENCE),
        ):
            unused = torch.tensor([name not in config.evidence for name in names])
            weights.masked_fill_(unused, UNUSED)
    return Metric(encoder, SequenceHead(**head_arguments(config, encoder)), pair=pair)


def head_arguments(config: JointConfig, encoder: MertEncoder) -> dict[str, Any]:
    """What `SequenceHead` is built with; goes into the checkpoint."""
    arguments: dict[str, Any] = asdict(config.head) | {"groups": list(config.head.groups)}
    n_layers = min(encoder.n_layers + 1, arguments.pop("max_encoder_layers"))
    spaced = np.linspace(0, encoder.n_layers, n_layers).round().astype(int).tolist()
    layers = list(arguments.pop("encoder_layers")) or spaced
    return {"encoder_layers": layers, "encoder_width": encoder.width, **arguments}


class Trainer:
    """The head, the mix of evidence and their optimiser, with everything they learn from."""

    def __init__(
        self,
        config: JointConfig,
        metric: Metric,
        studies: list[Study],
        ladders: list[Ladder],
        folder: Path,
    ) -> None:
        self.config = config
        self.metric = metric
        self.head, self.pair = metric.head, metric.pair
        self.studies = studies
        self.ladders = ladders
        self.folder = folder
        self.log_scale = nn.Parameter(torch.zeros(()))
        fit_head(self.head, studies)
        mixing = [*self.pair.parameters(), self.log_scale]
        shared = {id(parameter) for parameter in mixing}
        transformer = [p for p in self.head.parameters() if id(p) not in shared]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": transformer, "weight_decay": config.weight_decay},
                {"params": mixing, "lr": config.pair_learning_rate, "weight_decay": 0.0},
            ],
            lr=config.learning_rate,
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, self._rate)
        self.neutral = [weight.detach().clone() for weight in self._mix()]
        self.step = 0
        self.cached: list[tuple[Tensor, Tensor]] = []

    def _rate(self, step: int) -> float:
        """Linear warm-up, then a cosine to zero."""
        config = self.config
        if step < config.n_warmup_steps:
            return (step + 1) / config.n_warmup_steps
        done = (step - config.n_warmup_steps) / max(1, config.n_steps - config.n_warmup_steps)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))

    def train_step(self) -> dict[str, float]:
        """One update; what it draws depends on the seed and the step alone."""
        rng = np.random.default_rng([self.config.seed, self.step])
        parts = self._objectives(rng)
        weights = asdict(self.config.loss)
        total = torch.stack([weights[name] * value for name, value in parts.items()]).sum()
        self.optimiser.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(self.head.parameters(), self.config.clip_norm)
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        return {name: value.item() for name, value in parts.items()} | {"total": total.item()}

    def _objectives(self, rng: np.random.Generator) -> dict[str, Tensor]:
        config = self.config.loss
        through_head = self._head_rating(rng)
        chosen = rng.permutation(len(self.ladders))[: self.config.ladder_clips_per_step]
        sequences, copies, pooled = [], [], []
        order, jnd = [], []
        for index in chosen:
            pairs = self.ladders[index].pairs
            encoded = self._encode(pairs.clips)
            distance = self.distances(pairs, encoded)
            order.append(self._order(distance, index))
            jnd.append(self._jnd(distance, index))
            sequences.append(encoded.sequence)
            pooled.append(encoded.pooled)
            copies.append(distance[self._mild(index)])
        others, gates = self._other_songs(chosen, sequences, pooled)
        margin = losses.content_margin_loss(
            torch.cat(copies), others, margin=config.content_log_margin
        )
        return {
            "rating": self._mix_rating(),
            "rating_head": through_head,
            "penalty": self._penalty(),
            "order": torch.stack(order).mean(),
            "content_margin": margin,
            "jnd": torch.stack(jnd).mean(),
            "same_content": self._same_content(chosen, gates),
            "contrast": self._contrast(chosen, sequences, rng),
        }

    def _head_rating(self, rng: np.random.Generator) -> Tensor:
        """Ratings of one study against the distances of the whole head, each dataset as often."""
        datasets = sorted({study.dataset for study in self.studies})
        dataset = datasets[rng.integers(len(datasets))]
        chosen = [study for study in self.studies if study.dataset == dataset]
        study = chosen[rng.integers(len(chosen))]
        # Drawn either way: switching this objective off changes no other draw.
        if self.config.loss.rating_head == 0.0:
            return torch.zeros(())
        return losses.rating_loss(self.answers(study), study.human)

    def _penalty(self) -> Tensor:
        """How far the mix has moved from where it began: few studies for many weights."""
        moved = [now - start for now, start in zip(self._mix(), self.neutral, strict=True)]
        return torch.stack([weight.square().sum() for weight in moved]).sum()

    def _mix(self) -> list[Tensor]:
        return [self.pair.log_same_weight, self.pair.log_other_weight]

    def _mix_rating(self) -> Tensor:
        """Ratings of all studies against distances that only the mix can still change.

        Mean over the studies of a dataset, then over datasets with their weights.
        """
        if not self.cached or self.step % REFRESH_STEPS == 0:
            self.cached = self._refresh()
        parts: dict[str, list[Tensor]] = {study.dataset: [] for study in self.studies}
        for study, (sequence, pooled) in zip(self.studies, self.cached, strict=True):
            answer = self._answer(study, sequence, pooled)
            parts[study.dataset].append(losses.rating_loss(answer, study.human))
        weighted = [
            torch.stack(found).mean() * (self.config.loss.separation if name == SEPARATION else 1.0)
            for name, found in parts.items()
        ]
        return torch.stack(weighted).mean()

    @torch.no_grad()
    def _refresh(self) -> list[tuple[Tensor, Tensor]]:
        """The sequence's evidence on each study's pairs, and each clip's pooled embedding."""
        found = []
        for study in self.studies:
            encoded = self._encode(study.pairs.clips)
            sequence = self._sequence_evidence(study.pairs, encoded)
            found.append((sequence, encoded.pooled))
        return found

    def _encode(self, clips: ClipSet) -> Embedding:
        return self.head(clips.states.float(), clips.tokens)

    def answers(self, study: Study) -> Tensor:
        """What the model says of a study's pairs: the part that the study's question is about."""
        encoded = self._encode(study.pairs.clips)
        sequence = self._sequence_evidence(study.pairs, encoded)
        return self._answer(study, sequence, encoded.pooled)

    def _answer(self, study: Study, sequence: Tensor, pooled: Tensor) -> Tensor:
        means = self._means(study.pairs, sequence, pooled)
        part = PART_OF_QUESTION[study.question]
        if part == "combine":
            return self.pair.combine(means, study.pairs.cue)
        return getattr(self.pair, part)(means)

    def distances(self, pairs: PairSet, encoded: Embedding | None = None) -> Tensor:
        """Distance of every pair, before calibration."""
        encoded = self._encode(pairs.clips) if encoded is None else encoded
        means = self._means(pairs, self._sequence_evidence(pairs, encoded), encoded.pooled)
        return self.pair.combine(means, pairs.cue)

    def _sequence_evidence(self, pairs: PairSet, encoded: Embedding) -> Tensor:
        difference = encoded.sequence[pairs.first] - encoded.sequence[pairs.second]
        return mean_over_map(difference.square().sum(-1, keepdim=True), pairs.weight)

    def _means(self, pairs: PairSet, sequence: Tensor, pooled: Tensor) -> dict[str, Tensor]:
        means = dict(zip(EAR_EVIDENCE, pairs.means.unbind(-1), strict=True))
        means |= pooled_differences(pooled[pairs.first], pooled[pairs.second])
        return means | {"sequence": sequence}

    def _order(self, distance: Tensor, index: int) -> Tensor:
        milder = self.ladders[index].neighbours()
        return losses.order_loss(
            distance[milder], distance[milder + 1], margin=self.config.loss.order_margin
        )

    def _jnd(self, distance: Tensor, index: int) -> Tensor:
        masked = self.ladders[index].masked_noise()
        levels = torch.tensor(MASKED_LEVELS_DB)
        scaled = distance[masked] * self.log_scale.exp()
        return losses.jnd_loss(scaled, levels, margin=self.config.loss.jnd_log_margin)

    def _mild(self, index: int) -> list[int]:
        ladder = self.ladders[index]
        kinds = zip(ladder.families, ladder.rungs, strict=True)
        return [i for i, kind in enumerate(kinds) if kind not in SEVERE]

    def _other_songs(
        self, chosen: np.ndarray, sequences: list[Tensor], pooled: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Distances between the clips of different ladders, and the gate's values."""
        bases = [self.ladders[i].pairs.clips.at([0]) for i in chosen]
        tokens = join_tokens([base.tokens for base in bases])
        embedding = Embedding(
            sequence=torch.stack([s[0] for s in sequences]),
            pooled=torch.stack([p[0] for p in pooled]),
        )
        first, second = torch.triu_indices(len(bases), len(bases), offset=1)
        a, b = (_pick(tokens, embedding, i) for i in (first, second))
        return self.pair(a, b), self.pair.gate(unshared(a.tokens, b.tokens))

    def _same_content(self, chosen: np.ndarray, others: Tensor) -> Tensor:
        """The gate on copies and separated voices, against rated tones and other songs."""
        separated = [s.pairs.cue for s in self.studies if s.dataset == SEPARATION]
        tones = [s.pairs.cue for s in self.studies if s.dataset != SEPARATION]
        copies = torch.cat([self.ladders[index].pairs.cue for index in chosen])
        halves = [
            losses.same_content_loss(self.pair.gate(same), other)
            for same, other in (
                (copies, others),
                (torch.cat(separated or [copies]), self.pair.gate(torch.cat(tones))),
            )
        ]
        return torch.stack(halves).sum()

    def _contrast(
        self, chosen: np.ndarray, sequences: list[Tensor], rng: np.random.Generator
    ) -> Tensor:
        n_frame = sequences[0].shape[1]
        count = min(n_frame, self.config.contrast_frames // len(chosen))
        frames = np.stack([rng.permutation(n_frame)[:count] for _ in chosen])
        anchor, positive = [], []
        for sequence, at, index in zip(sequences, frames, chosen, strict=True):
            copy = 1 + int(self.ladders[index].masked_noise()[IMPERCEPTIBLE_RUNG])
            anchor.append(sequence[0, at])
            positive.append(sequence[copy, at])
        return losses.contrastive_loss(
            torch.cat(anchor),
            torch.cat(positive),
            torch.arange(len(chosen)).repeat_interleave(count),
            torch.from_numpy(frames).flatten(),
            temperature=self.config.loss.temperature,
        )

    @torch.no_grad()
    def agreement(self, studies: Sequence[Study]) -> list[float]:
        """Spearman correlation with the ratings of each study."""
        found = []
        for study in studies:
            distance = pd.Series(self.answers(study).numpy())
            human = pd.Series(study.human.numpy())
            found.append(float(distance.corr(human, method="spearman")))
        return found

    def summary(self) -> dict[str, float]:
        """Mean agreement with the studies of each dataset that were trained on, orderings held."""
        found: dict[str, list[float]] = {}
        for study, value in zip(self.studies, self.agreement(self.studies), strict=True):
            found.setdefault(f"{study.dataset} {study.question}".strip(), []).append(value)
        means = {dataset: float(np.mean(values)) for dataset, values in found.items()}
        return means | {"orderings": self.orderings_held()}

    @torch.no_grad()
    def orderings_held(self) -> float:
        """Share of neighbouring rungs of all ladders that are in order."""
        held, total = 0, 0
        for ladder in self.ladders:
            distance = self.distances(ladder.pairs).numpy()
            milder = ladder.neighbours()
            held += int((distance[milder] < distance[milder + 1]).sum())
            total += len(milder)
        return held / total

    def save(self) -> None:
        """Checkpoint, atomically."""
        state = {
            "step": self.step,
            "head": self.head.state_dict(),
            "pair": self.pair.state_dict(),
            "log_scale": self.log_scale.detach(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "cached": self.cached,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save(state, self.folder / "joint.tmp")
        (self.folder / "joint.tmp").replace(self.folder / "joint.pt")

    def resume(self) -> None:
        """Take up the last checkpoint, if there is one."""
        path = self.folder / "joint.pt"
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        self.head.load_state_dict(state["head"])
        self.pair.load_state_dict(state["pair"])
        self.log_scale.data.copy_(state["log_scale"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.cached = state["cached"]
        self.step = state["step"]


@torch.no_grad()
def fit_head(head: SequenceHead, studies: Sequence[Study]) -> None:
    """What the head is given rather than taught: scales, and the shortcut's directions.

    Statistics and hidden states are standardised over the rated clips; the shortcut starts as the
    principal components of the mixed states, so that it keeps most of what they tell apart.
    """
    clips = [study.pairs.clips for study in studies]
    rows = torch.cat([one.tokens.statistics for one in clips])
    head.statistics_mean.copy_(rows.mean(0))
    head.statistics_scale.copy_(rows.std(0) + SCALE_FLOOR)
    states = torch.cat([_some_states(one) for one in clips])  # (frame, layer, width)
    head.state_mean.copy_(states.mean(0))
    head.state_scale.copy_(states.std(0) + SCALE_FLOOR)
    mixed = head.mix_layers(states.transpose(0, 1)[None])[0]
    dim = head.shortcut.weight.shape[0]
    components = torch.linalg.svd(mixed - mixed.mean(0), full_matrices=False).Vh[:dim]
    head.shortcut.weight.zero_()
    head.shortcut.weight[: len(components)] = components


def _some_states(clips: ClipSet) -> Tensor:
    """States of at most `FIT_FRAMES` frames of a study, evenly spaced: (frame, layer, width)."""
    frames = clips.states.transpose(1, 2)[clips.tokens.mask]
    return frames[:: max(1, len(frames) // FIT_FRAMES)].float()


def _pick(tokens: EarTokens, embedding: Embedding, index: Tensor) -> Encoded:
    chosen = Embedding(embedding.sequence[index], embedding.pooled[index])
    return Encoded(pick_tokens(tokens, index), chosen)


def run(trainer: Trainer) -> None:
    """Train to the end of the schedule, with a log and checkpoints."""
    writer = SummaryWriter(str(trainer.folder / "tensorboard"))
    saved_at = time.monotonic()
    while trainer.step < trainer.config.n_steps:
        values = trainer.train_step()
        for name, value in values.items():
            writer.add_scalar(name, value, trainer.step)
        if trainer.step % 50 == 0:
            _log.info("step %d: %s", trainer.step, _short(values))
        if time.monotonic() - saved_at > trainer.config.checkpoint_every_s:
            trainer.save()
            saved_at = time.monotonic()
    trainer.save()
    writer.close()


def _short(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items())


def make_parser(description: str) -> argparse.ArgumentParser:
    """Arguments that this stage and those after it share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, default=CONFIGS / "joint-mini.yaml")
    parser.add_argument(
        "--pretrain", type=Path, default=CONFIGS / "pretrain-mini.yaml", help="names the corpus"
    )
    parser.add_argument("--encoder", required=True, help="folder or Hub id")
    parser.add_argument("--data", type=Path, default=os.environ.get("PAMT_DATA"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--name", default="joint", help="folder of this run under WORK")
    parser.add_argument("--steps", type=int, help="end here instead of the configured step")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    return parser


@dataclass(frozen=True)
class Inputs:
    """What training of the head starts from."""

    config: JointConfig
    encoder: MertEncoder
    material: AlignmentSet


def read_inputs(arguments: argparse.Namespace) -> Inputs:
    """The configuration, the encoder and the features, from the cache where they are known."""
    root = find_root(arguments.data)
    config = load_config(arguments.config, JointConfig)
    if arguments.steps is not None:
        config = replace(config, n_steps=arguments.steps)
    pretrain = load_config(arguments.pretrain, PretrainConfig)
    metric = make_metric(config, MertEncoder.from_pretrained(arguments.encoder))
    material = build_alignment_set(metric, config.ladders, pretrain.corpus, root, arguments.work)
    return Inputs(config, metric.encoder, material)


def make_trainer(inputs: Inputs, folder: Path, *, without: Collection[Study] = ()) -> Trainer:
    """A trainer at its last checkpoint, or at step 0; `without` some of the studies."""
    metric = make_metric(inputs.config, inputs.encoder)
    left_out = {id(study) for study in without}
    kept = [study for study in inputs.material.studies if id(study) not in left_out]
    trainer = Trainer(inputs.config, metric, kept, inputs.material.ladders, folder)
    trainer.resume()
    return trainer


def main() -> None:
    """Command line of the stage."""
    arguments = make_parser("Contrast and alignment of the head.").parse_args()
    trainer = make_trainer(read_inputs(arguments), arguments.work / arguments.name)
    run(trainer)
    _log.info("on what it was trained on: %s", _short(trainer.summary()))


if __name__ == "__main__":
    main()
