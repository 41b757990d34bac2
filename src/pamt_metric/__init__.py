"""A perceptual distance for music: how different two pieces of music sound to a person.

    >>> import pamt_metric as pamt
    >>> pamt.distance("reference.wav", "test.wav")  # 0: the same, 1: just noticeable

`distance`, `compare` and `embed` use the bundled model; `load` gets another one as a `Metric`.
`PerceptualLoss` is the distance as a loss, `pairwise_distances` that of all pairs,
`torchmetrics.PerceptualDistance` a `torchmetrics.Metric`, and `evaluate.PerceptualDistance` has the
methods of a metric of Hugging Face's `evaluate`.
"""

import importlib
import os
import typing

# A shell that asks what may come next (`pamt <TAB>`) sets this for that one process; torch takes
# seconds to import, and completion needs nothing of it.
if typing.TYPE_CHECKING or "_PAMT_COMPLETE" not in os.environ:
    from pamt_metric.api import compare, distance, embed
    from pamt_metric.checkpoint import load
    from pamt_metric.comparison import Comparison, ModelInfo
    from pamt_metric.errors import CheckpointError, ConfigError, InputError, PamtError
    from pamt_metric.metric import Metric
    from pamt_metric.pairwise import pairwise_distances
if typing.TYPE_CHECKING:
    from pamt_metric.loss import PerceptualLoss

__version__ = "0.5.0"
__all__ = [
    "CheckpointError",
    "Comparison",
    "ConfigError",
    "InputError",
    "Metric",
    "ModelInfo",
    "PamtError",
    "PerceptualLoss",
    "compare",
    "distance",
    "embed",
    "load",
    "pairwise_distances",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> typing.Any:
    """What brings torch's compiler or an optional package with it, when it is first asked for."""
    if name == "PerceptualLoss":
        return importlib.import_module("pamt_metric.loss").PerceptualLoss
    if name in ("evaluate", "torchmetrics"):
        return importlib.import_module(f"pamt_metric.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
