"""Published listening experiments with a metric as the listener."""

from benchmarks.psychophysics.suite import TIERS, chosen, counts, run, write

__all__ = ["TIERS", "chosen", "counts", "run", "write"]
