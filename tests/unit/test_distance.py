"""From evidence to a distance."""

import math
from itertools import pairwise

import pytest
import torch

from pamt_metric.distance import (
    ALIGNED,
    EVIDENCE,
    POOLED,
    ROOT_FLOOR,
    SQUASH_FLOOR,
    PairDistance,
    level_mismatch,
    mean_over_map,
    patch_difference,
    pooled_differences,
    root,
    signed_differences,
    squash,
)
from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.statistics import N_STATISTICS
from tests.support import signals

TYPICAL = dict(
    zip(EVIDENCE, (0.34, 1.7, 1.2, 0.59, 0.26, 0.3, 1.0, *[1.0 for _ in POOLED]), strict=True)
)
GATE_CENTER = 0.7
GATE_POWER = 5.0


def combine(pair, *, mismatch=0.0, **means):
    """Distance from mean squares; what is not given is 0."""
    given = {name: torch.tensor([means.get(name, 0.0)]) for name in EVIDENCE}
    return pair.combine(given, torch.tensor([mismatch])).item()


def squashed(name, mean_square):
    size = root_of(mean_square) / TYPICAL[name]
    return size / math.sqrt(size + SQUASH_FLOOR)


class TestCombine:
    def test_hand_computed(self):
        pair = PairDistance().requires_grad_(False)
        pair.log_same_weight[EVIDENCE.index("loudness")] = math.log(3.0)
        pair.log_other_weight[EVIDENCE.index("clip_time")] = math.log(5.0)
        value = combine(pair, loudness=0.04, clip_time=2.0, mismatch=GATE_CENTER)
        # The gate is half open: half of each weight, half of the offset of 1.
        total = (
            0.5 * (3.0 + 1.0) * squashed("loudness", 0.04)
            + 0.5 * (1.0 + 5.0) * squashed("clip_time", 2.0)
            + 0.5
        )
        assert value == pytest.approx(total**2, rel=1e-5)

    def test_copies_are_judged_with_the_first_set_of_weights_alone(self):
        pair = PairDistance().requires_grad_(False)
        before = combine(pair, masked=1.0)
        pair.log_other_weight += 1.0
        pair.log_offset += 1.0
        assert combine(pair, masked=1.0) == before
        assert before == pytest.approx(squashed("masked", 1.0) ** 2, rel=1e-5)

    def test_the_gate_opens_with_the_mismatch_and_stays_under_1(self):
        pair = PairDistance().requires_grad_(False)
        mismatches = (0.0, 0.3, 0.7, 1.0)
        gates = [math.sqrt(combine(pair, mismatch=x)) for x in mismatches]
        expected = [x**GATE_POWER / (x**GATE_POWER + GATE_CENTER**GATE_POWER) for x in mismatches]
        assert gates == pytest.approx(expected, rel=1e-3)

    def test_scale_multiplies(self):
        pair = PairDistance().requires_grad_(False)
        before = combine(pair, patch=0.5, own=2.0)
        pair.scale.fill_(3.0)
        assert combine(pair, patch=0.5, own=2.0) == pytest.approx(3.0 * before)

    @pytest.mark.parametrize("kind", EVIDENCE)
    def test_more_of_any_evidence_is_farther(self, kind):
        pair = PairDistance().requires_grad_(False)
        milder = combine(pair, **(dict.fromkeys(EVIDENCE, 0.1) | {kind: 0.1}))
        stronger = combine(pair, **(dict.fromkeys(EVIDENCE, 0.1) | {kind: 0.2}))
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


def test_pooled_differences_are_squared_distances_by_group_of_the_embedding():
    n_head = 2
    a, b = torch.zeros(1, n_head + N_STATISTICS), torch.zeros(1, n_head + N_STATISTICS)
    b[0, :n_head] = torch.tensor([3.0, 4.0])
    b[0, -1] = 2.0  # of the last group of statistics
    expected = dict.fromkeys(POOLED, 0.0) | {"own": 25.0, POOLED[-1]: 4.0}
    assert {name: x.item() for name, x in pooled_differences(a, b).items()} == expected
    assert {name: x.item() for name, x in pooled_differences(b, a).items()} == expected


def test_aligned_and_pooled_are_all_evidence():
    assert (*ALIGNED, *POOLED) == EVIDENCE
    assert len(set(EVIDENCE)) == len(EVIDENCE)


def test_squash_is_0_at_0_with_a_finite_slope_and_a_square_root_beyond():
    x = torch.tensor([0.0, 4.0], requires_grad=True)
    y = squash(x)
    assert y[0].item() == 0.0
    assert y[1].item() == pytest.approx(2.0, rel=1e-3)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad[0].item() == pytest.approx(SQUASH_FLOOR**-0.5)


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


class TestLevel:
    def level(self, a, b):
        ear = Ear()
        with torch.no_grad():
            lengths = torch.tensor([a.shape[-1]])
            tokens = [ear(x[None], lengths) for x in (a, b)]
            return signed_differences(*tokens)["level"]

    def test_a_valley_beside_a_peak_counts_little_and_the_peak_much(self):
        peak, beside = (
            signals.tone(0.5, frequency=hz, n_partials=1)[None] for hz in (1000.0, 1250.0)
        )
        whisper = 1e-3 * beside
        filled = self.level(peak, peak + whisper)
        moved = self.level(peak, beside)
        band = slice(20, 50)  # 400 Hz to 3 kHz
        assert filled[..., band].abs().max() < 0.1
        assert moved[..., band].abs().max() > 1.0

    def test_a_flat_spectrum_stands_out_of_its_neighbourhood_in_part(self):
        noise = signals.noise(0.5)[None]
        found = self.level(noise, 2.0 * noise)
        # Powers 1 and 4 over a floor of 0.3 (1 + 4) / 2; bands of noise vary over time.
        assert found[0, 10:-10, 20:60].mean() == pytest.approx(math.log(4.75 / 1.75), rel=0.05)


def test_more_noise_on_a_tone_is_farther(tiny_metric):
    tone = signals.tone(0.5)
    distances = [
        tiny_metric.distance(tone, signals.with_noise(tone, snr_db), sample_rate=48_000)
        for snr_db in (60.0, 40.0, 20.0, 0.0)
    ]
    assert all(a < b for a, b in pairwise(distances))
