"""What a run gave as a whole: how many, the spread of the distances, and what is out of bounds."""

import math
from collections.abc import Sequence

from pamt_metric.batch.result import Result

QUANTILES = {"least": 0.0, "10 %": 0.1, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "90 %": 0.9,
             "most": 1.0}  # fmt: skip


def lines(results: Sequence[Result]) -> list[str]:
    """The summary: counts, and quantiles of the distance over the pairs that have one."""
    distances = sorted(result.distance for result in results if result.distance is not None)
    n_failed = len(results) - len(distances)
    found = [f"{len(distances)} ok, {n_failed} failed"]
    if distances:
        spread = (f"{name} {quantile(distances, at):.3f}" for name, at in QUANTILES.items())
        found.append(f"distance: {', '.join(spread)}")
    return found


def quantile(ascending: Sequence[float], share: float) -> float:
    """Quantile by linear interpolation between the two nearest values."""
    position = share * (len(ascending) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ascending) - 1)
    part = position - below
    return (1.0 - part) * ascending[below] + part * ascending[above]


def out_of_bounds(
    distances: Sequence[float], *, fail_under: float | None, fail_over: float | None
) -> str | None:
    """What to say of distances under the one bound or over the other; None where there is none."""
    parts = []
    if fail_under is not None and (under := [x for x in distances if x < fail_under]):
        parts.append(f"{len(under)} of {len(distances)} under {fail_under:g} ({min(under):.3f})")
    if fail_over is not None and (over := [x for x in distances if x > fail_over]):
        parts.append(f"{len(over)} of {len(distances)} over {fail_over:g} ({max(over):.3f})")
    return "distance out of bounds: " + ", ".join(parts) if parts else None
