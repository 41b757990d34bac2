import pytest
import torch

from pamt_metric.psychoacoustics import masking
from pamt_metric.psychoacoustics.masking import MaskedThreshold
from pamt_metric.psychoacoustics.scales import N_BANDS, center_frequencies

BAND = 37


def burst(*, band: int = BAND, frame: int = 2, n_frame: int = 20, db: float = 80.0) -> torch.Tensor:
    """Excitation of one band in one frame, silence elsewhere."""
    excitation = torch.zeros(1, n_frame, N_BANDS)
    excitation[0, frame, band] = 10.0 ** (db / 10.0)
    return excitation


def threshold_db(excitation: torch.Tensor) -> torch.Tensor:
    return 10.0 * MaskedThreshold()(excitation).log10()


@pytest.mark.parametrize("band", [0, 20, 50, 74])
def test_a_masker_hides_what_is_at_least_3_db_softer(band: int) -> None:
    assert float(threshold_db(burst(band=band))[0, 2, band]) <= 80.0 - 3.0


def test_a_flat_masker_hides_what_the_standard_says() -> None:
    # Offset 3 dB up to 12 Bark, 0.25 dB a Bark above; a flat spectrum is spread onto itself.
    level = threshold_db(torch.full((1, 1, N_BANDS), 1e8))[0, 0]
    offset = torch.clamp(0.25 * masking.hz_to_bark(center_frequencies()), min=3.0).float()
    torch.testing.assert_close(level, 80.0 - offset, rtol=0.0, atol=1e-3)


def test_masking_reaches_further_up_than_down() -> None:
    level = threshold_db(burst())[0, 2]
    bark = masking.hz_to_bark(center_frequencies()).float()
    # A few bands away, where quiet is still far below: dB per Bark on both sides.
    down = (level[BAND] - level[BAND - 3]) / (bark[BAND] - bark[BAND - 3])
    up = (level[BAND] - level[BAND + 3]) / (bark[BAND + 3] - bark[BAND])
    assert float(down) > float(up) + 10.0
    assert float(up) > 5.0


def test_forward_masking_fades_evenly_and_then_ends() -> None:
    quiet = MaskedThreshold().quiet[BAND]
    tail = MaskedThreshold()(burst())[0, :, BAND] - quiet
    fade = 10.0 * (tail[2:11] / tail[2]).log10()
    # 400 dB a second at 75 frames a second, for eight frames after the masker
    expected = -400.0 / 75.0 * torch.arange(9.0)
    torch.testing.assert_close(fade, expected, rtol=0.0, atol=0.01)
    assert not tail[:2].any()
    assert not tail[11:].any()


def test_the_strongest_of_earlier_maskers_counts() -> None:
    # What the recursion of shifts computes, said plainly.
    generator = torch.Generator().manual_seed(0)
    excitation = 10.0 ** (8.0 * torch.rand(1, 30, N_BANDS, generator=generator))
    ear = MaskedThreshold()
    now = excitation @ ear.spread
    for frame in range(30):
        earlier = [
            now[0, frame - lag] * ear.decay**lag
            for lag in range(masking.FORWARD_FRAMES + 1)
            if lag <= frame
        ]
        expected = torch.stack(earlier).amax(0) + ear.quiet
        torch.testing.assert_close(ear(excitation)[0, frame], expected)


def test_silence_leaves_the_threshold_of_hearing() -> None:
    ear = MaskedThreshold()
    assert torch.equal(ear(torch.zeros(1, 3, N_BANDS)), ear.quiet.expand(1, 3, N_BANDS))


def test_gradient_is_that_of_finite_differences() -> None:
    ear = MaskedThreshold().double()
    generator = torch.Generator().manual_seed(1)
    db = 60.0 + 20.0 * torch.rand(4, N_BANDS, generator=generator, dtype=torch.float64)

    def of_level(some: torch.Tensor) -> torch.Tensor:
        level = torch.cat([some, db[:, some.shape[1] :]], dim=1)
        return ear(10.0 ** (level[None] / 10.0)).log()

    assert torch.autograd.gradcheck(of_level, db[:, :3].clone().requires_grad_())
