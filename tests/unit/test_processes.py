"""Processes that share a step, as far as one process can tell."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pamt_metric.errors import ConfigError
from training.processes import Processes, make_accelerator


def two_processes(other):
    """Seen from the first, where the second holds `other` in what is reduced."""

    def reduce(mine, reduction):
        assert reduction == "mean"
        return (mine + other) / 2

    device = torch.device("cpu")
    return Processes(
        SimpleNamespace(num_processes=2, process_index=0, device=device, reduce=reduce)
    )


def test_gradients_are_averaged_and_none_is_invented():
    here, there, nowhere = (nn.Parameter(torch.zeros(1)) for _ in range(3))
    here.grad = torch.tensor([3.0])
    # Gradients of the three in the other process, then whether it has one of each.
    processes = two_processes(torch.tensor([1.0, 4.0, 0.0, 1.0, 1.0, 0.0]))
    processes.average_gradients([here, there, nowhere])
    assert here.grad.item() == 2.0
    assert there.grad is not None
    assert there.grad.item() == 2.0
    assert nowhere.grad is None


def test_parts_are_taken_in_turns():
    processes = two_processes(torch.zeros(1))
    assert [processes.mine(number) for number in range(4)] == [True, False, True, False]


def test_alone_a_process_keeps_its_parts_and_gradients():
    processes = Processes(make_accelerator("no"))
    part = (torch.ones(2, requires_grad=True),)
    (found,) = processes.exchange([part])
    assert found[0] is part[0]
    parameter = nn.Parameter(torch.zeros(1))
    processes.average_gradients([parameter])
    assert parameter.grad is None
    assert processes.any(flag=True)
    assert not processes.any(flag=False)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ConfigError, match="one of no, bf16, fp16, got 'fp8'"):
        make_accelerator("fp8")
