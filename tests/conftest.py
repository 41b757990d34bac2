"""What holds for every test: no network, no slow test unasked, no random state left behind.

Nothing here may import `pamt_metric` while this file loads: the hook that checks the array shapes
in its signatures is installed only afterwards.
"""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import hypothesis
import pytest
import torch

from tests.support import shell

if TYPE_CHECKING:
    from pamt_metric import Metric

# As the bundled model's encoder, and tiny.
TINY_ENCODER = {
    "conv_dim": [16] * 7,
    "feat_extract_norm": "layer",
    "conv_bias": True,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
TINY_HEAD = {
    "encoder_layers": [0, 1, 2],
    "encoder_width": 32,
    "width": 32,
    "n_blocks": 2,
    "n_heads": 2,
    "dim": 16,
}

LOOPBACK = ("127.0.0.1", "localhost", "::1")

# Read by child processes too; their import of the Hub client sees it.
os.environ["HF_HUB_OFFLINE"] = "1"

# The examples are drawn anew from the test's own name each time, so a run can be repeated. No
# deadline: the time that one example takes says more about the machine's load than about the code.
hypothesis.settings.register_profile("pamt", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("pamt")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("PAMT_TEST_SLOW") == "1":
        return
    skip = pytest.mark.skip(reason="slow; PAMT_TEST_SLOW=1 runs it")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail at once where a test would reach for another machine; this one stays in reach."""

    def refuse(host: object) -> NoReturn:
        raise AssertionError(f"a test may not use the network, and this one asked for {host!r}")

    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connect_locally(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            refuse(address)
        connect(self, address)

    def look_up_locally(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in LOOPBACK:
            refuse(host)
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_locally)
    monkeypatch.setattr(socket.socket, "connect", connect_locally)


@pytest.fixture(autouse=True)
def seeded_torch() -> Iterator[None]:
    """Start each test from one global seed, so that fresh modules get the same weights each time.

    Tests draw their signals from generators of their own; only `nn.Module` initialisation is left
    to the global one.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="session")
def tiny_head_config() -> dict[str, Any]:
    """Arguments of the head inside `tiny_metric`."""
    return dict(TINY_HEAD)


@pytest.fixture(scope="session")
def tiny_metric() -> "Metric":
    """A whole metric with random weights, frozen; shared, so leave it as it is."""
    from pamt_metric.encoders.mert import MertEncoder
    from pamt_metric.head import SequenceHead
    from pamt_metric.metric import Metric

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        metric = Metric(MertEncoder(TINY_ENCODER, normalize=False), SequenceHead(**TINY_HEAD))
    return metric.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def pamt(folder: Path) -> Iterator[Callable[..., Any]]:
    """Runs the `pamt` command in the folder of the test file, `folder`."""
    with shell.server(folder) as run:
        yield run
