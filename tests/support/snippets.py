"""The snippets of the pages: what stands in a block of code, and what the page says it prints."""

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
OUTPUT = "text"
_NUMBER = re.compile(r"-?\d+\.\d+")


@dataclass(frozen=True)
class Snippet:
    """One block of code."""

    page: str
    line: int
    language: str
    """First word after the fence; empty for an indented block."""
    text: str
    output: str | None = None
    """The block of plain text right under it: what it prints."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def find(page: Path) -> list[Snippet]:
    """All blocks of a page; of a directive, which is no code, the name is the language."""
    tokens = [t for t in MarkdownIt().parse(page.read_text(encoding="utf-8")) if t.map is not None]
    found = []
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type not in ("fence", "code_block"):
            continue
        assert token.map is not None
        found.append(
            Snippet(
                page=page.relative_to(ROOT).as_posix(),
                line=token.map[0] + 1,
                language=(token.info.split() or [""])[0],
                text=token.content,
                output=after.content if after is not None and after.info == OUTPUT else None,
            )
        )
    return found


def commands(shell: str) -> list[str]:
    """The commands of a block, continued lines joined."""
    lines = shell.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def matches(found: str, shown: str) -> bool:
    """Whether this was printed: words to the letter, decimals to one and a half last places.

    A line of three dots stands for any number of lines.
    """
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "..." else _loosely(line) + r"[ ]*\n"
        for line in shown.splitlines()
    )
    match = re.fullmatch(pattern, found if found.endswith("\n") else f"{found}\n")
    if match is None:
        return False
    expected = _NUMBER.findall(re.sub(r"(?m)^\s*\.\.\.$", "", shown))
    return all(map(_close, match.groups(), expected))


def _loosely(line: str) -> str:
    parts = _NUMBER.split(line.rstrip())
    return r"(-?\d+\.\d+)".join(re.sub(r"(\\ )+", " +", re.escape(part)) for part in parts)


def _close(found: str, expected: str) -> bool:
    places = len(expected.partition(".")[2])
    return abs(float(found) - float(expected)) <= 1.5 * 10.0**-places
