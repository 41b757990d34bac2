"""The objectives of stages 2 and 3, on cases computed by hand."""

import math

import pytest
import torch

from training import losses


class TestRatingLoss:
    def test_is_0_where_distances_are_linear_in_the_ranks(self):
        human = torch.tensor([30.0, 10.0, 20.0])
        loss = losses.rating_loss(torch.tensor([7.0, 3.0, 5.0]), human)
        assert loss.item() == pytest.approx(0.0, abs=1e-6)

    def test_is_2_where_they_are_reversed(self):
        loss = losses.rating_loss(torch.tensor([3.0, 2.0, 1.0]), torch.tensor([1.0, 2.0, 9.0]))
        assert loss.item() == pytest.approx(2.0, abs=1e-6)

    def test_hand_computed_and_blind_to_the_unit(self):
        # distances -1, 1, 0 about their mean, ranks -1, 0, 1: correlation 1 / 2
        human = torch.tensor([1.0, 2.0, 3.0])
        for unit in (1.0, 100.0):
            loss = losses.rating_loss(unit * torch.tensor([1.0, 3.0, 2.0]), human)
            assert loss.item() == pytest.approx(0.5, abs=1e-6)

    def test_has_a_finite_gradient_where_all_distances_are_equal(self):
        distance = torch.ones(4, requires_grad=True)
        losses.rating_loss(distance, torch.arange(4.0)).backward()
        assert distance.grad is not None
        assert torch.isfinite(distance.grad).all()


def test_just_heard_loss_is_the_mean_deviation_experiments_counting_alike():
    one, many = torch.tensor([2.0]), torch.tensor([0.0, 1.0, 1.0, 2.0])
    # Means 2 and 1, centre 1.5: deviations 0.5, and 1.5, 0.5, 0.5, 0.5.
    assert losses.just_heard_loss([one, many]).item() == pytest.approx(0.5 * (0.5 + 0.75))
    assert losses.just_heard_loss([one + 3.0, many + 3.0]).item() == pytest.approx(0.625)
    assert losses.just_heard_loss([one, one.repeat(4)]).item() == 0.0


def test_order_loss_is_a_hinge_on_log_distances():
    milder, stronger = torch.tensor([1.0, 1.0]), torch.tensor([math.e, 1.0])
    # The first pair is a whole unit apart; the second misses its margin of 0.1.
    assert losses.order_loss(milder, stronger, margin=0.1).item() == pytest.approx(0.05, abs=1e-5)
    assert losses.order_loss(stronger, milder, margin=0.1).item() == pytest.approx(0.6, abs=1e-5)


def test_content_margin_loss_takes_every_copy_against_every_other_song():
    copies, others = torch.tensor([1.0, math.e]), torch.tensor([1.0, math.e**2])
    # gaps: 0 and 2 from the first copy, -1 and 1 from the second
    loss = losses.content_margin_loss(copies, others, margin=0.2)
    assert loss.item() == pytest.approx((0.2 + 0.0 + 1.2 + 0.0) / 4.0, abs=1e-5)


def test_jnd_loss_wants_1_at_the_threshold_less_under_and_more_over_it():
    level = torch.tensor([-6.0, 0.0, 6.0])
    met = torch.tensor([math.exp(-0.5), 1.0, math.exp(0.5)])
    assert losses.jnd_loss(met, level, margin=0.1).item() == pytest.approx(0.0, abs=1e-5)
    missed = torch.full((3,), math.e)
    # Under the threshold it misses by 1.1, at it by 1; over it nothing is missed.
    assert losses.jnd_loss(missed, level, margin=0.1).item() == pytest.approx(2.1 / 3.0, abs=1e-5)


def test_consistency_loss_wants_less_than_one_jnd():
    distance = torch.tensor([math.exp(-0.7), math.e])
    found = losses.consistency_loss(distance, margin=0.7)
    assert found.item() == pytest.approx((0.0 + 1.7) / 2.0, abs=1e-5)


class TestContrastiveLoss:
    def test_hand_computed(self):
        anchor = torch.eye(2)
        clip, frame = torch.tensor([0, 1]), torch.tensor([0, 0])
        loss = losses.contrastive_loss(anchor, anchor, clip, frame, temperature=0.5)
        assert loss.item() == pytest.approx(math.log(1.0 + math.exp(-2.0)), abs=1e-6)

    def test_looks_both_ways(self):
        anchor, positive = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
        clip, frame = torch.tensor([0, 1]), torch.tensor([0, 0])
        loss = losses.contrastive_loss(anchor, positive, clip, frame, temperature=1.0)
        # rows: (1, 1) and (0, 0); columns: (1, 0) twice, with targets first and second
        forth = math.log(2.0)
        back = 0.5 * (math.log(1.0 + math.exp(-1.0)) + math.log(1.0 + math.e))
        assert loss.item() == pytest.approx(0.5 * (forth + back), abs=1e-6)

    @pytest.mark.parametrize(("apart", "counts"), [(5, False), (6, True)])
    def test_near_frames_of_the_same_clip_are_no_negatives(self, apart, counts):
        anchor = torch.ones(2, 3)
        clip, frame = torch.tensor([4, 4]), torch.tensor([0, apart])
        loss = losses.contrastive_loss(anchor, anchor, clip, frame, temperature=0.1)
        assert loss.item() == pytest.approx(math.log(2.0) if counts else 0.0, abs=1e-6)


def test_same_content_is_the_cross_entropy_of_the_gate():
    same, other = torch.tensor([0.5, 0.75]), torch.tensor([0.25])
    expected = 0.5 * (math.log(2.0) + math.log(4.0)) + math.log(4.0)
    assert losses.same_content_loss(same, other).item() == pytest.approx(expected, rel=1e-6)
    sure = losses.same_content_loss(torch.tensor([0.0]), torch.tensor([1.0]))
    assert sure.item() == 0.0
