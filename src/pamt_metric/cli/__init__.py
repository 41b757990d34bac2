"""The `pamt` command: score, embed and search audio files, get models, tell what is installed.

Every error is one line on stderr and exit code 2. Where one file of several fails, the others are
still scored, and the failed one keeps its reason.
"""

import os
import sys
from importlib import metadata
from typing import Annotated, Any, cast

import typer

from pamt_metric import interrupts
from pamt_metric.cli import many, models, pictures, report, score, search
from pamt_metric.cli.output import EXIT_INTERRUPTED, complain, fail
from pamt_metric.errors import PamtError

# click's own exception in older releases of typer, that of its own copy of click in newer ones
_UsageError: type[Exception] = typer.BadParameter.mro()[2]

app = typer.Typer(
    name="pamt",
    help="How different do two pieces of music sound to a person?",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for _command in (
    score.score,
    many.embed,
    many.matrix,
    search.search,
    pictures.plot,
    report.report,
    models.info,
    models.download,
    models.doctor,
):
    app.command()(_command)

VersionOption = Annotated[bool, typer.Option("--version", help="Print the version and exit.")]


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: VersionOption = False,  # noqa: FBT002 (typer calls it by name)
) -> None:
    if version:
        typer.echo(metadata.version("pamt-metric"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Entry point of the `pamt` command."""
    try:
        with interrupts.noticed():
            code = app(standalone_mode=False)
    except PamtError as error:
        fail(str(error))
    except _UsageError as error:
        fail(cast("Any", error).format_message())
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    if code == EXIT_INTERRUPTED:  # also what newer releases of typer make of an interrupt
        complain("interrupted")
        sys.stdout.flush()
        # At once: native threads may still be at work, and abort when the interpreter goes first.
        os._exit(EXIT_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)
