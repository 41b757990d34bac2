"""What files hold, by hash, without reading again what has not changed.

```
CACHE/contents/<hash of the folder's path>.json   path: [size, times of change, inode, sha256]
```

The time of a file's last change of any kind (`st_ctime`) cannot be set back, so a file that was
overwritten under its old date counts as changed. Two changes within one tick of the clock look
alike, so a file that was just written is not remembered.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pamt_metric.batch import cache_file
from pamt_metric.errors import InputError

SETTLED_S = 2.0
"""Age of a file's last change, in seconds, beyond which a clock tells it from the next: FAT's is
the coarsest."""
State = list[int]


class Contents:
    """Hashes of the files of one folder; see `remembered`."""

    def __init__(self, known: dict[str, tuple[State, str]]) -> None:
        self.known = known
        """What was true when it was last kept."""
        self.found: dict[str, tuple[State, str]] = {}
        """What is true now, and settled."""

    def sha256(self, path: Path) -> str:
        """Hash of the file's content.

        Raises:
            InputError: the file cannot be read.
        """
        try:
            state = _state(path.stat())
            known_state, content = self.known.get(str(path), (None, ""))
            if known_state != state:
                with path.open("rb") as stream:
                    content = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"{str(path)!r}: cannot be read: {error.strerror}") from error
        if time.time() - max(state[1:3]) / 1e9 > SETTLED_S:
            self.found[str(path)] = (state, content)
        return content


@contextmanager
def remembered(cache: Path, folder: Path) -> Iterator[Contents]:
    """The hashes of a folder's files, kept in the cache when all went well.

    Raises:
        InputError: the cache cannot be written.
    """
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    file = cache / "contents" / f"{name}.json"
    contents = Contents(_read(file))
    yield contents
    if contents.found == contents.known:
        return
    cache_file.write(file, json.dumps(contents.found).encode())


def _read(file: Path) -> dict[str, tuple[State, str]]:
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return {path: (state, content) for path, (state, content) in stored.items()}
    except (OSError, ValueError, AttributeError, TypeError):  # not there, or damaged
        return {}


def _state(found: os.stat_result) -> State:
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
