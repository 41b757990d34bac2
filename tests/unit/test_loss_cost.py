"""The benchmark of what a training step with the loss costs."""

import json

import pandas as pd
import torch
from rich.console import Console

from benchmarks import loss_cost, tables


def test_a_step_is_measured(capsys, monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    loss_cost.measure_here(0.5, 2, checkpoint=True)
    row = json.loads(capsys.readouterr().out)
    assert (row["seconds"], row["batch"], row["checkpoint"]) == (0.5, 2, True)
    assert row["cpu_s"] > 0.0
    assert row["peak_mb"] >= 0


def test_every_cell_is_written_and_shown(tmp_path, monkeypatch):
    def measure(seconds, batch, *, checkpoint):
        costs = {"cpu_s": 2.0 * seconds, "peak_mb": 100 * batch // (1 + checkpoint)}
        return {"seconds": seconds, "batch": batch, "checkpoint": checkpoint} | costs

    monkeypatch.setattr(loss_cost, "measure", measure)
    seen = []
    result = loss_cost.run(
        tmp_path / "cost.csv", lengths_s=(1, 4), batches=(4,), on_cell=seen.append
    )
    assert len(result) == len(seen) == 4
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "cost.csv"), result)
    console = Console(width=100, record=True, quiet=True)
    console.print(tables.loss_cost(result))
    shown = console.export_text()
    assert [cell.strip() for cell in shown.splitlines()[-2].strip("│ ").split("│")] == [
        *("4 s", "4", "8.0", "400", "8.0", "200")
    ]
