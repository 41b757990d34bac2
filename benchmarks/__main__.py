"""`python -m benchmarks`: data, agreement, crossval, orderings, sanity, psychophysics and more."""

import sys

import typer

from benchmarks.commands import agreement, cost, listening, probes, report, robustness
from pamt_metric.errors import PamtError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for command in (
    agreement.data,
    agreement.agreement,
    agreement.crossval,
    probes.orderings,
    probes.sanity,
    listening.psychophysics,
    robustness.robustness,
):
    app.command()(command)
app.command(name="ear-speed")(cost.time_ear)
for command in (cost.speed, cost.encoder, cost.loss, cost.search, report.report):
    app.command()(command)


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; every error that the package raises becomes one line and code 2."""
    try:
        app(arguments)
    except PamtError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
