"""Pairs of sounds at listeners' thresholds, and what the trainer makes of them."""

import numpy as np
import pytest
import torch

from benchmarks.psychophysics.at_threshold import just_heard
from pamt_metric.errors import InputError
from training.data.just_heard import DATASET, just_heard_studies


def level_db(waveform):
    """Of a steady tone, from its loudest tenth: full scale is 100 dB SPL."""
    return 100.0 + 20.0 * np.log10(np.abs(waveform).max())


def test_an_increment_is_the_published_one():
    pairs = {pair.key: pair for pair in just_heard("e1")}
    assert len(pairs) == 16
    _, standard, signal = pairs["1 kHz", 40.0]
    assert standard.shape == signal.shape
    assert level_db(standard) == pytest.approx(42.4, abs=0.1)
    assert level_db(signal) - level_db(standard) == pytest.approx(0.929, abs=0.01)


def test_a_probe_follows_the_masker_that_just_hides_it():
    pairs = {pair.key: pair for pair in just_heard("j1")}
    assert len(pairs) == 20
    _, standard, signal = pairs["1000 Hz", 50.0]
    assert level_db(standard) == pytest.approx(51.2, abs=0.1)
    # 10 dB over the listeners' threshold of 15.5.
    assert level_db(signal - standard) == pytest.approx(25.5, abs=0.3)


@pytest.mark.parametrize(
    ("experiment", "words"),
    [("e2", "no pair of sounds"), ("o1", "no pair of sounds"), ("zz", "unknown experiment")],
)
def test_experiments_without_such_pairs_are_refused(experiment, words):
    with pytest.raises(InputError, match=words):
        just_heard(experiment)


def test_features_are_of_sounds_at_the_level_they_had(tiny_metric):
    (study,) = just_heard_studies(tiny_metric, ["f1"])
    assert (study.dataset, study.name, len(study.human)) == (DATASET, "f1", 8)
    assert torch.equal(study.pairs.second, study.pairs.first + 1)
    first = just_heard("f1")[0]
    batch = torch.from_numpy(first.standard)[None]
    with torch.no_grad():
        tokens = tiny_metric.ear(batch, torch.tensor([batch.shape[-1]]))
    n_frame = tokens.loudness.shape[1]
    found = study.pairs.clips.tokens.loudness[0, :n_frame]
    torch.testing.assert_close(found, tokens.loudness[0], rtol=1e-4, atol=1e-6)
