import pytest
import torch

from pamt_metric.psychoacoustics.modulation import (
    MODULATION_RATES_HZ,
    N_REGIONS,
    ModulationFilterbank,
)
from pamt_metric.psychoacoustics.scales import N_BANDS

N_FRAME = 225
MIDDLE = 112


def heard(loudness: torch.Tensor, *, n_valid: int | None = None) -> torch.Tensor:
    n_frame = loudness.shape[1]
    mask = (torch.arange(n_frame) < (n_frame if n_valid is None else n_valid))[None]
    return ModulationFilterbank()(loudness, mask)


def envelope(rate: float, *, depth: float = 0.5) -> torch.Tensor:
    """Specific loudness whose every band beats: 1 + depth sin(2 pi rate t) sone per Cam."""
    time = torch.arange(N_FRAME) / 75.0
    beat = 1.0 + depth * torch.sin(2.0 * torch.pi * rate * time)
    return beat[None, :, None].repeat(1, 1, N_BANDS)


@pytest.mark.parametrize("index", range(len(MODULATION_RATES_HZ)))
def test_each_rate_peaks_in_its_own_channel(index: int) -> None:
    magnitude = heard(envelope(MODULATION_RATES_HZ[index]))[0, MIDDLE]
    assert magnitude.argmax(-1).tolist() == [index] * N_REGIONS


def test_magnitude_reads_as_the_deviation_in_sone() -> None:
    # Five bands of half a Cam that deviate by 0.5 sone per Cam: 1.25 sone.
    magnitude = heard(envelope(4.0))[0, MIDDLE, :, 1]
    assert magnitude.tolist() == pytest.approx([1.25] * N_REGIONS, rel=0.02)


def test_a_steady_sound_is_not_modulated() -> None:
    magnitude = heard(envelope(4.0, depth=0.0))[0, MIDDLE]
    assert float(magnitude.max()) < 1e-4  # sone, of a steady 2.5


def test_beyond_the_clip_is_silence_whatever_the_frames_hold() -> None:
    clip = envelope(4.0)
    clip[:, 150:] = 7.0
    part = heard(clip, n_valid=150)
    torch.testing.assert_close(part[:, :150], heard(clip[:, :150]))
    assert not part[:, 150:].any()
    # A steady sound that stops is modulated there.
    assert float(heard(envelope(4.0, depth=0.0))[0, -1, :, 1].min()) > 0.1


def test_regions_are_heard_apart() -> None:
    loudness = torch.ones(1, N_FRAME, N_BANDS)
    loudness[..., 10:15] = envelope(8.0)[..., 10:15]
    magnitude = heard(loudness)[0, MIDDLE, :, 2]
    assert int(magnitude.argmax()) == 2
    assert float(magnitude.sort().values[-2]) < 1e-4


def test_silence_is_exactly_zero_with_a_finite_slope() -> None:
    loudness = torch.zeros(1, 20, N_BANDS, requires_grad=True)
    magnitude = heard(loudness)
    (slope,) = torch.autograd.grad(magnitude.sum(), loudness)
    assert not magnitude.any()
    assert bool(slope.isfinite().all())


def test_gradient_is_that_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    loudness = torch.rand(1, 12, N_BANDS, generator=generator, dtype=torch.float64)
    ear = ModulationFilterbank().double()
    mask = torch.ones(1, 12, dtype=torch.bool)

    def of_first(few: torch.Tensor) -> torch.Tensor:
        found = ear(torch.cat([few, loudness[..., few.shape[-1] :]], dim=-1), mask)
        return found[:, ::3, ::7]  # some of the Jacobian, which would be large

    assert torch.autograd.gradcheck(of_first, loudness[..., :1].clone().requires_grad_())
