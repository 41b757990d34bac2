"""The benchmark of what a training step with the loss costs."""

import io

import pandas as pd
import torch
from rich.console import Console

from benchmarks import loss_cost, tables
from pamt_metric import PerceptualLoss


def test_a_step_is_measured(tiny_metric):
    loss = PerceptualLoss(tiny_metric, sample_rate=loss_cost.SAMPLE_RATE)
    row = loss_cost.step(0.5, 2, loss)
    assert row["cpu_s"] > 0.0
    assert row["peak_mb"] >= 0


def test_every_cell_is_written_and_shown(tmp_path, monkeypatch):
    def measure(seconds, batch, loss):
        return {"cpu_s": 2.0 * seconds, "peak_mb": 100 * batch // (1 + loss.checkpoint)}

    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(loss_cost, "measure", measure)
    seen = []
    result = loss_cost.run(
        tmp_path / "cost.csv", lengths_s=(1, 4), batches=(4,), on_cell=seen.append
    )
    assert len(result) == len(seen) == 4
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "cost.csv"), result)
    output = io.StringIO()
    Console(width=100, file=output).print(tables.loss_cost(result))
    shown = output.getvalue()
    assert [cell.strip() for cell in shown.splitlines()[-2].strip("│ ").split("│")] == [
        *("4 s", "4", "8.0", "400", "8.0", "200")
    ]
