import pytest
import torch

from pamt_metric import psychoacoustics
from pamt_metric.errors import InputError
from pamt_metric.psychoacoustics.fluctuation import FluctuationStrength
from pamt_metric.psychoacoustics.onset import onsets
from pamt_metric.psychoacoustics.roughness import Roughness
from pamt_metric.psychoacoustics.scales import N_BANDS, N_REGIONS
from pamt_metric.psychoacoustics.sharpness import sharpness_of

MEASURES = ("loudness", "loudness_level", "sharpness", "roughness", "fluctuation_strength")
BY_BAND = ("specific_loudness", "masked_threshold")


def tone(rate: int, *, hz: float = 1000.0) -> torch.Tensor:
    return 0.01 * torch.sin(2.0 * torch.pi * hz * torch.arange(rate // 2) / rate)


@pytest.mark.parametrize("name", MEASURES + BY_BAND)
def test_shape_follows_the_input(name: str) -> None:
    measure = getattr(psychoacoustics, name)
    for shape, axes in (((24_000,), ()), ((2, 24_000), ()), ((3, 1, 24_000), (3,))):
        value = measure(torch.zeros(shape), 48_000)
        tail = (37, N_BANDS) if name in BY_BAND else (37,)
        found = value.value if name in BY_BAND else value
        assert found.shape == axes + tail
        assert bool(found.isfinite().all())


@pytest.mark.parametrize("rate", [24_000, 44_100])
def test_other_rates_hear_the_same(rate: int) -> None:
    one = psychoacoustics.loudness(tone(rate), rate)[10:-10]
    other = psychoacoustics.loudness(tone(48_000), 48_000)[10:-10]
    torch.testing.assert_close(one, other, rtol=5e-3, atol=0.0)


def test_bands_above_nyquist_are_absent_rather_than_silent() -> None:
    found = psychoacoustics.specific_loudness(tone(24_000), 24_000)
    assert torch.equal(found.present, found.center_frequency < 12_000.0)
    assert not found.value[..., ~found.present].any()
    assert bool(psychoacoustics.specific_loudness(tone(48_000), 48_000).present.all())


def test_a_wrong_input_is_refused() -> None:
    with pytest.raises(InputError):
        psychoacoustics.loudness(torch.zeros(24_000), 48)


def region(seed: int = 0, n_frame: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    value = 1e4 * torch.rand(1, 4 * n_frame, N_REGIONS, generator=generator, dtype=torch.float64)
    return value, torch.ones(1, n_frame, dtype=torch.bool)


@pytest.mark.parametrize("stage", [onsets, Roughness().double()])
def test_gradient_is_that_of_finite_differences(stage) -> None:
    value, mask = region()

    def of_first(few: torch.Tensor) -> torch.Tensor:
        both = torch.cat([few, 1e-4 * value[..., few.shape[-1] :]], dim=-1)
        return stage(1e4 * both, mask)

    assert torch.autograd.gradcheck(of_first, (1e-4 * value[..., :1]).requires_grad_())


def test_gradient_of_fluctuation_strength() -> None:
    stage = FluctuationStrength().double()
    generator = torch.Generator().manual_seed(0)
    level = 4.0 * torch.rand(1, 24, 3, generator=generator, dtype=torch.float64)
    rest = torch.full((1, 24, N_BANDS - 3), 10.0, dtype=torch.float64)
    mask = torch.ones(1, 24, dtype=torch.bool)

    def of_level(few: torch.Tensor) -> torch.Tensor:
        return stage(torch.cat([few.exp(), rest], dim=-1), mask)

    assert torch.autograd.gradcheck(of_level, level.requires_grad_())


def test_gradient_of_sharpness() -> None:
    generator = torch.Generator().manual_seed(0)
    value = torch.rand(1, 2, N_BANDS, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(sharpness_of, value.requires_grad_())


@pytest.mark.parametrize("name", MEASURES)
def test_gradients_are_finite_in_silence_and_in_a_square_wave(name: str) -> None:
    square = torch.where(torch.arange(12_000) % 480 < 240, 1.0, -1.0)
    for amplitude in (0.0, 1.0):
        clip = (amplitude * square).requires_grad_()
        (slope,) = torch.autograd.grad(getattr(psychoacoustics, name)(clip, 48_000).sum(), clip)
        assert bool(slope.isfinite().all())


def test_a_sudden_tone_has_the_greater_onset() -> None:
    silence, sound = torch.zeros(12_000), tone(48_000)
    swell = sound * (torch.arange(24_000) / 4800.0).clamp_max(1.0)
    size = []
    for clip in (torch.cat([silence, sound]), torch.cat([silence, swell])):
        tokens = psychoacoustics.Ear()(clip[None, None], torch.tensor([len(clip)]))
        # not where the tone is cut off, which clicks
        size.append(float(tokens.onset[0, :40].sum(-1).max()))
    assert size[0] > 5.0 * size[1]
