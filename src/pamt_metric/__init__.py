"""A perceptual distance for music: how different two pieces of music sound to a person.

    >>> import pamt_metric as pamt
    >>> pamt.distance("reference.wav", "test.wav")  # 0: the same, 1: just noticeable

`distance`, `compare` and `embed` use the bundled model; `load` gets another one as a `Metric`.
"""

from pamt_metric.api import compare, distance, embed
from pamt_metric.checkpoint import load
from pamt_metric.comparison import Comparison, ModelInfo
from pamt_metric.errors import (
    CheckpointError,
    ConfigError,
    InputError,
    PamtError,
)
from pamt_metric.metric import Metric

__version__ = "0.3.0"
__all__ = [
    "CheckpointError",
    "Comparison",
    "ConfigError",
    "InputError",
    "Metric",
    "ModelInfo",
    "PamtError",
    "compare",
    "distance",
    "embed",
    "load",
]
