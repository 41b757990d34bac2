"""Embeddings of files, kept on disk by what they depend on: the file's content and the model.

```
CACHE/<hash of model, version and level>/<hash of the file's content>.npy
```

A file that was moved is found again, one that was changed is not. Entries appear whole; one that
is damaged all the same is made anew.
"""

import hashlib
import io
import os
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Float
from torch import Tensor

from pamt_metric import audio
from pamt_metric.batch import cache_file
from pamt_metric.batch.contents import Contents
from pamt_metric.errors import InputError
from pamt_metric.metric import Level, Metric
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE


def default_folder() -> Path:
    """`pamt-metric` in the user's cache folder."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "pamt-metric" / "embeddings"


class EmbeddingCache:
    """Embeddings by one model.

    Args:
        folder: where to keep them; made if it is not there.
        metric: the model.
        contents: hashes of the files.
        version: of the package, whose ear the embeddings depend on.
        level: as for `Metric.embed`.
        max_duration: as for `audio.load`.

    Attributes:
        folder: of this model's entries.

    Raises:
        InputError: the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        metric: Metric,
        contents: Contents,
        *,
        version: str,
        level: Level = "match",
        max_duration: float | None = None,
    ) -> None:
        self.metric = metric
        self.contents = contents
        self.level: Level = level
        self.max_duration = max_duration
        made_by = f"{metric.info.sha256} {version} {level}"
        self.folder = folder / hashlib.sha256(made_by.encode()).hexdigest()[:16]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write the cache {folder}: {error.strerror}") from error

    def embed(self, path: Path) -> Float[np.ndarray, "dim"]:
        """The embedding of a file, from the cache if it is there.

        Raises:
            InputError: the file, or the cache, cannot be used; the message says why.
        """
        content = self.contents.sha256(path)
        entry = self.folder / f"{content}.npy"
        try:
            return np.load(entry)
        except (OSError, ValueError, EOFError):  # not there, or damaged
            embedding = self._embed(path)
        if self.contents.sha256(path) != content:
            raise InputError(f"{str(path)!r}: changed while it was read; is it being written to?")
        self._keep(entry, embedding)
        return embedding

    def _embed(self, path: Path) -> Float[np.ndarray, "dim"]:
        clip = audio.load(path, target_rate=SAMPLE_RATE, max_duration=self.max_duration)
        found = self.metric.embed(clip.waveform[0], sample_rate=SAMPLE_RATE, level=self.level)
        return cast("Tensor", found).cpu().numpy()

    def _keep(self, entry: Path, embedding: Float[np.ndarray, "dim"]) -> None:
        content = io.BytesIO()
        np.save(content, embedding)
        cache_file.write(entry, content.getvalue())
