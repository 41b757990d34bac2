import math

import pytest
import torch

from pamt_metric.psychoacoustics import masking
from pamt_metric.psychoacoustics.filterbank import N_COMPONENTS
from pamt_metric.psychoacoustics.masking import MaskedThreshold
from pamt_metric.psychoacoustics.scales import N_BANDS, center_frequencies

BAND = 37
COMPONENT = 4 + 2 * BAND


def burst(*, frame: int = 2, n_frame: int = 20, db: float = 80.0) -> torch.Tensor:
    """Power of one band in one frame, silence elsewhere."""
    power = torch.zeros(1, n_frame, N_COMPONENTS)
    power[0, frame, COMPONENT : COMPONENT + 2] = 0.5 * 10.0 ** (db / 10.0)
    return power


def threshold(power: torch.Tensor) -> torch.Tensor:
    mask = torch.ones(power.shape[:2], dtype=torch.bool)
    return MaskedThreshold()(power, mask)


def test_a_flat_masker_hides_what_the_standard_says() -> None:
    # Offset 3 dB up to 12 Bark, 0.25 dB a Bark above, under the power within one ERB: four
    # components. A flat spectrum is spread onto itself.
    level = 10.0 * threshold(torch.full((1, 12, N_COMPONENTS), 2.5e7))[0, 6].log10()
    offset = torch.clamp(0.25 * masking.hz_to_bark(center_frequencies()), min=3.0).float()
    torch.testing.assert_close(level, 80.0 - offset, rtol=0.0, atol=0.3)


def test_a_masker_that_stops_fades_in_the_compressed_domain() -> None:
    ear = MaskedThreshold()
    found = (threshold(burst()) - ear.quiet)[0, :, BAND]
    inner = masking.compressed(found)
    lag = torch.arange(1, 15)
    fade = inner[3:17] / inner[3]
    expected = torch.exp(-(lag - 1) / (0.044 * 75.0))
    torch.testing.assert_close(fade, expected, rtol=1e-3, atol=1e-3)
    assert not found[:2].any()


def test_the_strongest_of_earlier_maskers_counts() -> None:
    # What the recursion of shifts computes, said plainly.
    generator = torch.Generator().manual_seed(0)
    value = torch.rand(1, 40, 3, generator=generator)
    trace = masking.forward_trace(value)
    for frame in range(40):
        earlier = [
            value[0, frame - lag] * math.exp(-lag / (0.044 * 75.0))
            for lag in range(masking.FORWARD_FRAMES + 1)
            if lag <= frame
        ]
        torch.testing.assert_close(trace[0, frame], torch.stack(earlier).amax(0))


@pytest.mark.parametrize("db", [-30.0, 0.0, 40.0, 100.0])
def test_expansion_undoes_compression(db: float) -> None:
    power = torch.tensor([10.0 ** (db / 10.0)], dtype=torch.float64)
    torch.testing.assert_close(masking.expanded(masking.compressed(power)), power)


def test_silence_and_what_lies_beyond_the_clip_leave_the_threshold_of_hearing() -> None:
    ear = MaskedThreshold()
    quiet = ear.quiet.expand(1, 3, N_BANDS)
    torch.testing.assert_close(threshold(torch.zeros(1, 3, N_COMPONENTS)), quiet)
    mask = torch.arange(20)[None] < 5
    assert torch.equal(ear(burst(frame=4), mask)[0, 5:], ear.quiet.expand(15, N_BANDS))


def test_gradient_is_that_of_finite_differences() -> None:
    ear = MaskedThreshold().double()
    generator = torch.Generator().manual_seed(1)
    db = 60.0 + 20.0 * torch.rand(4, N_COMPONENTS, generator=generator, dtype=torch.float64)
    mask = torch.ones(1, 4, dtype=torch.bool)

    def of_level(some: torch.Tensor) -> torch.Tensor:
        level = torch.cat([some, db[:, some.shape[1] :]], dim=1)
        return ear(10.0 ** (level[None] / 10.0), mask).log()[..., ::6]  # some of the Jacobian

    assert torch.autograd.gradcheck(of_level, db[:, :6].clone().requires_grad_())
