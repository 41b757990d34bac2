import pytest
import torch

from pamt_metric.psychoacoustics import frames, outer_ear, scales
from pamt_metric.psychoacoustics.excitation import Excitation
from pamt_metric.psychoacoustics.filterbank import (
    N_COMPONENTS,
    SUB_FRAMES,
    Filterbank,
    by_band,
    component_frequencies,
    smear_matrix,
)

SECOND = 48_000
N_FRAME = 20


def sine(hz: float, *, n_samples: int = SECOND // 2) -> torch.Tensor:
    time = torch.arange(n_samples, dtype=torch.float64) / SECOND
    return torch.sin(2.0 * torch.pi * hz * time).float()[None, None]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("hz", [60.0, 100.0, 303.0, 1000.0, 2500.0, 4000.0, 12_000.0])
def test_full_scale_sine_is_100_db_plus_the_ears_gain(hz: float) -> None:
    # 303 Hz and 2.5 kHz are where one window hands over to the next.
    power = Filterbank()(sine(hz), N_FRAME).power[0, 0, N_FRAME // 2]
    gain = outer_ear.transfer_gain_db(torch.tensor([hz]))
    assert float(10.0 * power.sum().log10()) == pytest.approx(100.0 + float(gain), abs=0.3)
    middle = (power * component_frequencies()).sum() / power.sum()
    assert float(middle) == pytest.approx(hz, rel=0.02, abs=2.0)


def test_smear_is_what_the_windows_do() -> None:
    frequency = component_frequencies()
    for index in (20, 60, 100, 130):
        power = Filterbank()(sine(float(frequency[index])), N_FRAME).power[0, 0, N_FRAME // 2]
        share = (power / power.sum()).double()
        # The ear's gain changes over a smeared line; that is the part left out.
        torch.testing.assert_close(share, smear_matrix()[index], rtol=0.0, atol=0.03)


def test_power_grows_with_the_square_of_amplitude() -> None:
    clip = noise(1, 1, 9600)
    ear = Filterbank()
    soft, loud = ear(clip, 10).power, ear(2.0 * clip, 10).power
    torch.testing.assert_close(loud, 4.0 * soft)  # powers of two are exact


def test_a_click_counts_the_same_wherever_it_falls() -> None:
    clips = torch.zeros(4, 1, 12_000)
    for item in range(4):
        clips[item, 0, 5000 + 170 * item] = 1.0
    treble = Filterbank()(clips, 16).power[:, 0, :, 110:].sum((1, 2))
    assert float(treble.max() / treble.min()) < 1.05
    assert int(Filterbank()(clips, 16).power[0, 0, :, 110:].sum(-1).argmax()) == 7


def test_sub_frames_tell_when() -> None:
    clip = torch.zeros(1, 1, 12_000)
    sample = frames.FIRST_CENTER + 7 * frames.HOP_LENGTH
    clip[..., sample] = 1.0
    region = Filterbank()(clip, 16).region
    assert region.shape == (1, 16 * SUB_FRAMES, scales.N_REGIONS)
    # the second of a frame's own sub-frames is its centre
    assert region[0, :, 5:].argmax(0).tolist() == [7 * SUB_FRAMES + 1] * (scales.N_REGIONS - 5)


def test_samples_beyond_the_end_are_silence() -> None:
    clip = noise(1, 1, 9600)
    ear = Filterbank()
    padded = torch.nn.functional.pad(clip, (0, 5000))
    # All but the decimated waveform, which is as long as the clip.
    for one, other in zip(ear(clip, 15)[:-1], ear(padded, 15)[:-1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-2)


def test_cross_power_tells_how_the_two_channels_move_together() -> None:
    left = noise(1, 1, 9600)
    ear = Filterbank()
    for sign in (1.0, -1.0):
        found = ear(torch.cat([left, sign * left], dim=1), 10)
        torch.testing.assert_close(found.cross, sign * found.power[:, 0])
    mono = ear(left, 10)
    assert torch.equal(mono.cross, mono.power[:, 0])


def test_silence_is_exactly_zero() -> None:
    for value in Filterbank()(torch.zeros(1, 2, 4000), 5):
        assert not value.any()


def test_excitation_falls_with_distance_from_the_tone() -> None:
    power = Filterbank()(sine(1000.0), N_FRAME).power
    level = 10.0 * Excitation()(power)[0, 0, N_FRAME // 2].log10()
    peak = int(level.argmax())
    assert bool((level[peak : peak + 20].diff() < 0.0).all())
    assert bool((level[peak - 20 : peak + 1].diff() > 0.0).all())


def test_bands_are_pairs_of_components() -> None:
    total = by_band(torch.ones(1, N_COMPONENTS))
    assert torch.equal(total, torch.full((1, scales.N_BANDS), 2.0))
    center = by_band(component_frequencies().log()) / 2.0
    torch.testing.assert_close(center.exp(), scales.center_frequencies(), rtol=3e-3, atol=0.0)


def test_gradient_is_that_of_finite_differences() -> None:
    # In float64 and of a few samples only: the whole Jacobian would be large.
    ear = Filterbank().double()
    clip = noise(1, 2, 2400).double()

    def levels(few: torch.Tensor) -> torch.Tensor:
        found = ear(torch.cat([few, clip[..., few.shape[-1] :]], dim=-1), 2)
        parts = [found.power.sum((1, 2)), found.cross.sum(1), found.region.sum(1)]
        return torch.cat(parts, dim=-1) * 1e-8

    assert torch.autograd.gradcheck(levels, clip[..., :3].clone().requires_grad_())
