import pytest
import torch

from pamt_metric.psychoacoustics.interaural import interaural_cues
from pamt_metric.psychoacoustics.modulation import N_REGIONS
from pamt_metric.psychoacoustics.scales import N_BANDS


def band(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 + torch.rand(1, 1, 4, N_BANDS, generator=generator, dtype=torch.float64)


def cues(
    left: torch.Tensor, right: torch.Tensor, *, cross: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Difference and coherence of two sides of that loudness, 70 dB of excitation or so."""
    loudness = torch.cat([left, right], dim=1)
    difference, coherence = interaural_cues(loudness, 1e7 * loudness, 1e7 * cross[:, 0]).unbind(-1)
    return difference, coherence


def test_equal_sides_have_no_difference_and_full_coherence() -> None:
    difference, coherence = cues(band(0), band(0), cross=band(0))
    assert not difference.any()
    torch.testing.assert_close(coherence, torch.ones_like(coherence))


def test_one_channel_reads_as_two_equal_ones() -> None:
    one = band(0)
    mono = interaural_cues(one, 1e7 * one, 1e7 * one[:, 0])
    two = interaural_cues(one.repeat(1, 2, 1, 1), 1e7 * one.repeat(1, 2, 1, 1), 1e7 * one[:, 0])
    assert torch.equal(mono, two)


def test_flipped_polarity_has_coherence_minus_one() -> None:
    difference, coherence = cues(band(0), band(0), cross=-band(0))
    assert not difference.any()
    torch.testing.assert_close(coherence, -torch.ones_like(coherence))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_silent_side_gives_all_to_the_other(sign: float) -> None:
    sides = [band(0), torch.zeros_like(band(0))][:: int(sign)]
    difference, coherence = cues(*sides, cross=torch.zeros_like(band(0)))
    # The floor of 0.001 sone takes a little of a region of a few sone.
    torch.testing.assert_close(difference, sign * torch.ones_like(difference), rtol=0.01, atol=0.0)
    assert not coherence.any()


def test_silence_is_exactly_zero() -> None:
    silent = torch.zeros(1, 2, 3, N_BANDS)
    value = interaural_cues(silent, silent, silent[:, 0])
    assert value.shape == (1, 3, N_REGIONS, 2)
    assert not value.any()


def test_gradient_is_that_of_finite_differences() -> None:
    sides = torch.cat([band(1), band(2)], dim=1)[:, :, :1].requires_grad_()
    cross = 0.5 * band(3)[:, 0, :1]

    def of_sides(sides: torch.Tensor) -> torch.Tensor:
        return interaural_cues(sides, 20.0 * sides, 20.0 * cross)

    assert torch.autograd.gradcheck(of_sides, sides)
