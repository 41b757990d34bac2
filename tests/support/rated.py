"""Per-item values of a metric on rated pairs, made up."""

import pandas as pd


def items(human: list[float], value: list[float], *, study: str = "s") -> pd.DataFrame:
    """One row a pair, with `benchmarks.agreement.ITEM_COLUMNS`; all pairs share a reference."""
    return pd.DataFrame(
        {
            "dataset": "d",
            "study": study,
            "question": "",
            "reference": "a.wav",
            "test": [f"{i}.wav" for i in range(len(human))],
            "split": "train",
            "human": human,
            "metric": "m",
            "value": value,
            "origin": "",
            "reason": "",
        }
    )
