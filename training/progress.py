"""What a run shows and records: log lines, a progress bar, losses, and a request to stop."""

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

LOSSES_FILE = "losses.jsonl"
STOPPED = 128 + signal.SIGTERM
"""Exit code of a run that a signal ended early: the stage after it must not begin."""

_console = Console(stderr=True)


def set_up_logging() -> None:
    """Lines with a time on stderr; above the progress bar where there is one.

    Of several processes, all but the first say only what is wrong.
    """
    level = logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING
    if _console.is_terminal:
        handler: logging.Handler = RichHandler(console=_console, show_path=False)
        logging.basicConfig(level=level, format="%(message)s", handlers=[handler])
    else:
        logging.basicConfig(level=level, format="%(asctime)s %(message)s")


class Bar:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task = progress.add_task(name, total=None, loss="")

    def show(self, step: int, end: int, loss: float) -> None:
        """Say where the run stands."""
        self._progress.update(self._task, completed=step, total=end, loss=f"loss {loss:.4f}")


@contextmanager
def progress_bar(name: str, *, shown: bool) -> Iterator[Bar]:
    """A bar with steps, the last loss and the time that is left."""
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    columns += [TextColumn("{task.fields[loss]}"), TimeRemainingColumn()]
    off = not (shown and _console.is_terminal)
    with Progress(*columns, console=_console, disable=off) as progress:
        yield Bar(progress, name)


class Journal:
    """Losses as lines of JSON and as TensorBoard scalars, from the step that a run starts at.

    What a killed run wrote beyond its checkpoint is dropped: those steps are taken again.
    """

    def __init__(self, work: Path, step: int) -> None:
        work.mkdir(parents=True, exist_ok=True)
        path = work / LOSSES_FILE
        if path.is_file():
            _drop_after(path, step)
        self._lines = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(work / "tensorboard"), purge_step=step + 1)

    def write(self, split: str, step: int, values: dict[str, float]) -> None:
        """Record a step's values of one split, `train` or `validation`."""
        rounded = {name: round(value, 6) for name, value in values.items()}
        self._lines.write(json.dumps({"split": split, "step": step, **rounded}) + "\n")
        self._lines.flush()
        for name, value in values.items():
            self._board.add_scalar(f"{split}/{name}", value, step)

    def close(self) -> None:
        """Write what is still held back."""
        self._lines.close()
        self._board.close()


def _drop_after(path: Path, step: int) -> None:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    # The last line of a killed run may be cut.
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    partial = path.with_suffix(".tmp")
    partial.write_text("".join(kept), encoding="utf-8")
    partial.replace(path)


class StopRequest:
    """Turns SIGTERM and SIGINT into a flag that a loop reads between steps."""

    def __init__(self) -> None:
        self.received = False

    def __enter__(self) -> "StopRequest":
        numbers = (signal.SIGTERM, signal.SIGINT)
        self._before = {number: signal.signal(number, self._receive) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, *_: object) -> None:
        self.received = True


def exit_stopped() -> None:
    """End the command so that a script of several stages ends too."""
    sys.exit(STOPPED)


def short(values: dict[str, float]) -> str:
    """Values for a log line."""
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items())
