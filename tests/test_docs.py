"""The pages in docs/ are true: their Python runs."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("loss.md", "integrations.md")
BLOCKS = [
    (page, block)
    for page in PAGES
    for block in re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(), re.M | re.S)
]
OPTIONAL = ("torchmetrics", "versa", "sklearn")


def test_every_page_shows_python():
    assert {page for page, _ in BLOCKS} == set(PAGES)


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_block_runs(index):
    page, block = BLOCKS[index]
    for package in OPTIONAL:
        if re.search(rf"\b{package}\.", block) and importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    exec(compile(block, f"{page}, Python block {index}", "exec"), {})  # noqa: S102
