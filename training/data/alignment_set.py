"""What the head learns from, as frozen features: rated studies and degradation ladders, cached."""

import hashlib
import json
import logging
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.datasets import TRAIN, load
from benchmarks.datasets.table import groups
from benchmarks.metrics import package_version, source_version
from pamt_metric import audio, psychoacoustics
from pamt_metric.evidence import aligned_means
from pamt_metric.metric import Metric
from pamt_metric.psychoacoustics import EarTokens
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE
from training.data import adversarial, families
from training.data.corpus import build_corpus
from training.data.families import INAUDIBLE
from training.data.features import ClipSet, PairSet, clip_features, pair_features
from training.data.ladders import HARD_NEGATIVES, MASKED_NOISE, build_ladders
from training.head_config import LadderConfig
from training.pretrain_config import CorpusConfig

RATED_DATASETS = ("timbre", "voice", "source_separation")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Study:
    """A listening study: pairs and what people said of them, larger = more different.

    Studies of one group share sounds, listeners or a singer: cross-validation keeps them together.
    `question` is what listeners were asked where that was not how different the sounds are.
    """

    dataset: str
    name: str
    group: str
    question: str
    pairs: PairSet
    human: Float[Tensor, "pair"]


@dataclass(frozen=True)
class Ladder:
    """A clip, number 0 of `pairs.clips`, against each of its copies; family and rung of each."""

    pairs: PairSet
    families: tuple[str, ...]
    rungs: tuple[int, ...]

    def neighbours(self) -> np.ndarray:
        """Indices of pairs whose successor is the next stronger rung of the same family."""
        families = np.array(self.families)
        return np.flatnonzero(families[:-1] == families[1:])

    def masked_noise(self) -> np.ndarray:
        """Indices of the pairs with noise around the masked threshold, weakest first."""
        return np.flatnonzero(np.array(self.families) == MASKED_NOISE)

    def inaudible(self) -> np.ndarray:
        """Indices of the pairs with a copy that nobody tells from the clip."""
        return np.flatnonzero(np.isin(self.families, list(INAUDIBLE)))

    def copies(self) -> np.ndarray:
        """Indices of the pairs with a degraded copy: all but hard negatives."""
        return np.flatnonzero(~np.isin(self.families, HARD_NEGATIVES))

    def negatives(self) -> np.ndarray:
        """Indices of the pairs with a hard negative."""
        return np.flatnonzero(np.isin(self.families, HARD_NEGATIVES))


@dataclass(frozen=True)
class AlignmentSet:
    """All studies of the train split, all ladders, and changes that listeners just hear."""

    studies: list[Study]
    ladders: list[Ladder]
    just_heard: list[Study] = field(default_factory=list)


STUDY_KEYS = ["dataset", "study", "group", "question"]
_CACHED_CLASSES = [AlignmentSet, Study, Ladder, PairSet, ClipSet, EarTokens]
"""What the cache may hold beside tensors; anything else in it is refused."""


def build_alignment_set(
    metric: Metric, ladders: LadderConfig, corpus: CorpusConfig, root: Path, work: Path
) -> AlignmentSet:
    """Compute all features, or open the cache of the same ear, ladders and encoder."""
    identity = [*_identity(metric), source_version(families), asdict(ladders), asdict(corpus)]
    path = _cache_path(work / "features", identity)
    if path.is_file():
        return _read(path)
    _log.info("computing features of the rated studies")
    studies = _studies(metric, load(root, datasets=RATED_DATASETS, split=TRAIN))
    found = AlignmentSet(studies, _ladders(metric, ladders, corpus, root, work))
    _write(found, path)
    return found


def studies_of(metric: Metric, table: pd.DataFrame, folder: Path) -> list[Study]:
    """Features of the studies of any table of rated pairs, from `folder` if they are known."""
    rated = table[[*STUDY_KEYS, "reference", "test", "human"]].astype(str)
    path = _cache_path(folder, [*_identity(metric), rated.to_csv(index=False)])
    if path.is_file():
        return _read(path).studies
    studies = _studies(metric, table)
    _write(AlignmentSet(studies, []), path)
    return studies


def _identity(metric: Metric) -> list[Any]:
    """What features depend on beside the clips: code, the encoder's weights, which layers."""
    weights = hashlib.sha256()
    for tensor in metric.encoder.state_dict().values():
        weights.update(tensor.numpy().tobytes())
    pair_code = sys.modules[aligned_means.__module__]
    code = [package_version(psychoacoustics), source_version(pair_code)]
    return [code, weights.hexdigest(), metric.head.encoder_layers]


def _cache_path(folder: Path, identity: list[Any]) -> Path:
    return folder / f"{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]}.pt"


def _read(path: Path) -> AlignmentSet:
    with torch.serialization.safe_globals(_CACHED_CLASSES):
        # Mapped, not read: of a large encoder these are several GB.
        return torch.load(path, weights_only=True, mmap=True)


def _write(found: AlignmentSet, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(found, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def _studies(metric: Metric, table: pd.DataFrame) -> list[Study]:
    """Every study; those that put several questions on the same pairs share their features."""
    studies = []
    known: dict[tuple[Path, ...], PairSet] = {}
    for (dataset, name, group, question), rows in rated_studies(table):
        compared = (*rows["reference"], *rows["test"])
        if compared not in known:
            known[compared] = _pairs(metric, rows)
        human = torch.tensor(list(rows["human"]), dtype=torch.float32)
        studies.append(Study(dataset, name, group, question, known[compared], human))
    return studies


def _pairs(metric: Metric, rows: pd.DataFrame) -> PairSet:
    paths = sorted({*rows["reference"], *rows["test"]}, key=str)
    number = {path: i for i, path in enumerate(paths)}
    waveforms = [audio.load(path, target_rate=SAMPLE_RATE).waveform[0] for path in paths]
    return pair_features(
        clip_features(metric, waveforms),
        torch.tensor([number[path] for path in rows["reference"]]),
        torch.tensor([number[path] for path in rows["test"]]),
    )


def rated_studies(table: pd.DataFrame) -> Iterable[tuple[tuple[str, ...], pd.DataFrame]]:
    """Dataset, name, group and question of each study, and its pairs by name of the test."""
    order = table["reference"].map(str) + "\n" + table["test"].map(str)
    return groups(table.assign(order=order).sort_values([*STUDY_KEYS, "order"]), STUDY_KEYS)


def _ladders(
    metric: Metric, config: LadderConfig, corpus: CorpusConfig, root: Path, work: Path
) -> list[Ladder]:
    with torch.no_grad():
        built = build_corpus(corpus, root, work)
        against = partial(adversarial.attack, metric=metric)
        made = build_ladders(config, built, metric.ear, rendering=(corpus, root), attack=against)
    ladders = []
    for index, clip in enumerate(made.clips):
        copies = [copy for copy in made.copies if copy.clip == index]
        features = clip_features(metric, [w[None] for w in (clip, *(c.waveform for c in copies))])
        second = torch.arange(1, len(copies) + 1)
        pairs = pair_features(features, torch.zeros_like(second), second)
        names = tuple(copy.family for copy in copies)
        ladders.append(Ladder(pairs, names, tuple(copy.rung for copy in copies)))
        if index % 20 == 0:
            _log.info("features of ladder %d of %d", index, len(made.clips))
    return ladders
