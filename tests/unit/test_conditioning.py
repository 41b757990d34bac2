"""How the ear's tokens modulate the head."""

import pytest
import torch

from pamt_metric.conditioning import EarConditioning, ModulatedNorm, audibility, log_audibility
from pamt_metric.errors import ConfigError
from pamt_metric.psychoacoustics import TOKEN_GROUPS, Ear
from tests.support import signals


@pytest.fixture(scope="module")
def tokens():
    """A second of noise of which the second half is silent."""
    waveform = torch.cat([signals.noise(0.5), signals.silence(0.5)])
    with torch.no_grad():
        return Ear()(waveform[None, None], torch.tensor([48_000]))


def test_an_untrained_conditioning_changes_nothing(tokens):
    conditioning = EarConditioning(groups=tuple(TOKEN_GROUPS), width=8, n_modulations=3)
    modulations = conditioning(tokens)
    assert modulations is not None
    assert len(modulations) == 3
    x = torch.randn(1, tokens.mask.shape[1], 8)
    norm = ModulatedNorm(8)
    for modulation in modulations:
        assert torch.equal(norm(x, modulation), norm(x, None))


def test_a_trained_one_scales_and_shifts(tokens):
    conditioning = EarConditioning(groups=("loudness",), width=8, n_modulations=1)
    torch.nn.init.normal_(conditioning.network[-1].weight)
    modulations = conditioning(tokens)
    assert modulations is not None
    x = torch.randn(1, tokens.mask.shape[1], 8)
    scale, shift = modulations[0]
    norm = ModulatedNorm(8)
    assert not torch.equal(scale, shift)
    torch.testing.assert_close(norm(x, (scale, shift)), norm(x, None) * (1 + scale) + shift)


def test_without_groups_there_is_none(tokens):
    conditioning = EarConditioning(groups=(), width=8, n_modulations=3)
    assert conditioning(tokens) is None
    assert not list(conditioning.parameters())


def test_an_unknown_group_is_refused():
    with pytest.raises(ConfigError, match=r"among loudness, .*got sharpness"):
        EarConditioning(groups=("loudness", "sharpness"), width=8, n_modulations=1)


def test_audibility_is_1_in_sound_and_0_in_silence(tokens):
    share, logarithm = audibility(tokens)[0], log_audibility(tokens)[0]
    assert share[2:30].min() > 0.99
    assert logarithm[2:30].min() > 4.0
    # From a tenth of a second after the sound's end on; forward masking leaves exact zeros.
    assert share[50:].max() == 0.0
    assert logarithm[50:].max() == 0.0
