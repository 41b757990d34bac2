"""Means over attacks, then over tasks, with intervals over clips."""

import pandas as pd
import pytest

from benchmarks.robustness import gains


def _rows(task, attack, encoder, pamt):
    return [
        {"task": task, "attack": attack, "system": system, "seed": 0, "item": str(i), "correct": c}
        for system, outcomes in (("encoder", encoder), ("pamt", pamt))
        for i, c in enumerate(outcomes)
    ]


def test_the_mean_gain_is_over_attacks_then_tasks():
    rows = _rows("covers", "pgd", [0, 0, 0, 0], [1, 1, 0, 0])
    rows += _rows("covers", "cw", [1, 0, 0, 0], [1, 0, 0, 0])
    rows += _rows("covers", "clean", [1, 1, 1, 1], [0, 0, 0, 0])
    rows += _rows("genres", "pgd", [1, 1], [1, 0])
    rows += _rows("genres", "cw", [0, 0], [0, 0])
    found = pd.DataFrame(rows)
    gain = gains.mean_gain(found, ["pgd", "cw"])
    # 25 points of covers, -25 of genres.
    assert gain.points == pytest.approx(0.0)
    assert gain.low < 0.0 < gain.high
    covers = gains.mean_gain(pd.DataFrame(rows[:16]), ["pgd", "cw"])
    assert covers.points == pytest.approx(25.0)


def test_accuracy_counts_clips():
    found = pd.DataFrame(_rows("covers", "pgd", [1, 1, 0, 0], [1, 1, 1, 0]))
    table = gains.accuracy(found).set_index("system")
    assert table.loc["pamt", "accuracy"] == 75.0
    assert table.loc["encoder", "n"] == 4
