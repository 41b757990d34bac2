"""The report, written from the result files."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks import report as report_file
from benchmarks.commands.shared import RESULTS, console

REPORT = Path(report_file.__file__).with_name("REPORT.md")


def report(
    *,
    results: Annotated[Path, typer.Option(help="Folder of the CSV files.")] = RESULTS,
    output: Annotated[Path, typer.Option(help="The report; plots go beside the results.")] = REPORT,
) -> None:
    """Write tables and plots from the result files alone; no metric runs."""
    report_file.write(results, output)
    console.print(f"wrote {output}", highlight=False, soft_wrap=True)
