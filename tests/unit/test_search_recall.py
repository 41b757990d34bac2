"""The benchmark of what `pamt search` finds."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import search_recall


def test_a_made_collection_is_measured(tiny_metric, tmp_path):
    result = search_recall.run(tmp_path / "x.csv", tiny_metric, n_pieces=5, sizes=(60,))
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "x.csv"), result)
    candidates = result[result["what"] == "candidates"]
    assert (candidates["clips"] == 15).all()
    assert candidates["recall"].is_monotonic_increasing
    assert candidates["recall"].iloc[-1] == 1.0  # more candidates than clips
    (index,) = result[result["what"] == "index"].to_dict("records")
    assert index["clips"] == 60
    assert index["recall"] == 1.0  # a small graph is searched whole


def test_candidates_that_are_not_the_nearest_are_not_counted():
    embeddings = np.arange(36, dtype=np.float32)[:, None]
    distances = np.abs(embeddings - embeddings.T)[::3]
    distances[:, 1::2] += 100.0  # by distance, odd clips are far; by embedding, near
    rows = search_recall.by_candidates(embeddings, distances)
    assert rows[0]["recall"] < 0.6
    assert rows[-1]["recall"] == pytest.approx(1.0)
