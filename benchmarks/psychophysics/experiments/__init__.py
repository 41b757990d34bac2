"""The experiments, by their letter: what was heard, how it is measured, what it is held to."""

from benchmarks.psychophysics.experiment import Experiment
from benchmarks.psychophysics.experiments import (
    forward,
    intensity,
    loudness,
    masking,
    pitch,
    quiet,
    sensation,
    temporal,
)

MODULES = (quiet, loudness, intensity, pitch, masking, forward, temporal, sensation)
EXPERIMENTS: dict[str, Experiment] = {
    each.id: each
    for each in sorted((e for m in MODULES for e in m.EXPERIMENTS), key=lambda each: each.id)
}

__all__ = ["EXPERIMENTS"]
