"""The module's own functions: a façade over one default metric, loaded when first used."""

from functools import cache

from jaxtyping import Float
from torch import Tensor

from pamt_metric.audio import AudioSource
from pamt_metric.checkpoint import load
from pamt_metric.comparison import Comparison
from pamt_metric.metric import Align, Kind, Lengths, Level, Metric


@cache
def default_metric() -> Metric:
    """The bundled model on the CPU, shared by every call that names no other."""
    return load()


def distance(
    a: AudioSource,
    b: AudioSource,
    *,
    sample_rate: int | None = None,
    lengths: Lengths | tuple[Lengths, Lengths] = None,
    level: Level = "match",
    align: Align = "auto",
    metric: Metric | None = None,
) -> float | Float[Tensor, "*batch"]:
    """How different two clips sound, in just-noticeable differences: see `Metric.distance`."""
    metric = default_metric() if metric is None else metric
    return metric.distance(a, b, sample_rate=sample_rate, lengths=lengths, level=level, align=align)


def compare(
    a: AudioSource,
    b: AudioSource,
    *,
    sample_rate: int | None = None,
    lengths: Lengths | tuple[Lengths, Lengths] = None,
    level: Level = "match",
    align: Align = "auto",
    metric: Metric | None = None,
) -> Comparison | list[Comparison]:
    """Compare a reference with a test in detail: see `Metric.compare`."""
    metric = default_metric() if metric is None else metric
    return metric.compare(a, b, sample_rate=sample_rate, lengths=lengths, level=level, align=align)


def embed(
    x: AudioSource,
    *,
    sample_rate: int | None = None,
    lengths: Lengths = None,
    level: Level = "match",
    sequence: bool = False,
    kind: Kind = "sound",
    metric: Metric | None = None,
) -> Float[Tensor, "*batch dim"] | tuple[Tensor, Tensor]:
    """Embedding of a clip or a batch: see `Metric.embed`."""
    metric = default_metric() if metric is None else metric
    return metric.embed(
        x, sample_rate=sample_rate, lengths=lengths, level=level, sequence=sequence, kind=kind
    )
