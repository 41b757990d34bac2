"""How Sphinx builds the site: `make docs`, `scripts/publish-docs`, or `tests/test_site.py`.

A warning is an error, nothing is fetched while building, and no page loads anything from elsewhere.
"""

import sys
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

import pamt_metric

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "pamt-metric"
version = release = pamt_metric.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "command_help",
    "written_signatures",
]
exclude_patterns = ["extensions", "templates"]
templates_path = ["templates"]

# What stands in single backticks in a docstring links to where that name is documented, if it is.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
napoleon_attr_annotations = False  # shapes such as "*batch frame" are no reStructuredText
napoleon_custom_sections = [("Source", "notes_style")]
add_module_names = False
maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

myst_heading_anchors = 3

html_theme = "furo"
html_copy_source = False
html_show_copyright = False
html_show_sourcelink = False


def setup(app: Sphinx) -> None:
    """Sphinx's hook."""
    app.add_lexer("csv", TextLexer)
