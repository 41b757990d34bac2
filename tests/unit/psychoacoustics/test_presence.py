"""Whether a band has sound of its own."""

import pytest
import torch

from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.presence import presence
from tests.support import signals


def test_hand_computed() -> None:
    power, excitation = torch.tensor([[[0.0, 9.0, 1e6]]]), torch.tensor([[[1e6, 80.0, 1e7]]])
    assert presence(power, excitation)[0, 0].tolist() == pytest.approx([0.0, 0.5, 0.5], rel=1e-3)


def test_is_of_the_tone_and_not_of_its_skirts() -> None:
    tone = signals.tone(0.5, frequency=1000.0, n_partials=1)
    tokens = Ear()(tone[None, None], torch.tensor([len(tone)]))
    found = tokens.presence[0, 12:-12].mean(0)
    # The band of 1 kHz (15.6 Cam), and two Cam above, where the tone still spreads.
    assert found[27:29].max() > 0.8
    assert found[33] < 0.1 < tokens.loudness[0, 12:-12, 33].mean()


def test_gradient_is_finite_in_silence() -> None:
    power, excitation = (torch.zeros(1, 2, 3, requires_grad=True) for _ in "ab")
    slopes = torch.autograd.grad(presence(power, excitation).sum(), (power, excitation))
    assert all(bool(slope.isfinite().all()) for slope in slopes)
