import pytest
import torch

from pamt_metric.psychoacoustics.interaural import interaural_cues
from pamt_metric.psychoacoustics.modulation import N_REGIONS
from pamt_metric.psychoacoustics.scales import N_BANDS


def band(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 + torch.rand(1, 1, 4, N_BANDS, generator=generator, dtype=torch.float64)


INSIDE = torch.ones(1, 4, dtype=torch.bool)


def cues(
    left: torch.Tensor, right: torch.Tensor, *, cross: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Difference and coherence of two sides of that loudness, 70 dB of excitation or so."""
    loudness = torch.cat([left, right], dim=1)
    found = interaural_cues(loudness, 1e7 * loudness, 1e7 * cross[:, 0], INSIDE)
    difference, coherence = found.unbind(-1)
    return difference, coherence


def test_equal_sides_have_no_difference_and_full_coherence() -> None:
    difference, coherence = cues(band(0), band(0), cross=band(0))
    assert not difference.any()
    torch.testing.assert_close(coherence, torch.ones_like(coherence))


@pytest.mark.parametrize("intensity", [1e7, 1.0, 0.0])
def test_one_channel_reads_as_two_equal_ones_at_any_level(intensity: float) -> None:
    one = band(0)
    two, power = one.repeat(1, 2, 1, 1), intensity * one
    mono = interaural_cues(one, power, power[:, 0], INSIDE)
    assert torch.equal(mono, interaural_cues(two, power.repeat(1, 2, 1, 1), power[:, 0], INSIDE))
    torch.testing.assert_close(mono[..., 1], torch.ones_like(mono[..., 1]))


def test_flipped_polarity_has_coherence_minus_one() -> None:
    difference, coherence = cues(band(0), band(0), cross=-band(0))
    assert not difference.any()
    # But for the floor of 10 dB SPL, beside 70 dB.
    torch.testing.assert_close(coherence, -torch.ones_like(coherence), rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_silent_side_gives_all_to_the_other(sign: float) -> None:
    sides = [band(0), torch.zeros_like(band(0))][:: int(sign)]
    difference, coherence = cues(*sides, cross=torch.zeros_like(band(0)))
    # The floor of 0.001 sone takes a little of a region of a few sone.
    torch.testing.assert_close(difference, sign * torch.ones_like(difference), rtol=0.01, atol=0.0)
    # Nor does the floor of 10 dB SPL make much of a side of 80 dB.
    assert coherence.abs().max().item() < 1e-3


def test_silence_is_mono_and_beyond_the_end_is_nothing() -> None:
    silent = torch.zeros(1, 2, 4, N_BANDS)
    inside = torch.tensor([[True, True, True, False]])
    value = interaural_cues(silent, silent, silent[:, 0], inside)
    assert value.shape == (1, 4, N_REGIONS, 2)
    assert not value[..., 0].any()
    assert value[0, :, 0, 1].tolist() == pytest.approx([1.0, 1.0, 1.0, 0.0])
    assert not value[:, 3].any()


def test_gradient_is_that_of_finite_differences() -> None:
    sides = torch.cat([band(1), band(2)], dim=1)[:, :, :1].requires_grad_()
    cross = 0.5 * band(3)[:, 0, :1]

    def of_sides(sides: torch.Tensor) -> torch.Tensor:
        return interaural_cues(sides, 20.0 * sides, 20.0 * cross, INSIDE[:, :1])

    assert torch.autograd.gradcheck(of_sides, sides)
