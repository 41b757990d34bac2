"""From evidence to a distance."""

import math
from itertools import pairwise

import pytest
import torch

from pamt_metric.distance import (
    GATE_CENTER,
    GATE_POWER,
    ROOT_FLOOR,
    SQUASH_FLOOR,
    PairDistance,
    root,
    squash,
)
from pamt_metric.evidence import (
    ADDED,
    ALIGNED,
    ALIGNED_MEANS,
    EVIDENCE,
    MISSING,
    POOLED,
    mean_over_map,
    patch_difference,
    pooled_differences,
    signed_differences,
    unshared,
)
from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.statistics import N_STATISTICS
from tests.support import signals

MEANS = (*ALIGNED_MEANS, *POOLED)
ALIGNED_TYPICAL = (0.34, 1.7, 1.2, 0.59, 0.26, 0.16, 0.08, 0.23, 1.25, 0.3, 10.0, 0.57, 1.0)
TYPICAL = dict(zip(EVIDENCE, (*ALIGNED_TYPICAL, *[1.0 for _ in POOLED]), strict=True))
TYPICAL_HALF = {"loudness": 0.22, "masked": 1.1, "level": 0.77}


def given(means):
    """Mean squares of one pair; what is not given is 0."""
    return {name: torch.tensor([means.get(name, 0.0)]) for name in MEANS}


def combine(pair, *, cue=0.0, **means):
    return pair.combine(given(means), torch.tensor([cue])).item()


def squashed(name, mean_square):
    size = root_of(mean_square) / TYPICAL[name]
    return size / math.sqrt(size + SQUASH_FLOOR)


class TestCombine:
    def test_hand_computed(self):
        pair = PairDistance().requires_grad_(False)
        pair.log_same_weight[ALIGNED.index("loudness")] = math.log(3.0)
        pair.log_other_weight[EVIDENCE.index("clip_time")] = math.log(5.0)
        value = combine(
            pair, added_loudness=0.03, missing_loudness=0.01, clip_time=2.0, cue=GATE_CENTER
        )
        fidelity = 3.0 * (root_of(0.03) + root_of(0.01)) / TYPICAL_HALF["loudness"]
        content = squashed("loudness", 0.04) + 5.0 * squashed("clip_time", 2.0) + 1.0
        # The gate is half open.
        assert value == pytest.approx(0.5 * fidelity + 0.5 * content, rel=1e-5)

    def test_copies_are_judged_by_fidelity_alone(self):
        pair = PairDistance().requires_grad_(False)
        before = combine(pair, patch=1.0, clip_time=9.0)
        pair.log_other_weight += 1.0
        pair.log_offset += 1.0
        assert combine(pair, patch=1.0, clip_time=9.0) == before
        assert before == pytest.approx(root_of(1.0) / TYPICAL["patch"], rel=1e-5)

    def test_added_and_missing_change_places_with_the_clips(self):
        pair = PairDistance().requires_grad_(False)
        pair.log_same_weight[: len(ADDED)] += torch.tensor([0.1, 0.2, 0.3])
        forth = given(dict.fromkeys(ADDED, 0.4) | dict.fromkeys(MISSING, 0.1))
        back = given(dict.fromkeys(ADDED, 0.1) | dict.fromkeys(MISSING, 0.4))
        assert pair.added(forth).item() == pair.missing(back).item() > pair.added(back).item()
        assert pair.fidelity(forth).item() == pytest.approx(pair.fidelity(back).item())
        parts = pair.added(forth) + pair.missing(forth)
        assert pair.fidelity(forth).item() == pytest.approx(parts.item())

    def test_the_gate_opens_with_the_cue_and_stays_under_1(self):
        pair = PairDistance().requires_grad_(False)
        cues = torch.tensor([0.0, 0.01, GATE_CENTER, 1.0])
        expected = [
            x**GATE_POWER / (x**GATE_POWER + GATE_CENTER**GATE_POWER) for x in cues.tolist()
        ]
        assert pair.gate(cues).tolist() == pytest.approx(expected, rel=1e-3)
        assert pair.gate(cues)[0].item() == 0.0

    def test_scale_multiplies(self):
        pair = PairDistance().requires_grad_(False)
        before = combine(pair, patch=0.5, own=2.0, cue=0.1)
        pair.scale.fill_(3.0)
        assert combine(pair, patch=0.5, own=2.0, cue=0.1) == pytest.approx(3.0 * before)

    @pytest.mark.parametrize("kind", MEANS)
    def test_more_of_any_evidence_is_farther(self, kind):
        pair = PairDistance().requires_grad_(False)
        milder = combine(pair, cue=0.1, **dict.fromkeys(MEANS, 0.1))
        stronger = combine(pair, cue=0.1, **(dict.fromkeys(MEANS, 0.1) | {kind: 0.2}))
        assert milder < stronger


@pytest.fixture(scope="module")
def clicked(tiny_metric):
    """A piece, and a copy with soft noise throughout and a click on one side in its middle."""
    piece = signals.piece(2.0, seed=1)
    copy = signals.with_noise(piece, 50.0)
    left = copy.clone()
    left[48_000:48_100] += 0.5
    lengths = torch.tensor([len(piece)])
    pair = torch.stack([piece, piece]), torch.stack([left, copy])
    return [tiny_metric.encode(x[None], lengths) for x in pair]


class TestMap:
    @pytest.mark.parametrize("kind", ALIGNED)
    def test_of_one_kind_sums_to_the_distance(self, clicked, kind):
        pair = PairDistance().requires_grad_(False)
        pair.log_same_weight -= 99.0
        pair.log_same_weight[ALIGNED.index(kind)] = 0.0
        pair.log_gate_center += 99.0
        found = pair.explain(*clicked)
        assert found.distance.item() > 1e-3
        # Sums of float32 in another order.
        assert found.band_map.sum().item() == pytest.approx(found.distance.item(), rel=1e-4)
        assert found.distance.item() == pytest.approx(pair(*clicked).item(), rel=1e-6)

    def test_a_click_draws_it_to_its_moment(self, clicked):
        pair = PairDistance().requires_grad_(False)
        shares = []
        for log_weight in (-99.0, 0.0, 2.0):
            pair.log_same_weight[ALIGNED.index("standout")] = log_weight
            by_frame = pair.explain(*clicked).band_map[0].sum(-1)
            shares.append((by_frame[72:78].sum() / by_frame.sum()).item())
        # Without evidence that stands out, with it, and with much of it.
        assert shares[0] + 0.1 < shares[1] < shares[2] - 0.1


class TestUnshared:
    def unshared(self, a, b):
        ear = Ear()
        with torch.no_grad():
            lengths = torch.tensor([a.shape[-1]])
            return unshared(*(ear(x[None], lengths) for x in (a, b))).item()

    def test_a_clip_and_two_silences_share_everything(self):
        noise, silence = signals.noise(0.5)[None], torch.zeros(1, 24000)
        assert self.unshared(noise, noise) == 0.0
        assert self.unshared(silence, silence) == 0.0

    def test_a_gain_leaves_nothing_missing(self):
        noise = signals.noise(0.5)[None]
        assert self.unshared(noise, 4.0 * noise) == pytest.approx(0.0, abs=1e-4)

    def test_two_far_tones_share_next_to_nothing(self):
        low, high = (signals.tone(0.5, frequency=f, n_partials=1)[None] for f in (300.0, 3000.0))
        assert self.unshared(low, high) > 0.8

    def test_mono_copies_have_no_width_whatever_their_level(self):
        piece = signals.piece(0.5, seed=1)
        ear, lengths = Ear(), torch.tensor([len(piece)])
        with torch.no_grad():
            loud, soft = (ear(x[None, None], lengths).interaural for x in (piece, 1e-4 * piece))
        torch.testing.assert_close(loud, soft, rtol=0.0, atol=1e-5)

    def test_much_added_and_much_lost_is_still_the_same_performance(self):
        voice, band, other = (signals.piece(1.0, seed=seed)[None] for seed in (1, 2, 3))
        cut = signals.low_passed(voice[0], 2000.0)[None] + 0.5 * band
        assert self.unshared(voice, cut) < 0.3 * self.unshared(voice, other)

    def test_is_symmetric_and_grows_from_copy_to_other_sound(self):
        piece, other = signals.piece(1.0, seed=1)[None], signals.piece(1.0, seed=2)[None]
        copy = signals.with_noise(piece[0], 30.0)[None]
        assert self.unshared(piece, copy) == pytest.approx(self.unshared(copy, piece), rel=1e-6)
        assert 0.0 < self.unshared(piece, copy) < GATE_CENTER < self.unshared(piece, other) < 1.0


def test_pooled_differences_are_squared_distances_by_group_of_the_embedding():
    n_head = 2
    a, b = torch.zeros(1, n_head + N_STATISTICS), torch.zeros(1, n_head + N_STATISTICS)
    b[0, :n_head] = torch.tensor([3.0, 4.0])
    b[0, -1] = 2.0  # of the last group of statistics
    expected = dict.fromkeys(POOLED, 0.0) | {"own": 25.0, POOLED[-1]: 4.0}
    assert {name: x.item() for name, x in pooled_differences(a, b).items()} == expected
    assert {name: x.item() for name, x in pooled_differences(b, a).items()} == expected


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
