"""The directive `pamt-commands`: the help of every command, as a terminal of 80 columns has it."""

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from pamt_metric.cli import app as pamt

WIDTH = 80


class PamtCommands(SphinxDirective):
    """A section for `pamt` itself, then one for each command."""

    def run(self) -> list[nodes.Node]:
        """The sections."""
        group = typer.main.get_command(pamt)
        top = group.context_class(group, info_name="pamt", terminal_width=WIDTH)
        sections = [_section("pamt", group.get_help(top))]
        for name in group.list_commands(top):
            command = group.get_command(top, name)
            context = command.context_class(
                command, info_name=name, parent=top, terminal_width=WIDTH
            )
            sections.append(_section(f"pamt {name}", command.get_help(context)))
        return sections


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's hook."""
    app.add_directive("pamt-commands", PamtCommands)
    return {"parallel_read_safe": True}


def _section(title: str, text: str) -> nodes.section:
    section = nodes.section(ids=[title.replace(" ", "-")], names=[title])
    section += nodes.title("", title)
    section += nodes.literal_block("", text, language="text")
    return section
