"""The output of a run that may be killed at any time, and go on where it stopped.

```
out.csv.run.json   what the values depend on: the list of pairs, the model, the options
out.csv.part       one line of JSON for each pair that is done, in order; only ever appended to
out.csv            the output, which appears whole when the last pair is done; then `.part` goes
```

A line that a kill cut in two has no end and is dropped on resuming; nothing is done twice, since
the number of whole lines is the number of pairs done.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pamt_metric.batch import table
from pamt_metric.batch.pairs import PairList
from pamt_metric.batch.result import COLUMNS, Result, from_cells
from pamt_metric.errors import InputError

Identity = dict[str, Any]
_WORDS = {
    "pairs_sha256": "another list of pairs",
    "n_pairs": "another list of pairs",
    "model": "another model",
    "level": "another --level",
    "align": "another --align",
    "max_duration": "another --max-duration",
    "version": "another version of pamt-metric",
}


class Journal:
    """Results of one run, on disk as soon as they are there.

    Args:
        output: the file that the run is to give.
        listed: the pairs.
        identity: what the values depend on besides the pairs; plain JSON values.
        resume: go on with what an earlier run has done, if one has.

    Attributes:
        results: those that are there, in the order of the pairs.

    Raises:
        InputError: the output cannot be written, is there already, or belongs to another run.
    """

    def __init__(self, output: Path, listed: PairList, identity: Identity, *, resume: bool) -> None:
        self.output = output
        self.listed = listed
        self.results: list[Result] = []
        self._part = output.with_name(f"{output.name}.part")
        self._run = _run_file(output)
        self._finished = False
        identity = {
            **identity,
            "pairs": listed.origin,
            "folder": _relative(listed.folder, output.parent),
            "pairs_sha256": listed.sha256(),
            "n_pairs": len(listed.pairs),
        }
        with _writing(output):
            started = self._part.exists() or output.exists()
            if started and not resume:
                self._refuse_overwriting()
            if started:
                self._check_identity(identity)
                self._take_over()
            else:
                _replace_text(self._run, json.dumps(identity, indent=2) + "\n")
                self._part.touch()

    def append(self, results: Sequence[Result]) -> None:
        """Put results behind those that are there."""
        with _writing(self._part), self._part.open("a", encoding="utf-8") as stream:
            stream.writelines(f"{json.dumps(result.cells())}\n" for result in results)
            _sync(stream)
        self.results += results

    def finish(self) -> None:
        """Write the output and take the partial one away."""
        if self._finished:
            return
        columns = [*self.listed.columns, *COLUMNS]
        with _writing(self.output):
            table.write(self.output, columns, rows(self.listed, self.results))
            self._part.unlink()

    def _refuse_overwriting(self) -> None:
        if self._part.exists():
            raise InputError(
                f"{self._part} is of a run that has not ended: go on with --resume, or remove it"
            )
        raise InputError(f"{self.output} is there already: remove it or name another")

    def _check_identity(self, identity: Identity) -> None:
        if not self._run.is_file():
            raise InputError(f"cannot resume {self.output}: {self._run.name} is missing")
        try:
            before = json.loads(self._run.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"cannot resume {self.output}: {self._run} is damaged") from error
        for name, words in _WORDS.items():
            if before.get(name) != identity[name]:
                found, expected = _short(before.get(name)), _short(identity[name])
                raise InputError(
                    f"cannot resume {self.output}: it was begun with {words} ({found}, now "
                    f"{expected}); name another output"
                )

    def _take_over(self) -> None:
        """Read what is done, and drop the end of a line that a kill cut in two."""
        if not self._part.exists():
            self._take_finished()
            return
        with self._part.open("r+b") as stream:
            content = stream.read()
            whole = content.rfind(b"\n") + 1
            stream.truncate(whole)
        lines = content[:whole].splitlines()
        try:
            self.results = [from_cells(json.loads(line)) for line in lines]
        except ValueError as error:
            raise InputError(f"cannot resume: {self._part} is damaged; remove it") from error

    def _take_finished(self) -> None:
        found = table.read(self.output)
        if len(found.rows) != len(self.listed.pairs):
            raise InputError(
                f"cannot resume {self.output}: it has {len(found.rows)} rows for "
                f"{len(self.listed.pairs)} pairs; was it edited?"
            )
        self.results = [from_cells(row.cells) for row in found.rows]
        self._finished = True


def rows(listed: PairList, results: Sequence[Result]) -> list[table.Cells]:
    """Cells of the pairs, with those of their results."""
    both = zip(listed.pairs, results, strict=True)
    return [{**pair.cells, **result.cells()} for pair, result in both]


def recorded(output: Path) -> Identity | None:
    """What the values of a written output depend on; None where there is no record beside it.

    Raises:
        InputError: the record cannot be read.
    """
    run = _run_file(output)
    if not run.is_file():
        return None
    try:
        found = json.loads(run.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{run} is damaged; remove it") from error
    if not isinstance(found, dict):
        raise InputError(f"{run} is damaged; remove it")
    return found


def _run_file(output: Path) -> Path:
    return output.with_name(f"{output.name}.run.json")


def _relative(folder: Path, start: Path) -> str:
    """The folder as seen from `start`, so that both can move together."""
    try:
        return os.path.relpath(folder, start)
    except ValueError:  # another drive of Windows
        return str(folder.resolve())


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def _replace_text(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.tmp")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(text)
        _sync(stream)
    partial.replace(path)


def _sync(stream: IO[str]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value.get('name')} {value.get('version')} {str(value.get('sha256'))[:8]}"
    return str(value)[:12]
