"""Two processes that share a batch get what one process gets of it all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import distributed_loss

ROOT = Path(__file__).parents[1]
# Another order of sums.
TOLERANCE = 1e-3


@pytest.mark.slow
def test_loss_and_metric_over_two_processes(tmp_path):
    pytest.importorskip("torchmetrics")
    environment = os.environ | {
        "GLOO_SOCKET_IFNAME": "lo",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    }
    script = ROOT / "tests" / "support" / "distributed_loss.py"
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / "store"), str(rank), "2"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    found = []
    for process in processes:
        output, errors = process.communicate(timeout=280)
        assert process.returncode == 0, errors
        found.append(json.loads(output.splitlines()[-1]))
    alone = distributed_loss.run(0, 1)
    for result in found:
        assert result["gradient"] == pytest.approx(alone["gradient"], rel=TOLERANCE)
        assert result["mean"] == pytest.approx(alone["mean"], rel=TOLERANCE)
        assert result["state"] == ["module.filter.bias", "module.filter.weight"]
