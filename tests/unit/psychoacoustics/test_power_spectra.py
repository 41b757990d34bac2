import pytest
import torch

from pamt_metric.psychoacoustics import power_spectra
from pamt_metric.psychoacoustics.power_spectra import band_powers

WINDOW = torch.hann_window(16, dtype=torch.float64)
WEIGHT = torch.rand(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
FIRST_BIN, HOP, N_FRAME = 1, 5, 4


def noise(n_channel: int, *, n_sample: int = 16 + 3 * 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n_channel)
    return torch.randn(2, n_channel, n_sample, generator=generator, dtype=torch.float64)


def bands(
    clip: torch.Tensor, *, start: int = 0, n_frame: int = N_FRAME
) -> tuple[torch.Tensor, torch.Tensor]:
    return band_powers(
        clip, WINDOW, WEIGHT, start=start, hop=HOP, n_frame=n_frame, first_bin=FIRST_BIN
    )


@pytest.mark.parametrize("n_channel", [1, 2])
def test_is_the_squared_spectrum_of_windowed_frames_by_band(n_channel: int) -> None:
    clip = noise(n_channel)
    power, cross = bands(clip)
    frames = torch.stack([clip[..., start : start + 16] for start in (0, 5, 10, 15)], dim=2)
    spectrum = torch.fft.rfft(frames * WINDOW)[..., FIRST_BIN : FIRST_BIN + 6]
    torch.testing.assert_close(power, spectrum.abs().square() @ WEIGHT)
    torch.testing.assert_close(cross, (spectrum[:, 0] * spectrum[:, -1].conj()).real @ WEIGHT)


@pytest.mark.parametrize("start", [-40, -7, 0, 3, 20])
def test_before_and_after_the_clip_is_silence(start: int) -> None:
    clip = noise(2)
    wide = torch.nn.functional.pad(clip, (40, 60))
    torch.testing.assert_close(
        bands(clip, start=start, n_frame=9), bands(wide, start=start + 40, n_frame=9)
    )


def test_blocks_of_frames_are_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = noise(2)
    whole = bands(clip, start=-7, n_frame=8)
    monkeypatch.setattr(power_spectra, "BLOCK_VALUES", 3 * 2 * 2 * len(WINDOW))
    torch.testing.assert_close(bands(clip, start=-7, n_frame=8), whole)


@pytest.mark.parametrize("start", [0, -7])
@pytest.mark.parametrize("n_channel", [1, 2])
def test_gradient_is_that_of_finite_differences(
    n_channel: int, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Frames of 16 every 5 samples: the last part of a frame is shorter than a hop. Blocks of 3.
    monkeypatch.setattr(power_spectra, "BLOCK_VALUES", 3 * 2 * n_channel * len(WINDOW))
    clip = noise(n_channel).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: bands(x, start=start, n_frame=6), clip)
