"""Published listening experiments with a metric as the listener."""

from benchmarks.psychophysics.section import draw
from benchmarks.psychophysics.suite import (
    FILE_NAME,
    SIGMA,
    TIERS,
    chosen,
    counts,
    read,
    run,
    write,
)

__all__ = ["FILE_NAME", "SIGMA", "TIERS", "chosen", "counts", "draw", "read", "run", "write"]
