"""What stages 2 and 3 train, and the distances that it gives on frozen features."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from pamt_metric.distance import PairDistance
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.errors import ConfigError
from pamt_metric.evidence import ALIGNED, EVIDENCE, mean_over_map, pooled_differences
from pamt_metric.head import Embedding, SequenceHead
from pamt_metric.metric import Metric
from pamt_metric.psychoacoustics.statistics import LAYOUT
from training.data.alignment_set import Ladder, Study
from training.data.features import EAR_EVIDENCE, ClipSet, PairSet
from training.head_config import HeadStageConfig

PART_OF_QUESTION = {"": "combine", "interference": "added", "quality": "missing"}
"""Which part of the distance answers what listeners were asked. How much else is heard beside a
separated voice is sound added; how good it sounds is, for the algorithms of that study, how much of
it is lost."""
PARTS = ("fidelity", "content", "added", "missing")
"""Parts of a distance that stand for themselves."""
UNUSED = -30.0
"""Logarithm of the weight of evidence that is switched off: too small to show or to move."""
SCALE_FLOOR = 1e-3
WIDTH_SCALE = 0.25
"""Standard deviation that statistics of the two ears are taken to have: the rated clips are mono,
and theirs is 0."""
FIT_FRAMES = 400
"""Frames of a study that stand for it where hidden states are standardised."""


def make_metric(config: HeadStageConfig, encoder: MertEncoder) -> Metric:
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


def head_arguments(config: HeadStageConfig, encoder: MertEncoder) -> dict[str, Any]:
    """What `SequenceHead` is built with; goes into the checkpoint."""
    arguments: dict[str, Any] = asdict(config.head) | {"groups": list(config.head.groups)}
    n_layers = min(encoder.n_layers + 1, arguments.pop("max_encoder_layers"))
    spaced = np.linspace(0, encoder.n_layers, n_layers).round().astype(int).tolist()
    layers = list(arguments.pop("encoder_layers")) or spaced
    return {"encoder_layers": layers, "encoder_width": encoder.width, **arguments}


class HeadModel(nn.Module):
    """The head, the mix of evidence, and the scale of one just-noticeable difference."""

    def __init__(self, head: SequenceHead, pair: PairDistance) -> None:
        super().__init__()
        self.head, self.pair = head, pair
        self.log_scale = nn.Parameter(torch.zeros(()))

    @property
    def device(self) -> torch.device:
        """Where the parameters are; features are moved there as they are used."""
        return self.log_scale.device

    def mixing(self) -> list[nn.Parameter]:
        """Parameters of the mix of evidence and the scale."""
        return [*self.pair.parameters(), self.log_scale]

    def transformer(self) -> list[nn.Parameter]:
        """Parameters of the head that are not of the mix."""
        shared = {id(parameter) for parameter in self.mixing()}
        return [p for p in self.head.parameters() if id(p) not in shared]

    def encode(self, clips: ClipSet) -> Embedding:
        """What the head makes of frozen features."""
        return self.head(clips.states.float(), clips.tokens)

    def answers(self, study: Study) -> Tensor:
        """What the model says of a study's pairs: the part that the study's question is about."""
        pairs = study.pairs.to(self.device)
        encoded = self.encode(pairs.clips)
        sequence = self.sequence_evidence(pairs, encoded)
        return self.answer(study.question, pairs, sequence, encoded.pooled)

    def parts(self, study: Study) -> dict[str, Tensor]:
        """The distance of a study's pairs and its parts, before calibration."""
        pairs = study.pairs.to(self.device)
        encoded = self.encode(pairs.clips)
        means = self._means(pairs, self.sequence_evidence(pairs, encoded), encoded.pooled)
        alone = {name: getattr(self.pair, name)(means) for name in PARTS}
        return {"distance": self.pair.combine(means, pairs.cue), **alone}

    def answer(self, question: str, pairs: PairSet, sequence: Tensor, pooled: Tensor) -> Tensor:
        """The same, where the sequence's evidence and the pooled embeddings are known."""
        means = self._means(pairs, sequence, pooled)
        part = PART_OF_QUESTION[question]
        if part == "combine":
            return self.pair.combine(means, pairs.cue)
        return getattr(self.pair, part)(means)

    def distances(self, pairs: PairSet, encoded: Embedding | None = None) -> Tensor:
        """Distance of every pair, before calibration."""
        pairs = pairs.to(self.device)
        encoded = self.encode(pairs.clips) if encoded is None else encoded
        means = self._means(pairs, self.sequence_evidence(pairs, encoded), encoded.pooled)
        return self.pair.combine(means, pairs.cue)

    def sequence_evidence(self, pairs: PairSet, encoded: Embedding) -> Tensor:
        """Mean squared difference of the sequence embeddings of each pair."""
        difference = encoded.sequence[pairs.first] - encoded.sequence[pairs.second]
        return mean_over_map(difference.square().sum(-1, keepdim=True), pairs.weight)

    def _means(self, pairs: PairSet, sequence: Tensor, pooled: Tensor) -> dict[str, Tensor]:
        means = dict(zip(EAR_EVIDENCE, pairs.means.unbind(-1), strict=True))
        means |= pooled_differences(pooled[pairs.first], pooled[pairs.second])
        return means | {"sequence": sequence}

    @torch.no_grad()
    def agreement(self, studies: Sequence[Study]) -> list[float]:
        """Spearman correlation with the ratings of each study."""
        found = []
        for study in studies:
            distance = pd.Series(self.answers(study).cpu().numpy())
            human = pd.Series(study.human.numpy())
            found.append(float(distance.corr(human, method="spearman")))
        return found

    @torch.no_grad()
    def orderings_held(self, ladders: Sequence[Ladder]) -> float:
        """Share of neighbouring rungs of all ladders that are in order."""
        held, total = 0, 0
        for ladder in ladders:
            distance = self.distances(ladder.pairs).cpu().numpy()
            milder = ladder.neighbours()
            held += int((distance[milder] < distance[milder + 1]).sum())
            total += len(milder)
        return held / total

    def summary(self, studies: Sequence[Study], ladders: Sequence[Ladder]) -> dict[str, float]:
        """Mean agreement with the studies of each dataset, and orderings held."""
        found: dict[str, list[float]] = {}
        for study, value in zip(studies, self.agreement(studies), strict=True):
            found.setdefault(f"{study.dataset} {study.question}".strip(), []).append(value)
        means = {dataset: float(np.mean(values)) for dataset, values in found.items()}
        return means | {"orderings": self.orderings_held(ladders)}


@torch.no_grad()
def fit_head(head: SequenceHead, studies: Sequence[Study]) -> None:
    """What the head is given rather than taught: scales, and the shortcut's directions.

    Statistics and hidden states are standardised over the rated clips; the shortcut starts as the
    principal components of the mixed states, so that it keeps most of what they tell apart.
    """
    clips = [study.pairs.clips for study in studies]
    rows = torch.cat([one.tokens.statistics for one in clips])
    head.statistics_mean.copy_(rows.mean(0))
    scale = dict(zip(LAYOUT, rows.std(0).split(list(LAYOUT.values())), strict=True))
    scale["width"] = scale["width"].clamp_min(WIDTH_SCALE)
    head.statistics_scale.copy_(torch.cat(list(scale.values())) + SCALE_FLOOR)
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
