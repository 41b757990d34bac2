"""How many threads work on what: the two sides of a pair at once, each on half of them.

A clip goes through hundreds of short operations, and threads that share each of them wait for one
another hundreds of times; on a busy machine that takes longer than the work. Two sides share
nothing, so a thread each needs to wait once. Each side runs the same operations in the same order
as the other: swapping the two changes nothing, to the bit.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

Make = Callable[[], Any]
AtOnce = Callable[..., list[Any]]


def in_turn(*makes: Make) -> list[Any]:
    """One function after the other."""
    return [make() for make in makes]


@contextmanager
def one_thread() -> Iterator[None]:
    """One of torch's threads for what is between: many short operations, such as loading."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


@contextmanager
def side_by_side(device: torch.device) -> Iterator[AtOnce]:
    """Gives what runs functions, two at a time, and halves torch's threads for what is between.

    The functions run one after the other where a graph is recorded or autocast is on, which are
    states of a thread, on other devices than the processor, and where the caller wants one thread.
    """
    n_threads = torch.get_num_threads()
    alone = torch.is_grad_enabled() or torch.is_autocast_enabled("cpu")
    if n_threads < 2 or device.type != "cpu" or alone:
        yield in_turn
        return
    inference = torch.is_inference_mode_enabled()

    def run(make: Make) -> Any:
        torch.set_num_threads(n_threads // 2)  # of this thread, as torch counts them
        with torch.inference_mode(inference), torch.no_grad():
            return make()

    def at_once(*makes: Make) -> list[Any]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(run, makes))

    torch.set_num_threads(n_threads // 2)
    try:
        yield at_once
    finally:
        torch.set_num_threads(n_threads)
