"""What reads the features: the same three probes for every system.

A probe turns features into one score a class; the largest wins. A class of `Neighbours` is
whatever its references are grouped by: styles for the nearest-neighbour classifier, songs for a
gallery. Every probe is a differentiable module, so an attack goes through it. What a probe can
choose (regularisation, neighbours, directions kept) is chosen on the validation split.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional

INVERSE_PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
NEIGHBOURS = (1, 3, 5, 9)
SHRINKAGES = (0.03, 0.1, 0.3, 0.6)
DIRECTIONS = (16, 32, 64, 128)
SCALE_FLOOR = 1e-6


class Standardise(nn.Module):
    """Each feature with the mean and standard deviation of the training clips taken out."""

    mean: Tensor
    scale: Tensor

    def __init__(self, features: Float[Tensor, "item width"]) -> None:
        super().__init__()
        self.register_buffer("mean", features.mean(0))
        self.register_buffer("scale", features.std(0).clamp_min(SCALE_FLOOR))

    def forward(self, features: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """Standardised features."""
        return (features - self.mean) / self.scale


class Neighbours(nn.Module):
    """Score of a class: mean cosine similarity of its `k` nearest references."""

    references: Tensor
    labels: Tensor

    def __init__(
        self,
        references: Float[Tensor, "reference width"],
        labels: Int64[Tensor, "reference"],
        *,
        k: int,
    ) -> None:
        super().__init__()
        self.register_buffer("references", functional.normalize(references, dim=-1))
        self.register_buffer("labels", labels)
        self.k = k
        self.n_class = int(labels.max()) + 1

    def forward(self, features: Float[Tensor, "batch width"]) -> Float[Tensor, "batch class"]:
        """One score a class; -1, the least, for a class without references."""
        similarity = self.similarity(features)
        scores = []
        for label in range(self.n_class):
            own = similarity[:, self.labels == label]
            if own.shape[1] == 0:
                scores.append(similarity.new_full((similarity.shape[0],), -1.0))
            else:
                scores.append(own.topk(min(self.k, own.shape[1]), dim=1).values.mean(1))
        return torch.stack(scores, dim=1)

    def similarity(
        self, features: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "batch reference"]:
        """Cosine similarity to every reference."""
        return functional.normalize(features, dim=-1) @ self.references.T


def linear_probe(
    train: Float[Tensor, "item width"],
    labels: Int64[Tensor, "item"],
    validation: Float[Tensor, "other width"],
    validation_labels: Int64[Tensor, "other"],
) -> nn.Module:
    """Logistic regression on standardised features (scikit-learn), as a module."""
    standardise = Standardise(train)
    candidates = []
    for penalty in INVERSE_PENALTIES:
        fitted = LogisticRegression(C=penalty, max_iter=2000).fit(standardise(train), labels)
        linear = nn.Linear(train.shape[1], len(fitted.classes_))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(fitted.coef_))
            linear.bias.copy_(torch.from_numpy(fitted.intercept_))
        candidates.append(nn.Sequential(standardise, linear))
    return _best(candidates, validation, validation_labels)


def neighbour_probe(
    train: Float[Tensor, "item width"],
    labels: Int64[Tensor, "item"],
    validation: Float[Tensor, "other width"],
    validation_labels: Int64[Tensor, "other"],
) -> nn.Module:
    """Nearest neighbours by cosine among the standardised training clips."""
    standardise = Standardise(train)
    candidates = [
        nn.Sequential(standardise, Neighbours(standardise(train), labels, k=k)) for k in NEIGHBOURS
    ]
    return _best(candidates, validation, validation_labels)


class SongProjection(nn.Module):
    """Directions in which versions of one song lie close and songs far apart (LDA)."""

    matrix: Tensor

    def __init__(
        self,
        train: Float[Tensor, "item width"],
        songs: Int64[Tensor, "item"],
        *,
        shrinkage: float,
        n_directions: int,
    ) -> None:
        super().__init__()
        self.standardise = Standardise(train)
        fitted = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage)
        fitted.fit(self.standardise(train).double().numpy(), songs.numpy())
        matrix = torch.from_numpy(np.ascontiguousarray(fitted.scalings_[:, :n_directions]))
        self.register_buffer("matrix", matrix.to(train.dtype))

    def forward(self, features: Float[Tensor, "batch width"]) -> Float[Tensor, "batch direction"]:
        """Projected features."""
        return self.standardise(features) @ self.matrix


def song_projection(
    train: Float[Tensor, "item width"],
    songs: Int64[Tensor, "item"],
    validation: Float[Tensor, "other width"],
    validation_songs: Int64[Tensor, "other"],
    is_query: Bool[Tensor, "other"],
) -> SongProjection:
    """The projection that looks up the validation songs best, by mean average precision."""

    def precision(projection: SongProjection) -> float:
        shown = projection(validation)
        songs, asked = validation_songs[~is_query], validation_songs[is_query]
        gallery = Neighbours(shown[~is_query], songs, k=1)
        return float(average_precision(gallery.similarity(shown[is_query]), songs, asked).mean())

    width = train.shape[1]
    candidates = [
        SongProjection(train, songs, shrinkage=shrinkage, n_directions=count)
        for shrinkage in SHRINKAGES
        for count in sorted({min(count, width) for count in DIRECTIONS})
    ]
    return max(candidates, key=precision)


def average_precision(
    similarity: Float[Tensor, "query reference"],
    labels: Int64[Tensor, "reference"],
    asked: Int64[Tensor, "query"],
) -> Float[Tensor, "query"]:
    """Mean over a query's relevant references of the precision down to each."""
    relevant = _ranked(similarity, labels, asked).double()
    place = torch.arange(1, relevant.shape[1] + 1)
    precision = relevant.cumsum(1) / place
    return (precision * relevant).sum(1) / relevant.sum(1)


def first_rank(
    similarity: Float[Tensor, "query reference"],
    labels: Int64[Tensor, "reference"],
    asked: Int64[Tensor, "query"],
) -> Int64[Tensor, "query"]:
    """Rank of the first relevant reference, 1 being the best."""
    return 1 + _ranked(similarity, labels, asked).int().argmax(1)


def margin(
    scores: Float[Tensor, "batch class"], target: Int64[Tensor, "batch"]
) -> Float[Tensor, "batch"]:
    """By how much the best wrong class leads; positive where the answer is wrong."""
    own = scores.gather(1, target[:, None])[:, 0]
    others = scores.scatter(1, target[:, None], -torch.inf)
    return others.max(1).values - own


def _ranked(
    similarity: Float[Tensor, "query reference"],
    labels: Int64[Tensor, "reference"],
    asked: Int64[Tensor, "query"],
) -> Bool[Tensor, "query reference"]:
    order = similarity.argsort(dim=1, descending=True, stable=True)
    return labels[order] == asked[:, None]


@torch.no_grad()
def _best(
    candidates: Sequence[nn.Module],
    validation: Float[Tensor, "other width"],
    labels: Int64[Tensor, "other"],
) -> nn.Module:
    def accuracy(probe: nn.Module) -> float:
        return float((probe(validation).argmax(1) == labels).double().mean())

    return max(candidates, key=accuracy)
