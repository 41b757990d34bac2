"""The listeners' values: one small file an experiment in `human/`, with source and confidence.

`confirmed` values were read in the publication or in a digitised copy of its figure, `memory` ones
were not: they serve orderings and shapes, and no threshold is held to them. `standard` ones are
those of a standard, not of people.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results_file import read_results

FOLDER = Path(__file__).with_name("human")
CONFIDENCES = ("confirmed", "memory", "standard")


@dataclass(frozen=True)
class HumanPoint:
    """A value of the listeners' mean, their standard deviation (NaN if unknown), and its source."""

    value: float
    sd: float
    confidence: str
    source: str

    @property
    def is_target(self) -> bool:
        """Whether a metric's threshold is held to it."""
        return self.confidence == "confirmed" and math.isfinite(self.sd)


def read(experiment: str, folder: Path = FOLDER) -> Mapping[tuple[str, float], HumanPoint]:
    """The listeners' points of an experiment, by curve and x; none where it has no file."""
    path = folder / f"{experiment}.csv"
    if not path.is_file():
        return {}
    table = read_results(path, ("x", "value", "sd"))
    columns = [table[name] for name in ("curve", "x", "value", "sd", "confidence", "source")]
    return {
        (curve, float(x)): HumanPoint(float(value), float(sd), confidence, source)
        for curve, x, value, sd, confidence, source in zip(*columns, strict=True)
    }
