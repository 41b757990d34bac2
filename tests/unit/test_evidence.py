"""Aligned evidence that stands out of a clip's mean, and places that moved."""

from dataclasses import replace

import pytest
import torch

from pamt_metric.distance import root
from pamt_metric.evidence import (
    ALIGNED,
    ALIGNED_MEANS,
    Encoded,
    aligned_means,
    aligned_sums,
    evidence_maps,
    frame_weight,
    means_of,
)
from pamt_metric.head import Embedding
from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.scales import N_BANDS, center_frequencies
from tests.support import signals

INNER = slice(8, -8)


def encoded(waveform, *, n_frame=None):
    """What the ear makes of a clip; the head says nothing."""
    with torch.no_grad():
        tokens = Ear()(waveform[None, None], torch.tensor([len(waveform)]), n_frame=n_frame)
    nothing = torch.zeros(1, tokens.mask.shape[1], 4)
    return Encoded(tokens, Embedding(sequence=nothing, pooled=torch.zeros(1, 4)))


def tone(hz):
    return encoded(signals.tone(0.5, frequency=hz, n_partials=1))


def changed(log_ratios, *, dtype=torch.float64):
    """Two clips whose 'masked' differs by so much in each frame: excitation over a threshold 1.

    In all of them they are loud; those marked NaN are silent in both.
    """
    ratio = torch.tensor(log_ratios, dtype=dtype)[None, :, None].expand(-1, -1, N_BANDS)
    like = encoded(torch.zeros(24_000), n_frame=max(37, len(log_ratios)))
    parts = {
        name: getattr(like.tokens, name)[:, : len(log_ratios)].to(dtype)
        for name in ("modulation", "interaural", "onset", "roughness", "flux", "presence", "fine")
    }
    heard = torch.tensor(log_ratios, dtype=dtype).isfinite()[None, :, None]
    parts["loudness"] = heard.to(dtype).expand_as(ratio)
    ratio = ratio.nan_to_num()
    mask = torch.ones(1, len(log_ratios), dtype=torch.bool)
    threshold = torch.ones_like(ratio)
    a = replace(
        like.tokens, excitation=torch.zeros_like(ratio), threshold=threshold, mask=mask, **parts
    )
    b = replace(a, excitation=ratio.expm1())
    sequence = torch.zeros(1, len(log_ratios), 4, dtype=dtype)
    return [Encoded(tokens, replace(like.embedding, sequence=sequence)) for tokens in (a, b)]


def even(n_frame):
    return torch.full((1, n_frame), 1.0 / n_frame, dtype=torch.float64)


def standout(log_ratios, weight=None):
    a, b = changed(log_ratios)
    weight = even(len(log_ratios)) if weight is None else weight
    return aligned_means(a, b, weight)["standout"].item()


def eased(excess):
    """What an excess over three times the mean counts as."""
    return excess**2 / (excess + 0.05)


class TestStandout:
    def test_a_steady_change_has_none(self):
        assert standout([2.0] * 20) == 0.0
        assert standout([0.0] * 20) == 0.0

    def test_a_change_in_one_of_many_frames(self):
        # Worst 4, of which three times the mean, 4 / 20, is taken.
        assert standout([0.0] * 7 + [2.0] + [0.0] * 12) == pytest.approx(
            eased(4.0 - 3.0 * 4.0 / 20.0)
        )

    def test_the_worst_is_a_mean_weighted_by_its_own_square(self):
        # Changes 4 and 1: (4^3 + 1) / (4^2 + 1), less three times 5 / 10.
        expected = eased(65.0 / 17.0 - 3.0 * 5.0 / 10.0)
        assert standout([2.0, 1.0] + [0.0] * 8) == pytest.approx(expected)

    def test_under_three_times_the_mean_it_is_none(self):
        # The worst is n times the mean where one frame of n changes.
        assert standout([2.0, 0.0]) == 0.0
        assert standout([2.0, 0.0, 0.0]) == pytest.approx(0.0, abs=1e-9)
        assert standout([2.0, 0.0, 0.0, 0.0]) == pytest.approx(eased(1.0))
        # Over a steady change of 1: worst (64 + 7) / (16 + 7), mean 11 / 8.
        assert standout([2.0] + [1.0] * 7) == 0.0

    def test_a_change_that_is_not_heard_counts_as_none(self):
        # The floor, 1e-6 in each frame, takes all of a change of 1e-6, and little of nine times it.
        assert standout([1e-3] + [0.0] * 19) == 0.0
        worst = 9e-6**3 / (9e-6**2 + 20.0 * 1e-12)
        expected = eased(worst - 3.0 * 9e-6 / 20.0)
        assert standout([3e-3] + [0.0] * 19) == pytest.approx(expected, rel=1e-4)

    def test_begins_with_a_finite_slope_under_the_root_of_the_distance(self):
        excess = torch.tensor([1e-2, 1e-3, 1e-4], dtype=torch.float64)
        one = torch.ones_like(excess)
        sums = {"frames": one, "change": (1.0 - excess) / 3.0, "change_2": one, "change_3": one}
        size = root(means_of(sums)["standout"])
        assert bool((size > 0.0).all())
        assert bool((size / excess <= 1.0 / 0.05**0.5).all())

    def test_frames_that_are_silent_in_both_do_not_count(self):
        loud = [2.0, 0.5] + [0.0] * 8
        assert standout(loud + [float("nan")] * 30) == pytest.approx(standout(loud))
        assert standout([float("nan")] * 5) == 0.0

    def test_is_symmetric(self):
        a, b = changed([2.0, 0.5] + [0.0] * 10)
        weight = even(12)
        assert torch.equal(
            aligned_means(a, b, weight)["standout"], aligned_means(b, a, weight)["standout"]
        )

    def test_frames_count_alike_unless_they_weigh_nothing(self):
        log_ratios = [2.0, 1.0] + [0.0] * 8
        uneven = torch.arange(1.0, 11.0, dtype=torch.float64)[None] / 55.0
        assert standout(log_ratios, uneven) == pytest.approx(standout(log_ratios))
        beyond = torch.cat([even(10), torch.zeros(1, 5, dtype=torch.float64)], dim=1)
        assert standout(log_ratios + [3.0] * 5, beyond) == pytest.approx(standout(log_ratios))

    @pytest.mark.parametrize("of_each", [0.0, float("nan")], ids=["loud", "silent"])
    def test_has_a_finite_gradient_where_nothing_changes(self, of_each):
        a, b = changed([of_each] * 12, dtype=torch.float32)
        excitation = b.tokens.excitation.clone().requires_grad_()
        means = aligned_means(
            a, replace(b, tokens=replace(b.tokens, excitation=excitation)), even(12).float()
        )
        for name in ("standout", "place"):
            (slope,) = torch.autograd.grad(means[name].sum(), excitation, retain_graph=True)
            assert slope.isfinite().all(), name

    def test_gradient_is_right(self):
        a, b = changed([0.2] * 6)

        def found(level):
            ratio = level[None, :, None].expand(-1, -1, N_BANDS)
            tokens = replace(b.tokens, excitation=ratio.exp())
            return aligned_means(a, replace(b, tokens=tokens), even(6))["standout"]

        level = torch.tensor([2.0, 0.1, 0.3, -1.0, -0.5, -2.0], dtype=torch.float64)
        assert found(level).item() > 0.1
        assert torch.autograd.gradcheck(found, level.requires_grad_())

    def test_its_map_lies_where_the_change_is_and_has_its_mean(self):
        a, b = changed([0.0] * 7 + [2.0] + [0.0] * 12)
        by_frame = evidence_maps(a, b)["standout"].mean(-1)[0]
        assert by_frame[7].item() == pytest.approx(64.0)
        assert not by_frame[:7].any()
        assert not by_frame[8:].any()
        mean = aligned_means(a, b, even(20))["standout_map"]
        assert mean.item() == pytest.approx(64.0 / 20.0)


class TestNovelty:
    def novelty(self, a, b):
        return evidence_maps(a, b)["novelty"][0, INNER].mean().item()

    def test_hand_computed(self):
        a, b = changed([0.0] * 12)
        fine = torch.zeros_like(b.tokens.fine)
        # Power 25 in the lower range in b alone, in one frame.
        fine[0, 4, 3] = torch.tensor([3.0, 4.0])
        b = replace(b, tokens=replace(b.tokens, fine=fine))
        by_frame = evidence_maps(a, b)["novelty"].mean(-1)[0]
        expected = ((25.0 + 1e-3) ** 0.5 - 1e-3**0.5) ** 2 / 2.0
        assert by_frame[4].item() == pytest.approx(expected)
        assert by_frame.sum().item() == pytest.approx(expected)

    def test_noise_is_newer_than_a_tone_and_as_new_as_other_noise(self):
        noise, other = (encoded(signals.noise(0.5, seed=seed)) for seed in (0, 5))
        steady = tone(1000.0)
        assert self.novelty(noise, steady) > 5.0 * self.novelty(noise, other)
        assert self.novelty(steady, tone(800.0)) < 0.1 * self.novelty(noise, steady)


class TestPresence:
    def test_wants_sound_in_both(self):
        a, b = encoded(torch.zeros(24_000)), encoded(signals.noise(0.5))
        assert not evidence_maps(a, b)["presence"].any()

    def test_tells_a_hole_in_a_spectrum_from_soft_noise_in_it(self):
        noise, soft = (
            signals.noise(0.5, seed=0),
            10.0 ** (-25.0 / 20.0) * signals.noise(0.5, seed=1),
        )
        low = signals.low_passed(noise, 3000.0)
        # Over the edge little but the skirt of what lies below is heard.
        near = slice(56, 60)
        by_band = evidence_maps(encoded(low), encoded(low + soft))["presence"][0, INNER].mean(0)
        assert by_band[near].max() > 3.0 * by_band[20:45].mean()


class TestSums:
    def test_of_two_runs_of_frames_add_up_to_those_of_the_whole(self):
        piece = signals.piece(1.0, seed=1)
        a, b = encoded(piece), encoded(signals.with_noise(piece, 10.0))
        weight = frame_weight(a.tokens, b.tokens)
        whole = aligned_sums(a, b, weight)
        first = torch.arange(weight.shape[1]) < 30
        runs = [aligned_sums(a, b, weight * run) for run in (first, ~first)]
        for name, total in whole.items():
            # The same sums in another order.
            torch.testing.assert_close(runs[0][name] + runs[1][name], total, rtol=1e-5, atol=0.0)
        assert 0.99 * weight.shape[1] < whole["frames"].item() <= weight.shape[1]

    def test_give_the_means_whatever_the_weights_sum_to(self):
        a, b = changed([2.0, 1.0] + [0.0] * 8)
        expected = aligned_means(a, b, even(10))
        sums = aligned_sums(a, b, 5.0 * even(10))
        found = means_of({name: total / 5.0 for name, total in sums.items()})
        assert found.keys() == expected.keys() == {*ALIGNED_MEANS, "standout_map"}
        for name, mean in expected.items():
            torch.testing.assert_close(found[name], mean)


class TestPlace:
    def test_hand_computed(self):
        a, b = changed([0.0] * 12)
        band = 30
        excitation, loudness = (torch.zeros(2, 1, 12, N_BANDS, dtype=torch.float64) for _ in "ab")
        excitation[..., band] = 1e6
        excitation[1, ..., band + 1] = 2e6
        loudness[0, ..., band], loudness[1, ..., band] = 2.0, 1.0
        a, b = (
            replace(
                side,
                tokens=replace(side.tokens, excitation=x, loudness=y, threshold=0 * x + 1e6 / 3.0),
            )
            for side, x, y in zip((a, b), excitation, loudness, strict=True)
        )
        # From 0 to the centre of gravity of 1 and of 2^2 half a Cam on.
        hz = center_frequencies()[band].item()
        square = (0.5 * 4.0 / 5.0 / (0.013 * (1.0 + (hz / 3000.0) ** 2))) ** 2
        square /= 1.0 + square / 30.0**2
        # Both hold 2 times 1 of 3 sone and a floor of 0.1; an excitation of three times the
        # threshold is heard to 3 / 4.
        expected = 2.0 / 3.1 * 0.75 * square
        found = evidence_maps(a, b)["place"][0, 6]
        assert found.mean().item() == pytest.approx(expected, rel=1e-4)
        assert found[band].item() == found.sum().item()

    def place(self, a, b):
        return evidence_maps(a, b)["place"][0, INNER].mean().item()

    def test_a_tone_that_moves_more_has_more_of_it(self):
        sizes = [self.place(tone(1000.0), tone(hz)) for hz in (1000.0, 1002.0, 1010.0, 1040.0)]
        assert sizes == sorted(sizes)
        assert sizes[0] == 0.0
        # A shift that is just heard is about one unit, of the loudness near the tone.
        assert 0.3 < sizes[1] < 1.5

    def test_is_symmetric(self):
        a, b = tone(1000.0), tone(1007.0)
        assert torch.equal(evidence_maps(a, b)["place"], evidence_maps(b, a)["place"])

    def test_a_decibel_moves_less_than_a_shift_that_is_just_heard(self):
        # Not nothing: excitation spreads upwards with level.
        plain = signals.tone(0.5, frequency=1000.0, n_partials=1)
        louder = self.place(encoded(plain), encoded(10.0 ** (1.0 / 20.0) * plain))
        assert louder < 0.3 * self.place(tone(1000.0), tone(1002.0))

    def test_wants_sound_in_both(self):
        silence = encoded(torch.zeros(24_000))
        assert not evidence_maps(tone(1000.0), silence)["place"].any()
        assert not evidence_maps(silence, silence)["place"].any()

    def test_wants_to_be_heard(self):
        # Noise that masks both tones leaves little of their move.
        noise = signals.noise(0.5, rms=0.07)
        tones = [signals.tone(0.5, frequency=hz, n_partials=1, rms=3e-4) for hz in (1000.0, 1010.0)]
        alone = self.place(*[encoded(x) for x in tones])
        assert self.place(*[encoded(x + noise) for x in tones]) < 0.01 * alone


def test_frames_beyond_the_clips_change_no_mean():
    a, b = signals.tone(0.5), signals.tone(0.5, frequency=442.0)
    b[12_000:12_200] += 0.5
    means = [
        aligned_means(x, y, frame_weight(x.tokens, y.tokens))
        for x, y in [[encoded(z, n_frame=n) for z in (a, b)] for n in (37, 60)]
    ]
    assert means[0]["standout"].item() > 0.1
    assert means[0]["place"].item() > 0.1
    for name, mean in means[0].items():
        # The same sums, in other blocks: float32 rounding.
        torch.testing.assert_close(means[1][name], mean, rtol=1e-4, atol=1e-7)


def test_float32_is_near_float64():
    a, b = signals.tone(0.5), signals.tone(0.5, frequency=442.0)
    b[12_000:12_200] += 0.5
    found = []
    for dtype in (torch.float32, torch.float64):
        ear = Ear().to(dtype)
        with torch.no_grad():
            heard = [ear(x.to(dtype)[None, None], torch.tensor([24_000])) for x in (a, b)]
        nothing = Embedding(
            sequence=torch.zeros(1, 37, 4, dtype=dtype), pooled=torch.zeros(1, 4, dtype=dtype)
        )
        x, y = (Encoded(tokens, nothing) for tokens in heard)
        found.append(aligned_means(x, y, frame_weight(*heard)))
    for name in ALIGNED_MEANS:
        torch.testing.assert_close(found[0][name].double(), found[1][name], rtol=1e-3, atol=1e-9)


def test_every_kind_has_a_map():
    maps = evidence_maps(tone(1000.0), tone(1010.0))
    assert set(maps) == set(ALIGNED)
    assert all((square >= 0.0).all() for square in maps.values())
