"""Markdown that the report is made of."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar inside a cell becomes a slash."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def image(path: Path, output: Path, text: str) -> str:
    """A picture, given relative to the file that shows it."""
    target = os.path.relpath(path.resolve(), output.resolve().parent)
    return f"![{text}]({Path(target).as_posix()})"
