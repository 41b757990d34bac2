"""The objective of stages 2 and 3: what ladders and ratings ask of the head, each with its weight.

A step takes a few ladders (order of rungs, other songs farther than copies, one just-noticeable
difference at the masked threshold, less than one for another sample rate, a small gain or delay,
contrast between frames of a clip and of its imperceptible copy, the gate between one performance
and two) and the human ratings in two ways: those of one study act on the whole head, those of all
studies on the mix of evidence and the clip statistics, for which the transformer's embeddings are
taken from the last refresh. On the mix act, too, changes that listeners just hear in published
experiments: whatever changed, they are to be equally far.

An objective with weight 0 is not computed. What a step draws does not depend on the weights.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from pamt_metric.evidence import Encoded, unshared
from pamt_metric.head import Embedding
from pamt_metric.psychoacoustics import EarTokens
from training import losses
from training.data.alignment_set import AlignmentSet, Study
from training.data.families import SEVERE
from training.data.features import join_tokens, pick_tokens
from training.data.ladders import MASKED_LEVELS_DB
from training.head_config import HeadStageConfig
from training.head_model import HeadModel
from training.processes import Processes

SEPARATION = "source_separation"
REFRESH_STEPS = 20
"""Steps for which the embeddings behind the rating loss on the mix are kept."""
IMPERCEPTIBLE_RUNG = 0
"""Rung of the masked-noise ladder that serves as the contrastive positive: 6 dB under."""


@dataclass(frozen=True)
class View:
    """What the objectives need of a ladder's embeddings; the processes exchange these."""

    distance: Tensor  # (pair,)
    sequence: Tensor  # (2, frame, dim), of the clip and of its imperceptible copy
    pooled: Tensor  # (pooled,), of the clip


class Objective:
    """All objectives of a step, as functions of the model."""

    def __init__(
        self,
        config: HeadStageConfig,
        model: HeadModel,
        material: AlignmentSet,
        processes: Processes,
    ) -> None:
        self.config, self.loss = config, config.all_losses()
        self.model, self.pair = model, model.pair
        self.studies, self.ladders = material.studies, material.ladders
        self.just_heard, self.processes = material.just_heard, processes
        self.neutral = [weight.detach().clone() for weight in self._mix()]
        # The rating loss on the mix needs no hidden states, which are most of the features.
        self.rated, self.heard = (
            [study.pairs.without_states().to(model.device) for study in studies]
            for studies in (self.studies, self.just_heard)
        )
        self.cached: list[tuple[Tensor, Tensor]] = []
        self._refreshed = -1

    def total(self, parts: dict[str, Tensor]) -> Tensor:
        """The weighted sum, which is minimised."""
        weights = asdict(self.loss)
        return torch.stack([weights[name] * value for name, value in parts.items()]).sum()

    def parts(self, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Each objective, unweighted; 0 where its weight is."""
        study = self._draw_study(rng)
        chosen = rng.permutation(len(self.ladders))[: self.config.ladder_clips_per_step]
        frames = self._draw_frames(chosen, rng)
        views = self._views(chosen)
        distances = [view.distance for view in views]
        mild = torch.cat([d[self._mild(i)] for d, i in zip(distances, chosen, strict=True)])
        others, gates = self._other_songs(chosen, views)
        hard = [d[self.ladders[i].negatives()] for d, i in zip(distances, chosen, strict=True)]
        others = torch.cat([others, *hard])
        objectives = {
            "rating": lambda: self._mix_rating(step),
            "rating_head": lambda: self._head_rating(study),
            "penalty": self._penalty,
            "order": lambda: _mean(map(self._order, distances, chosen)),
            "content_margin": lambda: losses.content_margin_loss(
                mild, others, margin=self.loss.content_log_margin
            ),
            "jnd": lambda: _mean(map(self._jnd, distances, chosen)),
            "consistency": lambda: _mean(map(self._consistency, distances, chosen)),
            "just_heard": lambda: self._just_heard(step),
            "same_content": lambda: self._same_content(chosen, gates),
            "contrast": lambda: self._contrast(views, frames),
        }
        weights = asdict(self.loss)
        off = torch.zeros((), device=self.model.device)
        return {n: compute() if weights[n] else off for n, compute in objectives.items()}

    def _views(self, chosen: np.ndarray) -> list[View]:
        """The drawn ladders, each encoded by one process."""
        own = [
            self._view(index) if self.processes.mine(n) else None for n, index in enumerate(chosen)
        ]
        return [View(*part) for part in self.processes.exchange(own)]

    def _view(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        pairs = self.ladders[index].pairs.to(self.model.device)
        encoded = self.model.encode(pairs.clips)
        copy = 1 + int(self.ladders[index].masked_noise()[IMPERCEPTIBLE_RUNG])
        distance = self.model.distances(pairs, encoded)
        return distance, encoded.sequence[[0, copy]], encoded.pooled[0]

    def _draw_study(self, rng: np.random.Generator) -> Study:
        """One study, of each dataset as often."""
        datasets = sorted({study.dataset for study in self.studies})
        dataset = datasets[rng.integers(len(datasets))]
        chosen = [study for study in self.studies if study.dataset == dataset]
        return chosen[rng.integers(len(chosen))]

    def _head_rating(self, study: Study) -> Tensor:
        """Ratings of one study against the distances of the whole head."""
        return losses.rating_loss(self.model.answers(study), study.human.to(self.model.device))

    def _penalty(self) -> Tensor:
        """How far the mix has moved from where it began: few studies for many weights."""
        moved = [now - start for now, start in zip(self._mix(), self.neutral, strict=True)]
        return torch.stack([weight.square().sum() for weight in moved]).sum()

    def _mix(self) -> list[Tensor]:
        return [self.pair.log_same_weight, self.pair.log_other_weight]

    def _mix_rating(self, step: int) -> Tensor:
        """Ratings of all studies against distances that only the mix can still change.

        Mean over the studies of a dataset, then over datasets with their weights.
        """
        cached = self._embeddings(step)
        own = [
            (self._study_rating(n, *cached[n]),) if self.processes.mine(n) else None
            for n in range(len(self.studies))
        ]
        parts: dict[str, list[Tensor]] = {study.dataset: [] for study in self.studies}
        for study, (loss,) in zip(self.studies, self.processes.exchange(own), strict=True):
            parts[study.dataset].append(loss)
        weighted = [
            torch.stack(found).mean() * (self.loss.separation if name == SEPARATION else 1.0)
            for name, found in parts.items()
        ]
        return torch.stack(weighted).mean()

    def _study_rating(self, number: int, sequence: Tensor, pooled: Tensor) -> Tensor:
        study, pairs = self.studies[number], self.rated[number]
        answer = self.model.answer(study.question, pairs, sequence, pooled)
        return losses.rating_loss(answer, study.human.to(self.model.device))

    def _just_heard(self, step: int) -> Tensor:
        """How unequal the distances of changes are that listeners just hear."""
        if not self.just_heard:
            return torch.zeros((), device=self.model.device)
        cached = self._embeddings(step)[len(self.studies) :]
        distances = [
            self.model.answer("", pairs, *embedding)
            for pairs, embedding in zip(self.heard, cached, strict=True)
        ]
        return losses.just_heard_loss([(each + losses.TINY).log() for each in distances])

    def _embeddings(self, step: int) -> list[tuple[Tensor, Tensor]]:
        """What the transformer said of every study at the last refresh."""
        due = step % REFRESH_STEPS == 0 and self._refreshed != step
        if due or not self.cached:
            self.cached = self._refresh()
            self._refreshed = step
        return self.cached

    @torch.no_grad()
    def _refresh(self) -> list[tuple[Tensor, Tensor]]:
        """The sequence's evidence on each study's pairs, and each clip's pooled embedding."""
        own: list[tuple[Tensor, Tensor] | None] = []
        for number, study in enumerate([*self.studies, *self.just_heard]):
            if not self.processes.mine(number):
                own.append(None)
                continue
            pairs = study.pairs.to(self.model.device)
            encoded = self.model.encode(pairs.clips)
            sequence = self.model.sequence_evidence(pairs, encoded)
            own.append((sequence, encoded.pooled))
        return [(sequence, pooled) for sequence, pooled in self.processes.exchange(own)]

    def _order(self, distance: Tensor, index: int) -> Tensor:
        milder = self.ladders[index].neighbours()
        return losses.order_loss(
            distance[milder], distance[milder + 1], margin=self.loss.order_margin
        )

    def _jnd(self, distance: Tensor, index: int) -> Tensor:
        masked = self.ladders[index].masked_noise()
        levels = torch.tensor(MASKED_LEVELS_DB, device=distance.device)
        scaled = distance[masked] * self.model.log_scale.exp()
        return losses.jnd_loss(scaled, levels, margin=self.loss.jnd_log_margin)

    def _consistency(self, distance: Tensor, index: int) -> Tensor:
        scaled = distance[self.ladders[index].inaudible()] * self.model.log_scale.exp()
        return losses.consistency_loss(scaled, margin=self.loss.consistency_log_margin)

    def _mild(self, index: int) -> list[int]:
        ladder = self.ladders[index]
        kinds = list(zip(ladder.families, ladder.rungs, strict=True))
        return [i for i in ladder.copies() if kinds[i] not in SEVERE]

    def _other_songs(self, chosen: np.ndarray, views: list[View]) -> tuple[Tensor, Tensor]:
        """Distances between the clips of different ladders, and the gate's values."""
        bases = [self.ladders[i].pairs.clips.at([0]).to(self.model.device) for i in chosen]
        tokens = join_tokens([base.tokens for base in bases])
        embedding = Embedding(
            sequence=torch.stack([view.sequence[0] for view in views]),
            pooled=torch.stack([view.pooled for view in views]),
        )
        first, second = torch.triu_indices(len(bases), len(bases), offset=1)
        a, b = (_pick(tokens, embedding, i) for i in (first, second))
        return self.pair(a, b), self.pair.gate(unshared(a.tokens, b.tokens))

    def _same_content(self, chosen: np.ndarray, others: Tensor) -> Tensor:
        """The gate on copies and separated voices, against rated tones and other songs."""
        device = self.model.device
        cues = [
            (s.dataset == SEPARATION, p.cue) for s, p in zip(self.studies, self.rated, strict=True)
        ]
        separated = [cue for is_separation, cue in cues if is_separation]
        tones = [cue for is_separation, cue in cues if not is_separation]
        ladders = [self.ladders[index] for index in chosen]
        copies = torch.cat([ladder.pairs.cue[ladder.copies()].to(device) for ladder in ladders])
        halves = [
            losses.same_content_loss(self.pair.gate(same), other)
            for same, other in (
                (copies, others),
                (torch.cat(separated or [copies]), self.pair.gate(torch.cat(tones))),
            )
        ]
        return torch.stack(halves).sum()

    def _draw_frames(self, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Instants of each ladder that are contrasted."""
        n_frame = self.ladders[chosen[0]].pairs.clips.states.shape[2]
        count = min(n_frame, self.config.contrast_frames // len(chosen))
        return np.stack([rng.permutation(n_frame)[:count] for _ in chosen])

    def _contrast(self, views: list[View], frames: np.ndarray) -> Tensor:
        pairs = zip(views, frames, strict=True)
        both = [(view.sequence[0, at], view.sequence[1, at]) for view, at in pairs]
        anchor, positive = (torch.cat(side) for side in zip(*both, strict=True))
        device = anchor.device
        return losses.contrastive_loss(
            anchor,
            positive,
            torch.arange(len(views), device=device).repeat_interleave(frames.shape[1]),
            torch.from_numpy(frames).flatten().to(device),
            temperature=self.loss.temperature,
        )


def _mean(values: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean()


def _pick(tokens: EarTokens, embedding: Embedding, index: Tensor) -> Encoded:
    chosen = Embedding(embedding.sequence[index], embedding.pooled[index])
    return Encoded(pick_tokens(tokens, index), chosen)
