"""Two functions at once: what they see of torch's state, and what is left of it afterwards."""

import threading

import pytest
import torch

import pamt_metric as pamt
from pamt_metric.threads import one_thread, side_by_side

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def state():
    return {
        "thread": threading.get_ident(),
        "threads": torch.get_num_threads(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
    }


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_each_side_has_a_thread_with_half_of_torchs_and_the_callers_mode(mode):
    with mode(), side_by_side(CPU) as both:
        first, second = both(state, state)
        own = state()
    assert own["threads"] == first["threads"] == second["threads"] == 2
    assert own["thread"] not in (first["thread"], second["thread"])
    for side in (first, second):
        assert {**side, "thread": 0} == {**own, "thread": 0}
    assert torch.get_num_threads() == 4


def test_the_sides_run_at_once():
    meet = threading.Barrier(2, timeout=60.0)
    with torch.no_grad(), side_by_side(CPU) as both:
        both(meet.wait, meet.wait)


def test_a_thread_that_begins_later_has_all_of_them():
    found = []
    with torch.no_grad(), side_by_side(CPU) as both:
        both(state, state)
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert found == [4]


@pytest.mark.parametrize("case", ["graph", "autocast", "one thread", "device"])
def test_one_after_the_other_where_threads_would_not_do(case):
    device = torch.device("meta") if case == "device" else CPU
    if case == "one thread":
        torch.set_num_threads(1)
    with (
        torch.set_grad_enabled(case == "graph"),
        torch.autocast("cpu", torch.bfloat16, enabled=case == "autocast"),
        side_by_side(device) as both,
    ):
        first, second = both(state, state)
    assert first == second
    assert first["thread"] == threading.get_ident()
    assert first["threads"] == (1 if case == "one thread" else 4)


def test_an_error_of_a_side_comes_through_and_leaves_the_threads():
    def fail():
        raise ValueError("no")

    with (
        pytest.raises(ValueError, match="no"),
        torch.no_grad(),
        side_by_side(CPU) as both,
    ):
        both(fail, state)
    assert torch.get_num_threads() == 4


def test_one_thread_and_then_all_again():
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 4


def test_loading_leaves_the_number_of_threads_alone():
    assert pamt.load().info.name == "pamt-mini"
    assert torch.get_num_threads() == 4
