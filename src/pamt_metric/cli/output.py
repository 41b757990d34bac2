"""What every command writes in the same way: errors, and how far a long run is."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import NoReturn, TypeVar

import typer

from pamt_metric.errors import InputError

Item = TypeVar("Item")
Made = TypeVar("Made")

EXIT_OUT_OF_BOUNDS = 1
EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


def shown(text: str) -> str:
    """Text for a terminal, which no name is to steer: what cannot be read is spelled out."""
    return "".join(x if x.isprintable() else x.encode("unicode_escape").decode() for x in text)


def complain(message: str) -> None:
    """One line on stderr."""
    typer.echo("pamt: " + shown(" ".join(message.split())), err=True)


def fail(message: str, *, code: int = EXIT_ERROR) -> NoReturn:
    """One line on stderr, and out."""
    complain(message)
    sys.exit(code)


def exit_on_failures(reasons: Sequence[str]) -> None:
    """A line for each reason, and exit code 2 where there is one."""
    for reason in reasons:
        complain(reason)
    if reasons:
        raise typer.Exit(EXIT_ERROR)


@contextmanager
def progress(label: str, total: int, *, done: int = 0) -> Iterator[Callable[[int], None]]:
    """A bar with rate and remaining time on stderr, if that is a terminal; gives what moves it."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )

    class Rate(ProgressColumn):
        def render(self, task: Task) -> str:
            return f"{task.speed:.2f}/s" if task.speed else "-/s"

    console = Console(stderr=True)
    columns = TextColumn(label), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn()
    bar = Progress(*columns, console=console)
    task = bar.add_task(label, total=total, completed=done)
    # Not switched off by `disable`: most releases of rich then end it with an empty line.
    with bar if console.is_terminal else nullcontext():
        yield lambda count: bar.advance(task, count)


def each(
    files: Sequence[Item], make: Callable[[Item], Made]
) -> tuple[list[Item], list[Made], list[str]]:
    """What is made of each file: the files that went well, the results, why others did not."""
    done, made, reasons = [], [], []
    with progress("files", len(files)) as advance:
        for file in files:
            try:
                made.append(make(file))
                done.append(file)
            except InputError as error:
                reasons.append(str(error))
            advance(1)
    return done, made, reasons
