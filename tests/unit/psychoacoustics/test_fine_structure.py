"""What is new in a sound: nothing in a tone, all of noise, and the same in a copy of either."""

import pytest
import torch

from pamt_metric.evidence import unshared_sums
from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.filterbank import Filterbank
from pamt_metric.psychoacoustics.fine_structure import N_FINE, FineStructure
from tests.support import signals


def fine(waveform: torch.Tensor, *, n_frame: int = 37) -> torch.Tensor:
    channels = waveform if waveform.ndim == 2 else waveform[None]
    return FineStructure()(Filterbank().to_quarter(channels[None]), n_frame)


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    """Of the fine structures of two clips."""
    ear, lengths = Ear(), torch.tensor([len(a)])
    sums = unshared_sums(*(ear(x[None, None], lengths) for x in (a, b)))
    return float(sums["common"].square().sum().sqrt() / sums["fine"].prod().sqrt())


def test_shape_and_silence() -> None:
    found = fine(torch.zeros(24_000))
    assert found.shape == (1, 37, N_FINE, 2)
    assert not found.any()


def test_a_tone_that_goes_on_is_predicted() -> None:
    tone = fine(signals.tone(0.5, frequency=440.0, n_partials=1))[0, 8:-8].norm()
    noise = fine(signals.noise(0.5))[0, 8:-8].norm()
    assert tone < 0.1 * noise


def test_magnitudes_are_compressed() -> None:
    noise = signals.noise(0.5)
    ratio = fine(10.0 * noise)[0, 4:-4].norm() / fine(noise)[0, 4:-4].norm()
    assert float(ratio) == pytest.approx(10.0**0.3, rel=0.05)


def test_two_channels_are_heard_as_their_mean() -> None:
    noise = signals.noise(0.5)
    sides = torch.stack([2.0 * noise, torch.zeros_like(noise)])
    torch.testing.assert_close(fine(sides), fine(noise), rtol=1e-4, atol=1e-5)


def test_frame_by_frame_it_knows_nothing_of_what_comes_later() -> None:
    noise = signals.noise(0.5)
    cut = noise.clone()
    cut[12_000:] = 0.0
    # Frame 15 is centred on sample 10000; windows and low pass reach 1120 samples beyond.
    torch.testing.assert_close(fine(cut)[:, :16], fine(noise)[:, :16], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("snr_db", [20.0, 0.0])
def test_a_copy_has_much_in_common_and_other_noise_nothing(snr_db: float) -> None:
    noise = signals.noise(0.5, seed=0)
    assert correlation(noise, signals.with_noise(noise, snr_db)) > 0.3
    assert correlation(noise, signals.noise(0.5, seed=5)) < 0.08


def test_flipped_polarity_is_a_copy() -> None:
    piece = signals.piece(0.5, seed=1)
    assert correlation(piece, -piece) == pytest.approx(1.0, abs=1e-5)


def test_tones_of_two_pitches_have_little_in_common() -> None:
    low, high = (signals.tone(0.5, frequency=f, n_partials=6) for f in (220.0, 277.0))
    assert correlation(low, high) < 0.15


def test_gradient_is_that_of_finite_differences() -> None:
    part = FineStructure().double()
    noise = 0.1 * torch.randn(1, 1, 1000, generator=torch.Generator().manual_seed(0)).double()

    def of_first(few: torch.Tensor) -> torch.Tensor:
        return part(torch.cat([few, noise[..., few.shape[-1] :]], dim=-1), 3).sum((0, 1))

    assert torch.autograd.gradcheck(of_first, noise[..., :5].clone().requires_grad_())


def test_gradient_is_finite_in_silence() -> None:
    quiet = torch.zeros(1, 1, 2000, requires_grad=True)
    (slope,) = torch.autograd.grad(FineStructure()(quiet, 5).square().sum(), quiet)
    assert bool(slope.isfinite().all())
