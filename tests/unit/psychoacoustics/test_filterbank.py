import pytest
import torch

from pamt_metric.psychoacoustics import frames, outer_ear, scales
from pamt_metric.psychoacoustics.filterbank import Filterbank

SECOND = 48_000
N_FRAME = 20


def sine(hz: float, *, n_samples: int = SECOND // 2) -> torch.Tensor:
    time = torch.arange(n_samples, dtype=torch.float64) / SECOND
    return torch.sin(2.0 * torch.pi * hz * time).float()[None, None]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("hz", [100.0, 1000.0, 4000.0])
def test_full_scale_sine_is_100_db_plus_the_ears_gain(hz: float) -> None:
    power, _ = Filterbank()(sine(hz), N_FRAME)
    level = 10.0 * power[0, 0, N_FRAME // 2].log10()
    gain = outer_ear.transfer_gain_db(torch.tensor([hz]))
    # A band's centre lies up to a quarter Cam from the tone, and the window widens it.
    assert float(level.max()) == pytest.approx(100.0 + float(gain), abs=1.5)
    nearest = (scales.center_frequencies() - hz).abs().argmin()
    assert abs(int(level.argmax()) - int(nearest)) <= 1


def test_excitation_falls_with_distance_from_the_tone() -> None:
    power, _ = Filterbank()(sine(1000.0), N_FRAME)
    level = 10.0 * power[0, 0, N_FRAME // 2].log10()
    peak = int(level.argmax())
    assert bool((level[peak : peak + 20].diff() < 0.0).all())
    assert bool((level[peak - 20 : peak + 1].diff() > 0.0).all())


def test_power_grows_with_the_square_of_amplitude() -> None:
    clip = noise(1, 1, 9600)
    ear = Filterbank()
    soft, loud = ear(clip, 10)[0], ear(2.0 * clip, 10)[0]
    torch.testing.assert_close(loud, 4.0 * soft)  # powers of two are exact


def test_a_click_stands_out_in_its_own_frame() -> None:
    frame = 7
    clip = torch.zeros(1, 1, 12_000)
    clip[..., frames.FIRST_CENTER + frame * frames.HOP_LENGTH] = 1.0
    power, _ = Filterbank()(clip, 16)
    assert power[0, 0].argmax(0).tolist() == [frame] * scales.N_BANDS
    # The windows are centred on the frame, so that a click is heard alike before and after.
    before, after = power[0, 0, frame - 1], power[0, 0, frame + 1]
    peak = power[0, 0, frame]
    torch.testing.assert_close(before / peak, after / peak, rtol=0.0, atol=1e-5)


def test_samples_beyond_the_end_are_silence() -> None:
    clip = noise(1, 1, 9600)
    ear = Filterbank()
    padded = torch.nn.functional.pad(clip, (0, 5000))
    assert torch.equal(ear(clip, 15)[0], ear(padded, 15)[0])


def test_cross_power_tells_how_the_two_channels_move_together() -> None:
    left = noise(1, 1, 9600)
    ear = Filterbank()
    for sign in (1.0, -1.0):
        power, cross = ear(torch.cat([left, sign * left], dim=1), 10)
        torch.testing.assert_close(cross, sign * power[:, 0])
    mono, cross = ear(left, 10)
    assert torch.equal(cross, mono[:, 0])


def test_silence_is_exactly_zero() -> None:
    power, cross = Filterbank()(torch.zeros(1, 2, 4000), 5)
    assert not power.any()
    assert not cross.any()


def test_gradient_is_that_of_finite_differences() -> None:
    # In float64 and of a few samples only: the whole Jacobian would be large.
    ear = Filterbank().double()
    clip = noise(1, 2, 2400).double()

    def levels(few: torch.Tensor) -> torch.Tensor:
        power, cross = ear(torch.cat([few, clip[..., few.shape[-1] :]], dim=-1), 2)
        return torch.cat([power.sum(1), cross], dim=-1).sum(-1) * 1e-8

    assert torch.autograd.gradcheck(levels, clip[..., :3].clone().requires_grad_())
