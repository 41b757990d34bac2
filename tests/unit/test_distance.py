"""From evidence to a distance."""

import math
from itertools import pairwise

import pytest
import torch

from pamt_metric.distance import (
    EVIDENCE,
    ROOT_FLOOR,
    PairDistance,
    content_difference,
    level_mismatch,
    mean_over_map,
    patch_difference,
    root,
)
from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.statistics import N_STATISTICS
from tests.support import signals

TYPICAL = (0.2, 2.0, 0.6, 0.1, 0.3, math.exp(2.0))


def combine(pair, value, *, content, mismatch):
    means = {name: torch.tensor([value]) for name in EVIDENCE}
    return pair.combine(means, torch.tensor([content]), torch.tensor([mismatch])).item()


class TestCombine:
    def test_hand_computed(self):
        with torch.no_grad():
            value = combine(PairDistance(), 1.0, content=4.0, mismatch=0.7)
        # Untrained: weights 1 / typical and half of that, gate centre 0.7 and power 5, offset 1.
        fidelity = sum(1.0 / size for size in TYPICAL) * root_of(1.0)
        other = 0.5 * fidelity + 4.0 + 1.0
        assert value == pytest.approx(0.5 * fidelity + 0.5 * other, rel=1e-5)

    def test_copies_are_judged_by_fidelity_alone(self):
        with torch.no_grad():
            value = combine(PairDistance(), 1.0, content=4.0, mismatch=0.0)
        assert value == pytest.approx(sum(1.0 / size for size in TYPICAL) * root_of(1.0), rel=1e-5)

    def test_the_gate_opens_with_the_mismatch_and_stays_under_1(self):
        pair = PairDistance().requires_grad_(False)
        mismatches = (0.0, 0.3, 0.7, 1.0)
        values = [combine(pair, 0.0, content=4.0, mismatch=mismatch) for mismatch in mismatches]
        gates = [value / (4.0 + 1.0) for value in values]
        assert gates[0] == 0.0
        assert gates[2] == pytest.approx(0.5, rel=1e-5)
        assert gates == sorted(gates)
        assert gates[3] == pytest.approx(1.0 / (1.0 + 0.7**5), rel=1e-5)

    def test_scale_multiplies(self):
        pair = PairDistance().requires_grad_(False)
        before = combine(pair, 1.0, content=4.0, mismatch=0.7)
        pair.scale.fill_(3.0)
        assert combine(pair, 1.0, content=4.0, mismatch=0.7) == pytest.approx(3.0 * before)

    @pytest.mark.parametrize("kind", EVIDENCE)
    def test_more_of_any_evidence_is_farther(self, kind):
        pair = PairDistance().requires_grad_(False)
        means = {name: torch.tensor([0.1, 0.1]) for name in EVIDENCE}
        means[kind] = torch.tensor([0.1, 0.2])
        milder, stronger = pair.combine(means, torch.ones(2), torch.full((2,), 0.1)).tolist()
        assert milder < stronger


class TestLevelMismatch:
    def mismatch(self, a, b):
        ear = Ear()
        with torch.no_grad():
            lengths = torch.tensor([a.shape[-1]])
            tokens = [ear(x[None], lengths) for x in (a, b)]
            return level_mismatch(*tokens).item()

    def test_a_clip_and_two_silences_match(self):
        noise, silence = signals.noise(0.5)[None], torch.zeros(1, 24000)
        assert self.mismatch(noise, noise) == 0.0
        assert self.mismatch(silence, silence) == 0.0

    def test_a_gain_of_4_db_misses_most_and_of_1_db_little(self):
        noise = signals.noise(0.5)[None]
        # 1 - exp(-(dB / 4)^2) in every band
        assert self.mismatch(noise, noise * 10 ** (4 / 20)) == pytest.approx(0.632, abs=0.03)
        assert self.mismatch(noise, noise * 10 ** (1 / 20)) == pytest.approx(0.061, abs=0.01)

    def test_is_symmetric_and_grows_from_copy_to_other_sound(self):
        piece, other = signals.piece(1.0, seed=1)[None], signals.piece(1.0, seed=2)[None]
        copy = signals.with_noise(piece[0], 30.0)[None]
        assert self.mismatch(piece, copy) == pytest.approx(self.mismatch(copy, piece), rel=1e-6)
        assert 0.0 < self.mismatch(piece, copy) < 0.5 < self.mismatch(piece, other) < 1.0


def test_content_is_a_sum_over_groups_of_the_embedding():
    n_head = 2
    a, b = torch.zeros(1, n_head + N_STATISTICS), torch.zeros(1, n_head + N_STATISTICS)
    b[0, :n_head] = torch.tensor([3.0, 4.0])
    b[0, -1] = 2.0  # of the last group of statistics
    expected = root_of(25.0) + root_of(4.0)
    assert content_difference(a, b).item() == pytest.approx(expected, rel=1e-6)
    assert content_difference(b, a).item() == content_difference(a, b).item()
    assert content_difference(a, a).item() == 0.0


def root_of(value):
    return math.sqrt(value + ROOT_FLOOR**2) - ROOT_FLOOR


def test_root_is_0_at_0_with_a_finite_slope():
    x = torch.tensor([0.0, 1e-6, 1.0], requires_grad=True)
    y = root(x)
    assert y[0].item() == 0.0
    assert y.tolist() == pytest.approx([root_of(v) for v in x.tolist()], rel=1e-3)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad[0].item() == pytest.approx(0.5 / ROOT_FLOOR)


def test_mean_over_map_is_even_over_bands_and_weighted_over_time():
    square = torch.tensor([[[1.0, 3.0], [5.0, 7.0]]])
    assert mean_over_map(square, torch.tensor([[0.25, 0.75]])).item() == 0.25 * 2.0 + 0.75 * 6.0


def test_patch_difference_is_0_for_equal_and_1_for_disjoint_patches():
    a = torch.zeros(1, 60, 75)
    a[:, :, :20] = 1.0
    b = torch.zeros(1, 60, 75)
    b[:, :, 40:60] = 1.0
    either = torch.ones(1, 60, 1, dtype=torch.bool)
    assert patch_difference(a, a, either).abs().max() == 0.0
    difference = patch_difference(a, b, either)
    assert difference[0, :, :15].min() > 0.99
    assert difference.max() <= 1.0
    assert difference[0, :, 25:35].abs().max() == 0.0


def test_more_noise_on_a_tone_is_farther(tiny_metric):
    tone = signals.tone(0.5)
    distances = [
        tiny_metric.distance(tone, signals.with_noise(tone, snr_db), sample_rate=48_000)
        for snr_db in (60.0, 40.0, 20.0, 0.0)
    ]
    assert all(a < b for a, b in pairwise(distances))
