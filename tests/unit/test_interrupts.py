"""Interrupts that came where they could not be passed on."""

import signal
import threading

import pytest

from pamt_metric import interrupts


@pytest.fixture(autouse=True)
def pythons_own_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_and_swallow():
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_one_that_was_swallowed_is_raised_again():
    with interrupts.noticed():
        interrupts.raise_missed()
        interrupt_and_swallow()
        with pytest.raises(KeyboardInterrupt):
            interrupts.raise_missed()
    interrupts.raise_missed()


def test_the_handler_is_put_back():
    with interrupts.noticed():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_host_keeps_its_own_handler():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts.noticed():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_outside_the_main_thread_nothing_is_touched():
    found = []

    def enter():
        with interrupts.noticed():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
