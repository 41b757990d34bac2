import pytest
import torch

from pamt_metric.psychoacoustics.power_spectra import power_spectra

WINDOW = torch.hann_window(16, dtype=torch.float64)
BINS = slice(1, 7)


def noise(n_channel: int, *, n_sample: int = 16 + 3 * 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n_channel)
    return torch.randn(2, n_channel, n_sample, generator=generator, dtype=torch.float64)


def spectra(clip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return power_spectra(clip, WINDOW, hop=5, bins=BINS)


@pytest.mark.parametrize("n_channel", [1, 2])
def test_is_the_squared_spectrum_of_windowed_frames(n_channel: int) -> None:
    clip = noise(n_channel)
    power, cross = spectra(clip)
    frames = torch.stack([clip[..., start : start + 16] for start in (0, 5, 10, 15)], dim=2)
    spectrum = torch.fft.rfft(frames * WINDOW)[..., BINS]
    torch.testing.assert_close(power, spectrum.abs().square())
    torch.testing.assert_close(cross, (spectrum[:, 0] * spectrum[:, -1].conj()).real)


@pytest.mark.parametrize("n_channel", [1, 2])
def test_gradient_is_that_of_finite_differences(n_channel: int) -> None:
    # Frames of 16 every 5 samples: the last part of a frame is shorter than a hop.
    assert torch.autograd.gradcheck(spectra, noise(n_channel).requires_grad_())
