"""One question to one system: features, a probe fitted on the training clips, and test clips."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.robustness import clips, probes, systems
from benchmarks.robustness.clips import Task
from pamt_metric import Metric

LINEAR, NEIGHBOURS, GALLERY = "linear", "knn", "gallery"
PROBES = {"retrieval": (GALLERY,), "classification": (LINEAR, NEIGHBOURS)}


@dataclass(frozen=True)
class Problem:
    """What an attack is run against.

    Attributes:
        name: task and probe.
        system: one of `systems.SYSTEMS`.
        scores: from a waveform `(batch, time)` to one score a class, differentiable.
        test: indices of the clips to be asked about.
        targets: class of every clip of the task; -1 where it has none here.
        validation: indices of other clips with targets, for what is learned about all at once.
        choice: layer of the encoder that validation chose, or -1.
        quality: figures on the whole clean test split.
    """

    name: str
    system: str
    scores: Callable[[Float[Tensor, "batch time"]], Float[Tensor, "batch class"]]
    test: np.ndarray
    targets: np.ndarray
    validation: np.ndarray
    choice: int
    quality: dict[str, float]

    def objective(self, index: int) -> Callable[[Float[Tensor, "time"]], Float[Tensor, ""]]:
        """Margin of a waveform that ought to be answered as clip `index` is."""
        target = torch.tensor([int(self.targets[index])])
        return lambda waveform: probes.margin(self.scores(waveform[None]), target)[0]


@dataclass(frozen=True)
class FeatureSet:
    """Features of every clip of a task: of each layer of the encoder, and embeddings by system."""

    layers: Float[Tensor, "item layer width"]
    embeddings: dict[str, Float[Tensor, "item dim"]]


def feature_set(metric: Metric, task: Task, store: np.ndarray, path: Path) -> FeatureSet:
    """Features of a task's clips, read from `path` if they were computed before."""
    if not path.is_file():
        layers = systems.extract(partial(systems.encoder_layers, metric), store)
        embeddings = {
            system: systems.extract(systems.pamt_features(metric, system), store)
            for system in (systems.PAMT, systems.SOUND)
        }
        part = path.with_suffix(".part")
        torch.save({"layers": layers, "embeddings": embeddings}, part)
        part.replace(path)
    return FeatureSet(**torch.load(path, weights_only=True))


def prepare(
    metric: Metric,
    task: Task,
    features: FeatureSet,
    *,
    probe: str,
    system: str,
    split: clips.Split,
) -> Problem:
    """Fits the probe on every layer (the encoder's) or the embedding, and keeps the best."""
    fit = _fit_gallery if probe == GALLERY else partial(_fit_classifier, probe)
    if system != systems.ENCODER:
        fitted = fit(task, features.embeddings[system], split)
        function, choice = systems.pamt_features(metric, system), -1
    else:
        by_layer = [fit(task, layer, split) for layer in features.layers.unbind(1)]
        choice = max(range(len(by_layer)), key=lambda layer: by_layer[layer].validated)
        fitted, function = by_layer[choice], systems.encoder_features(metric, choice)
    return Problem(
        name=f"{task.name}-{probe}" if task.kind == "classification" else task.name,
        system=system,
        scores=lambda waveform: fitted.probe(function(waveform)),
        test=fitted.test,
        targets=fitted.targets,
        validation=fitted.validation,
        choice=choice,
        quality=fitted.quality,
    )


@dataclass(frozen=True)
class _Fitted:
    probe: nn.Module
    validated: float
    targets: np.ndarray
    test: np.ndarray
    validation: np.ndarray
    quality: dict[str, float]


def _fit_classifier(
    probe: str, task: Task, features: Float[Tensor, "item width"], split: clips.Split
) -> _Fitted:
    names = sorted({item.label for item in task.items})
    targets = torch.tensor([names.index(item.label) for item in task.items])
    make = probes.linear_probe if probe == LINEAR else probes.neighbour_probe
    fitted = make(
        features[split.train],
        targets[split.train],
        features[split.validation],
        targets[split.validation],
    ).requires_grad_(False)

    def accuracy(indices: np.ndarray) -> float:
        answers = fitted(features[indices]).argmax(1)
        return float((answers == targets[indices]).double().mean())

    return _Fitted(
        probe=fitted,
        validated=accuracy(split.validation),
        targets=targets.numpy(),
        test=split.test,
        validation=split.validation,
        quality={"accuracy": accuracy(split.test)},
    )


def _fit_gallery(task: Task, features: Float[Tensor, "item width"], split: clips.Split) -> _Fitted:
    songs = torch.from_numpy(clips.groups_of(task.items))
    is_query = torch.from_numpy(queries(task.items))
    chosen = probes.song_projection(
        features[split.train],
        songs[split.train],
        features[split.validation],
        songs[split.validation],
        is_query[split.validation],
    ).requires_grad_(False)

    def gallery(indices: np.ndarray) -> tuple[probes.Neighbours, dict[str, float], Tensor]:
        """Of the songs of one side; its classes are numbered from 0."""
        numbers = torch.unique(songs[indices], return_inverse=True)[1]
        shown, asked = chosen(features[indices]), is_query[indices]
        made = probes.Neighbours(shown[~asked], numbers[~asked], k=1)
        similarity = made.similarity(shown[asked])
        labels, wanted = numbers[~asked], numbers[asked]
        rank = probes.first_rank(similarity, labels, wanted).double()
        precision = probes.average_precision(similarity, labels, wanted)
        quality = {
            "map": float(precision.mean()),
            "mr1": float(rank.mean()),
            "top1": float((rank == 1).double().mean()),
        }
        targets = torch.full((len(task.items),), -1)
        targets[indices] = numbers
        return made, quality, targets

    _, validated, _ = gallery(split.validation)
    made, quality, targets = gallery(split.test)
    return _Fitted(
        probe=nn.Sequential(chosen, made),
        validated=validated["map"],
        targets=targets.numpy(),
        test=split.test[is_query[split.test].numpy()],
        validation=split.test[~is_query[split.test].numpy()],
        quality=quality,
    )


def queries(items: Sequence[clips.Item]) -> np.ndarray:
    """Which items ask: of every song the one with the highest version."""
    last: dict[str, int] = {}
    for item in items:
        last[item.group] = max(item.version, last.get(item.group, 0))
    return np.array([item.version == last[item.group] for item in items])
