"""`pairwise_distances`: every pair of some clips."""

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from pamt_metric import InputError, pairwise, pairwise_distances
from tests.support import signals

RATE = 24_000
FIRST, SECOND = (signals.piece(0.3, seed=seed, sample_rate=RATE) for seed in (1, 2))
CLIPS = [FIRST, signals.with_noise(SECOND, 30.0), SECOND, signals.with_noise(FIRST, 30.0)]
# Padding and batches change the order of sums.
TOLERANCE = 1e-4


def distances(metric, clips, **options):
    return pairwise_distances(clips, sample_rate=RATE, metric=metric, **options)


@pytest.mark.parametrize("align", ["none", "auto"])
def test_is_the_distance_of_each_pair(tiny_metric, align):
    clips = [FIRST, SECOND[:5000], signals.stereo(FIRST, SECOND)]
    found = distances(tiny_metric, clips, align=align)
    expected = [
        [tiny_metric.distance(a, b, sample_rate=RATE, align=align) for b in clips] for a in clips
    ]
    assert found == pytest.approx(np.array(expected), rel=TOLERANCE, abs=1e-6)
    assert np.array_equal(found, found.T)
    assert not found.diagonal().any()


def test_more_pairs_than_fit_at_once(tiny_metric, monkeypatch):
    whole = distances(tiny_metric, CLIPS)
    monkeypatch.setattr(pairwise, "PAIRS_AT_ONCE", 4)
    assert distances(tiny_metric, CLIPS) == pytest.approx(whole, rel=TOLERANCE)


def test_batch_of_clips(tiny_metric):
    batch = torch.stack(CLIPS)[:, None]
    assert np.array_equal(distances(tiny_metric, batch), distances(tiny_metric, CLIPS))
    assert np.array_equal(distances(tiny_metric, batch.numpy()), distances(tiny_metric, CLIPS))


def test_clusters_of_copies():
    matrix = pairwise_distances(CLIPS, sample_rate=RATE)
    tree = linkage(squareform(matrix), method="average")
    first, second, third, fourth = fcluster(tree, 2, criterion="maxclust")
    assert first == fourth != second == third


def test_refusals(tiny_metric):
    with pytest.raises(InputError, match=r"\(clip, channel, time\), got \(2, 7200\)"):
        distances(tiny_metric, torch.stack([FIRST, SECOND]))
    with pytest.raises(InputError, match="item 1: waveform has 1 NaN"):
        distances(tiny_metric, [FIRST, torch.cat([SECOND, torch.tensor([float("nan")])])])
    with pytest.raises(InputError, match="clips holds none"):
        distances(tiny_metric, [])
