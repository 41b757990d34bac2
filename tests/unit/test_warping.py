"""Time warping: the cheapest path, whichever side comes first, and what it brings together."""

import itertools
import math

import numpy as np
import pytest
import torch

import pamt_metric as pamt
from pamt_metric import PerceptualLoss, warping
from pamt_metric.errors import InputError
from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.frames import FRAME_RATE, SAMPLE_RATE
from tests.support import signals

ONSETS_S = tuple(0.1 + 0.35 * k for k in range(8))
PITCHES_HZ = (440.0, 330.0, 550.0, 495.0, 370.0, 660.0, 415.0, 587.0)


def least_cost(cost):
    """By trying every path, weighed as in the paper."""
    n_a, n_b = cost.shape

    def onwards(i, j):
        if (i, j) == (n_a - 1, n_b - 1):
            return 0.0
        steps = [(1, 1), (2, 1), (1, 2)]
        reached = [(i + di, j + dj, di, dj) for di, dj in steps if i + di < n_a and j + dj < n_b]
        found = math.inf
        for x, y, di, dj in reached:
            first = 2.0 * cost[i + 1, j + 1]
            added = first if (di, dj) == (1, 1) else first + cost[x, y]
            found = min(found, added + onwards(x, y))
        return found

    return 2.0 * cost[0, 0] + onwards(0, 0)


def cost_of(cost, path):
    weight = 2.0 * warping._weights(path)
    return (cost[path[:, 0], path[:, 1]] * weight).sum()


def random_cost(n_a, n_b, seed):
    return np.random.default_rng(seed).random((n_a, n_b))


def melody(tempo=1.0, *, onsets_s=ONSETS_S, pitches_hz=PITCHES_HZ):
    """Plucked notes; `tempo` 2 is twice as slow."""
    n_sample = round(tempo * 3.0 * SAMPLE_RATE)
    time = torch.arange(n_sample, dtype=torch.float64) / SAMPLE_RATE
    sound = torch.zeros_like(time)
    for onset, hz in zip(onsets_s, pitches_hz, strict=True):
        since = (time - tempo * onset).clamp_min(0.0)
        envelope = torch.exp(-4.0 * since) * (since / 0.005).clamp_max(1.0)
        for k in range(1, 6):
            sound += 0.05 / k * envelope * torch.sin(2.0 * math.pi * k * hz * since)
    return sound.float()


def heard(*clips):
    batch = torch.nn.utils.rnn.pad_sequence(list(clips), batch_first=True)[:, None]
    with torch.no_grad():
        return Ear()(batch, torch.tensor([len(clip) for clip in clips]))


class TestPath:
    @pytest.mark.parametrize("shape", [(1, 1), (2, 2), (5, 5), (4, 7), (7, 4), (6, 9)])
    @pytest.mark.parametrize("seed", range(4))
    def test_is_the_cheapest_of_all(self, shape, seed):
        cost = random_cost(*shape, seed)
        path = warping._path(cost)
        assert cost_of(cost, path) == pytest.approx(least_cost(cost), rel=1e-12)

    @pytest.mark.parametrize("shape", [(5, 5), (4, 7), (40, 63)])
    def test_goes_from_the_first_pair_to_the_last_by_permitted_moves(self, shape):
        path = warping._path(random_cost(*shape, 0))
        assert path[0].tolist() == [0, 0]
        assert path[-1].tolist() == [shape[0] - 1, shape[1] - 1]
        moved = [tuple(step) for step in np.diff(path, axis=0).tolist()]
        assert set(moved) <= {(1, 1), (1, 0), (0, 1)}
        # One side may wait for one frame, and only after both have moved on.
        for before, after in itertools.pairwise([(0, 1), *moved]):
            assert after == (1, 1) or before == (1, 1)

    def test_weights_add_up_to_the_frames_of_both(self):
        path = warping._path(random_cost(40, 63, 1))
        assert warping._weights(path).sum() == (40 + 63) / 2

    @pytest.mark.parametrize("seed", range(3))
    def test_of_the_swapped_pair_is_the_same(self, seed):
        cost = random_cost(30, 41, seed)
        assert np.array_equal(warping._path(cost), warping._path(cost.T.copy())[:, ::-1])

    def test_of_the_swapped_pair_is_the_same_where_many_are_as_good(self):
        generator = np.random.default_rng(0)
        for shape in ((12, 12), (9, 13), (17, 10)):
            cost = generator.integers(0, 2, shape).astype(float)
            assert np.array_equal(warping._path(cost), warping._path(cost.T.copy())[:, ::-1])

    def test_of_equal_frames_is_the_diagonal(self):
        path = warping._path(np.zeros((20, 20)))
        assert path.tolist() == [[k, k] for k in range(20)]

    @pytest.mark.parametrize("shape", [(10, 20), (20, 10), (1, 2), (11, 22)])
    def test_more_than_twice_as_long_is_refused(self, shape):
        with pytest.raises(InputError, match=r"up to 2 times, and these last .*; cut"):
            warping._path(np.zeros(shape))
        warping._path(np.zeros((10, 19)))


class TestWarp:
    def test_finds_the_tempo(self):
        found = warping.warp(heard(melody()), heard(melody(1.3)))
        frame = np.array(ONSETS_S) * FRAME_RATE
        at = np.interp(frame, np.arange(len(found.times(0))), found.times(0).numpy())
        assert np.abs(at - 1.3 * np.array(ONSETS_S)).max() < 2.0 / FRAME_RATE

    def test_of_a_batch_is_that_of_each_pair(self):
        a = [melody(), melody(0.8)]
        b = [melody(1.3), melody(0.9)]
        batch = warping.warp(heard(*a), heard(*b))
        for item in range(2):
            alone = warping.warp(heard(a[item]), heard(b[item]))
            assert torch.equal(batch.times(item), alone.times(0))
            assert batch.weight[item].sum() == alone.weight.sum()

    def test_sums_over_the_frames_of_the_first(self):
        found = warping.warp(heard(melody()), heard(melody(1.3)))
        ones = torch.ones(*found.weight.shape, 1)
        by_frame = found.on_first(ones)
        assert by_frame.sum() == (found.weight > 0.0).sum()
        assert by_frame.min() == 1.0

    def test_long_clips_are_refused(self):
        tokens = heard(melody()).at(torch.zeros(1, 4600, dtype=torch.long), torch.ones(1, 4600) > 0)
        with pytest.raises(InputError, match="up to 60 s"):
            warping.warp(tokens, tokens)


class TestMetric:
    def compare(self, a, b, align="dtw"):
        return pamt.compare(a, b, sample_rate=SAMPLE_RATE, align=align)

    def test_brings_two_tempi_together(self):
        slow = self.compare(melody(), melody(1.25))
        assert slow.distance < 0.5 * self.compare(melody(), melody(1.25), "none").distance
        assert slow.same_content > 0.85
        other = melody(1.25, pitches_hz=PITCHES_HZ[::-1])
        assert self.compare(melody(), other).distance > 2.0 * slow.distance

    def test_is_symmetric_to_the_bit(self):
        a, b = melody(), melody(1.25)
        one, two = (
            pamt.distance(*x, sample_rate=SAMPLE_RATE, align="dtw") for x in ((a, b), (b, a))
        )
        assert one == two > 0.0
        assert pamt.distance(a, a.clone(), sample_rate=SAMPLE_RATE, align="dtw") == 0.0

    def test_without_a_change_of_tempo_it_is_the_distance_without_alignment(self):
        a = melody()
        b = signals.with_noise(a, 30.0)
        straight, warped = (self.compare(a, b, align).distance for align in ("none", "dtw"))
        assert warped == pytest.approx(straight, rel=0.05)

    def test_tells_by_frame_of_the_reference(self):
        found = self.compare(melody(), melody(1.25))
        assert found.warp is not None
        assert len(found.warp) == len(found.time_map) == len(found.band_map)
        assert found.time_map.sum() == pytest.approx(found.distance, rel=1e-4)
        assert (found.warp.diff() >= 0.0).all()
        assert found.coverage == 1.0
        assert "warp" not in found.summary()
        assert self.compare(melody(), melody(1.25), "none").warp is None

    def test_gradient_is_that_of_small_changes(self):
        target = signals.with_noise(melody(), 20.0)[None]
        start = signals.with_noise(melody(1.1), 20.0)[None, : target.shape[1]]
        loss = PerceptualLoss(sample_rate=SAMPLE_RATE, align="dtw")
        estimate = start.clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss(estimate, target), estimate)
        assert slope.isfinite().all()
        step = 1e-4 * start.std() * slope / slope.square().mean().sqrt()
        with torch.no_grad():
            change = loss(start + step, target) - loss(start - step, target)
        assert change.item() / 2.0 == pytest.approx((slope * step).sum().item(), rel=0.02)

    def test_silence_has_a_path(self):
        silence = torch.zeros(24_000)
        assert pamt.distance(silence, silence, sample_rate=SAMPLE_RATE, align="dtw") == 0.0

    def test_over_a_minute_is_refused(self):
        long = torch.zeros(61 * SAMPLE_RATE)
        with pytest.raises(InputError, match="up to 60 s"):
            pamt.distance(long, long, sample_rate=SAMPLE_RATE, align="dtw")

    def test_all_pairs(self):
        clips = [melody(), melody(1.25), melody(0.8)]
        found = pamt.pairwise_distances(clips, sample_rate=SAMPLE_RATE, align="dtw")
        assert found[0, 1] == pytest.approx(self.compare(clips[1], clips[0]).distance, rel=1e-6)
