"""`pamt.torchmetrics.PerceptualDistance`: evaluation loops."""

import copy
import pickle

import pytest
import torch

import pamt_metric as pamt
from tests.support import signals

torchmetrics = pytest.importorskip("torchmetrics")

RATE = 24_000
TARGET = torch.stack([signals.piece(0.3, seed=seed, sample_rate=RATE) for seed in (1, 2, 3)])
PREDS = signals.with_noise(TARGET, 20.0)
# Another order of sums.
TOLERANCE = 1e-4


@pytest.fixture
def metric(tiny_metric):
    return pamt.torchmetrics.PerceptualDistance(tiny_metric, sample_rate=RATE)


@pytest.fixture(scope="module")
def expected(tiny_metric):
    """Distance of each clip."""
    pairs = zip(TARGET, PREDS, strict=True)
    return [tiny_metric.distance(a, b, sample_rate=RATE) for a, b in pairs]


def mean(values):
    return pytest.approx(sum(values) / len(values), rel=TOLERANCE)


def test_is_a_torchmetrics_metric(metric):
    assert isinstance(metric, torchmetrics.Metric)
    assert metric.higher_is_better is False
    assert dict(metric.state_dict()) == {}


def test_mean_over_batches(metric, expected):
    metric.update(PREDS[:2], TARGET[:2])
    metric.update(PREDS[2:, None], TARGET[2:, None])
    assert metric.compute().item() == mean(expected)
    assert metric.n_clips == 3


def test_forward_and_reset(metric, expected):
    assert metric(PREDS[:1], TARGET[:1]).item() == mean(expected[:1])
    metric.reset()
    metric.update(PREDS[1:], TARGET[1:])
    assert metric.compute().item() == mean(expected[1:])


def test_in_a_collection(metric, expected):
    found = torchmetrics.MetricCollection({"pamt": metric})(PREDS, TARGET)
    assert found["pamt"].item() == mean(expected)


@pytest.mark.parametrize("side", ["preds", "target"])
def test_one_bad_clip_is_left_out_and_counted(metric, expected, side):
    sides = {"preds": PREDS.clone(), "target": TARGET.clone()}
    sides[side][1, 100] = float("nan")
    with pytest.warns(UserWarning, match=f"1 of 3 clips left out: item 1: {side}: .* NaN"):
        metric.update(**sides)
    assert metric.compute().item() == mean([expected[0], expected[2]])
    assert (metric.n_clips, metric.n_failed) == (2, 1)


def test_only_bad_clips(metric):
    with pytest.warns(UserWarning, match="2 of 2 clips left out: item 0: .* divide by 32768"):
        metric.update(PREDS[:2] * 32768, TARGET[:2])
    assert metric.compute().isnan()


def test_lengths_decide_what_is_bad(metric, expected):
    padded = PREDS.clone()
    padded[0, 7000:] = float("inf")
    lengths = torch.tensor([7000, 7200, 1000])
    with pytest.warns(UserWarning, match="1 of 3 clips left out: item 2: .* at least 0.1 s"):
        metric.update(padded, TARGET, lengths)
    assert metric.n_failed == 1
    metric.reset()
    metric.update(padded[:2], TARGET[:2], lengths[:2])
    assert metric.n_clips == 2


def test_strict(tiny_metric):
    metric = pamt.torchmetrics.PerceptualDistance(tiny_metric, sample_rate=RATE, strict=True)
    preds = PREDS.clone()
    preds[2, 0] = float("nan")
    with pytest.raises(pamt.InputError, match=r"item 2: preds: .* NaN"):
        metric.update(preds, TARGET)


def test_what_is_wrong_with_a_batch_raises(metric):
    with pytest.raises(pamt.InputError, match="one shape"):
        metric.update(PREDS, TARGET[:, :-1])
    with pytest.raises(pamt.InputError, match="lengths"):
        metric.update(PREDS, TARGET, [7200])


def test_states_of_two_processes_add_up(metric, expected):
    other = copy.deepcopy(metric)
    metric.update(PREDS[:1], TARGET[:1])
    other.update(PREDS[1:], TARGET[1:])
    metric.merge_state(other)
    assert metric.compute().item() == mean(expected)


def test_pickle_keeps_the_sum(metric, expected):
    metric.update(PREDS[:2], TARGET[:2])
    other = pickle.loads(pickle.dumps(metric))  # noqa: S301 (our own)
    other.update(PREDS[2:], TARGET[2:])
    assert other.compute().item() == mean(expected)


def test_plot(metric):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    metric.update(PREDS[:1], TARGET[:1])
    _, axes = metric.plot()
    assert axes.lines
    assert axes.get_ylim()[0] <= 0.0


def test_another_attribute_is_unknown():
    with pytest.raises(AttributeError, match="no attribute 'torchmetric'"):
        _ = pamt.torchmetric
