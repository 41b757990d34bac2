"""The distance as Hugging Face's `evaluate` calls a metric."""

import pytest
import soundfile
import torch

import pamt_metric as pamt
from pamt_metric.errors import InputError
from tests.support import signals

RATE = 48_000


@pytest.fixture
def metric(tiny_metric):
    return pamt.evaluate.PerceptualDistance(tiny_metric, sample_rate=RATE)


@pytest.fixture(scope="module")
def clips():
    """Three clips of different lengths, and each with noise."""
    references = [signals.tone(0.3), signals.piece(0.4, seed=1), signals.clicks(0.25)]
    return references, [signals.with_noise(clip, 20.0) for clip in references]


def test_pairs_that_were_added_one_by_one_and_those_given_are_compared(metric, tiny_metric, clips):
    references, tests = clips
    metric.add(prediction=tests[0], reference=references[0])
    metric.add_batch(predictions=tests[1:2], references=references[1:2])
    found = metric.compute(predictions=tests[2:], references=references[2:])
    expected = [
        tiny_metric.compare(a, b, sample_rate=RATE).distance
        for a, b in zip(references, tests, strict=True)
    ]
    assert found["pamt_distances"] == pytest.approx(expected)
    assert found["pamt_distance"] == pytest.approx(sum(expected) / 3)
    with pytest.raises(InputError, match="no pair to compare"):
        metric.compute()  # they are forgotten


def test_files_know_their_rate(tiny_metric, clips, tmp_path):
    (reference, *_), (test, *_) = clips
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path, clip in zip(paths, (reference, test), strict=True):
        soundfile.write(path, clip.numpy(), RATE, subtype="FLOAT")
    found = pamt.evaluate.PerceptualDistance(tiny_metric).compute(
        predictions=[paths[1]], references=[paths[0]]
    )
    assert found["pamt_distance"] == pytest.approx(
        tiny_metric.compare(reference, test, sample_rate=RATE).distance
    )


def test_the_pair_that_cannot_be_used_is_named_and_nothing_is_lost(metric, clips):
    references, tests = clips
    metric.add(prediction=tests[0], reference=references[0])
    with pytest.raises(InputError, match="pair 1: "):
        metric.compute(predictions=[torch.full((9_600,), torch.nan)], references=[references[1]])
    assert len(metric.compute()["pamt_distances"]) == 1


def test_what_does_not_go_together_is_refused(metric, clips):
    references, tests = clips
    with pytest.raises(InputError, match="as many predictions as references, got 1 and 3"):
        metric.add_batch(predictions=tests[:1], references=references)
    with pytest.raises(InputError, match="go together"):
        metric.compute(predictions=tests)
    batch = torch.stack([references[0], references[0]])[:, None]
    with pytest.raises(InputError, match="pair 0: expected one clip on either side, got a batch"):
        metric.compute(predictions=[batch], references=[batch])
