"""The pairs that are to be scored, whatever they come from.

A pair that cannot be scored is still a pair: it keeps its place and its reason, so that the output
has one row for each row that came in.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pamt_metric.batch import table
from pamt_metric.batch.sources import Location


@dataclass(frozen=True)
class Pair:
    """One row of the output before it is scored.

    Attributes:
        cells: what goes through to the output as it came.
        reference: sound to compare with.
        test: sound to score.
        start: second from which both are compared.
        end: second up to which both are compared; None for their ends.
        problem: why the pair cannot be scored; None where it can be tried.
    """

    cells: table.Cells
    reference: Location = Path()
    test: Location = Path()
    start: float = 0.0
    end: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class PairList:
    """Pairs in their order.

    Attributes:
        columns: names of the cells that go through.
        pairs: one for each row of the output.
        origin: where the pairs come from, in words.
        folder: what relative paths are relative to.
    """

    columns: list[str]
    pairs: list[Pair]
    origin: str
    folder: Path

    def sha256(self) -> str:
        """Hash of all cells and of the folder: two lists that are equal in it are one list."""
        content = [self.columns, str(self.folder.resolve()), [pair.cells for pair in self.pairs]]
        return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()


def of_files(reference: str, test: str) -> Pair:
    """A pair of two files whose names are its only cells."""
    cells = {"reference": table.path_cell(reference), "test": table.path_cell(test)}
    return Pair(cells, Path(reference), Path(test))


def from_files(reference: str, tests: Sequence[str]) -> PairList:
    """One reference against many tests."""
    pairs = [of_files(reference, test) for test in tests]
    return PairList(["reference", "test"], pairs, "the command line", Path())
