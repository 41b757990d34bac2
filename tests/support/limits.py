"""A disk that is full, and folders that may not be written, as far as one process can have them."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

NOBODY = 65_534


@contextmanager
def files_of_at_most(n_bytes: int) -> Iterator[None]:
    """Writing beyond fails with "File too large", as a full disk does with its own words."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def without_privilege() -> Iterator[None]:
    """Root may write everywhere; as nobody, permissions count."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
