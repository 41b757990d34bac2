"""A differentiable model of hearing: excitation, loudness, masking, modulation, two ears.

The functions share names with the modules they stand on; reach a module's own names by
`from pamt_metric.psychoacoustics.loudness import ...`.
"""

from pamt_metric.psychoacoustics.ear import TOKEN_GROUPS, Ear, EarTokens
from pamt_metric.psychoacoustics.measures import (
    Bands,
    fluctuation_strength,
    loudness,
    loudness_level,
    masked_threshold,
    roughness,
    sharpness,
    specific_loudness,
)

__all__ = [
    "TOKEN_GROUPS",
    "Bands",
    "Ear",
    "EarTokens",
    "fluctuation_strength",
    "loudness",
    "loudness_level",
    "masked_threshold",
    "roughness",
    "sharpness",
    "specific_loudness",
]
