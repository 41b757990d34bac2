"""The encoder's own benchmark, on an encoder that takes no time."""

import pytest
import torch
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import encoder as suite
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.errors import InputError
from tests.conftest import TINY_ENCODER


@pytest.fixture
def tiny(monkeypatch):
    def make(name, **timing):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return MertEncoder(TINY_ENCODER | timing, normalize=True)

    monkeypatch.setattr(suite, "make", make)


def test_nearness_is_of_what_differs():
    whole = torch.randn(2, 50, 8, generator=torch.Generator().manual_seed(0))
    same = suite.nearness(whole, whole)
    assert same["error"] == 0.0
    assert same["frame"] == pytest.approx(1.0) == same["pooled"]
    half = whole.clone()
    half[1] = 2.0 * whole[1]  # another length, the same direction
    assert suite.nearness(half, whole)["frame"] == pytest.approx(1.0)
    # The error is relative to what frames differ by: as large as they are, about.
    assert suite.nearness(half, whole)["error_worst"] == pytest.approx(1.0, abs=0.05)


def test_windows_as_long_as_the_clip_are_left_out(tiny):
    clip = suite.noise(10 * 24_000), 24_000
    table = suite.windows("tiny", {"noise": clip, "short": (clip[0][:100], 24_000)}, seconds=[10])
    assert set(table["clip"]) == {"noise"}
    assert max(table["window_s"]) == 5
    assert table["error"].between(1e-6, 0.5).all()


def test_unknown_parts_are_refused():
    result = CliRunner().invoke(command.app, ["encoder", "--part", "sped"])
    assert isinstance(result.exception, InputError)
    assert "speed, memory, windows" in str(result.exception)
