"""An approximate index of embeddings, for folders too large to load every embedding at each search.

A graph of near neighbours (HNSW, by usearch) over the embeddings of one folder, kept beside them in
the cache of their model:

```
CACHE/<hash of model, version and level>/<hash of the folder's path>.index   sha256, then the graph
```

Its keys are hashes of content, so an entry is as stale as its file: a moved file keeps its entry, a
changed one has none. Contents that are new are added; where one went, the graph is built anew, as
holes in a graph cost recall. What it finds comes with exact distances of the embeddings.
"""

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pamt_metric.batch import cache_file
from pamt_metric.errors import InputError

FROM_FILES = 10_000
"""Files from which on an index is used unasked: loading their embeddings takes a second, and so
does building the index, once."""
# Twice the library's own effort in each search, for recall.
CONNECTIVITY, EXPANSION_ADD, EXPANSION_SEARCH = 16, 128, 128
_DIGEST_BYTES = 32


def is_installed() -> bool:
    """Whether usearch is."""
    return find_spec("usearch") is not None


class VectorIndex:
    """The index of one folder.

    Args:
        file: where it is kept.
        contents: hashes of what the folder holds now; what the file has beyond is dropped.

    Raises:
        InputError: usearch is not installed.
    """

    def __init__(self, file: Path, contents: Sequence[str]) -> None:
        if not is_installed():
            raise InputError(
                "an approximate index needs usearch, which is not installed: "
                "pip install 'pamt-metric[search]'"
            )
        self._file = file
        self._graph = _stored(file)
        known = {content for content in contents if self._holds(content)}
        if self._graph is not None and len(self._graph) > len(known):
            self._graph, known = None, set()
        self.lacking = sorted(set(contents) - known)
        """Contents whose embeddings are to be added."""

    def add(self, contents: Sequence[str], embeddings: Float[np.ndarray, "content dim"]) -> None:
        """Take up embeddings and keep the index.

        Raises:
            InputError: the cache cannot be written.
        """
        if self._graph is None:
            self._graph = _empty(embeddings.shape[1])
        keys = np.array([_key(content) for content in contents], np.uint64)
        # On one thread: several build another graph each time, and now and then one with holes.
        self._graph.add(keys, embeddings, threads=1)
        graph = bytes(self._graph.save())
        cache_file.write(self._file, hashlib.sha256(graph).digest() + graph)

    def nearest(
        self, query: Float[np.ndarray, "dim"], contents: Sequence[str], *, top: int
    ) -> list[tuple[int, float]]:
        """Position in `contents` and Euclidean distance of about the nearest, the nearest first."""
        if self._graph is None:
            return []
        places: dict[int, list[int]] = {}
        for position, content in enumerate(contents):
            places.setdefault(_key(content), []).append(position)
        found = self._graph.search(query, min(top, len(self._graph)))
        pairs = zip(found.keys.tolist(), found.distances.tolist(), strict=True)
        hits = [(at, square**0.5) for key, square in pairs for at in places[key]]
        return hits[:top]

    def _holds(self, content: str) -> bool:
        return self._graph is not None and _key(content) in self._graph


def _key(content: str) -> int:
    return int(content[:16], 16)


def _empty(dim: int) -> Any:
    from usearch.index import Index

    return Index(
        ndim=dim,
        metric="l2sq",
        dtype="f32",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=EXPANSION_SEARCH,
    )


def _stored(file: Path) -> Any:
    """The graph of a file; None where there is none, or a damaged one."""
    from usearch.index import Index

    try:
        content = file.read_bytes()
    except OSError:
        return None
    digest, graph = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(graph).digest() != digest:
        return None
    restored: Any = Index.restore(graph)
    restored.expansion_search = EXPANSION_SEARCH  # not kept
    return restored
