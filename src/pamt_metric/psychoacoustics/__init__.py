"""A differentiable model of hearing: excitation, loudness, masking, modulation, two ears."""

from pamt_metric.psychoacoustics.ear import TOKEN_GROUPS, Ear, EarTokens

__all__ = ["TOKEN_GROUPS", "Ear", "EarTokens"]
