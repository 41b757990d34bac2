"""An interrupt is obeyed, even where it came in code that could not pass it on.

Python raises `KeyboardInterrupt` wherever it happens to be: from a destructor or a weak reference's
callback it is printed and dropped, and native code may turn it into an error of its own, which
would be taken for a damaged file. Under `noticed` an interrupt is remembered too, and the loop over
a list of pairs, the one place where errors become rows, asks for it.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_seen = threading.Event()


@contextmanager
def noticed() -> Iterator[None]:
    """Remembers interrupts, where they are Python's own to handle: not in a host's program."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    _seen.clear()
    signal.signal(signal.SIGINT, _remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _seen.clear()


def raise_missed() -> None:
    """Raises `KeyboardInterrupt` if there was one under `noticed`."""
    if _seen.is_set():
        raise KeyboardInterrupt


def _remember(number: int, frame: FrameType | None) -> None:
    _seen.set()
    signal.default_int_handler(number, frame)
