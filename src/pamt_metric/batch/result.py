"""What the scoring of one pair adds to its row."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from pamt_metric.comparison import Comparison

DIGITS = 6
"""Decimals of a written value; the same pair in another batch differs by less than 1e-4."""


@dataclass(frozen=True)
class Result:
    """The columns that a row gains.

    Attributes:
        distance: as in `Comparison`, and so the next three; None where the pair failed.
        fidelity: likewise.
        content: likewise.
        p_audible: likewise.
        status: "ok" or "failed".
        reason: why the pair failed, or a warning about a pair that did not; may be empty. Begins
            with a letter.
    """

    distance: float | None
    fidelity: float | None
    content: float | None
    p_audible: float | None
    status: str
    reason: str

    def cells(self) -> dict[str, Any]:
        """Value by column."""
        return asdict(self)

    @property
    def failed(self) -> bool:
        """Whether there is no distance."""
        return self.status != "ok"


COLUMNS = tuple(field.name for field in fields(Result))
"""Names of the columns, in their order."""


def scored(comparison: Comparison) -> Result:
    """The result of a pair that was compared."""
    warnings = "; ".join(comparison.warnings)
    return Result(
        distance=round(comparison.distance, DIGITS),
        fidelity=round(comparison.fidelity, DIGITS),
        content=round(comparison.content, DIGITS),
        p_audible=round(comparison.p_audible, DIGITS),
        status="ok",
        reason=f"warning: {warnings}" if warnings else "",
    )


def failed(reason: str) -> Result:
    """The result of a pair that could not be compared."""
    one_line = " ".join(reason.split())
    named = one_line if one_line[:1].isalpha() else f"error: {one_line}"
    return Result(None, None, None, None, "failed", named)


def from_cells(cells: Mapping[str, Any]) -> Result:
    """The result that a row of a written table holds."""
    return Result(
        distance=_number(cells["distance"]),
        fidelity=_number(cells["fidelity"]),
        content=_number(cells["content"]),
        p_audible=_number(cells["p_audible"]),
        status=str(cells["status"]),
        reason=str(cells["reason"] or ""),
    )


def _number(cell: Any) -> float | None:
    return None if cell in (None, "") else float(cell)
