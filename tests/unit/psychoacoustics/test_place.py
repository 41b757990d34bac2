"""Where peaks of excitation lie: lines by hand, tones and noise through the ear."""

import math

import pytest
import torch

from pamt_metric.psychoacoustics import Ear, EarTokens, place
from pamt_metric.psychoacoustics.place import Place, squared_move
from pamt_metric.psychoacoustics.place import place as place_of
from pamt_metric.psychoacoustics.scales import (
    CAM_MIN,
    CAM_STEP,
    N_BANDS,
    center_frequencies,
    hz_to_erb_number,
)
from tests.support import signals

BAND = 30
N_FRAME = 20
LINE = 1e6
# The floors of excitation and of loudness.
FLOORS = 1e-5
INNER = slice(8, -8)


def lines(power: dict[int, float]) -> torch.Tensor:
    """Excitation of a steady clip with power in some bands only."""
    excitation = torch.zeros(1, N_FRAME, N_BANDS, dtype=torch.float64)
    for band, value in power.items():
        excitation[..., band] = value
    return excitation


def steadily(excitation: torch.Tensor) -> Place:
    """The place where every band is one sone per Cam loud."""
    return place_of(excitation, torch.ones_like(excitation))


def at(cam: float, variance: float = 0.0) -> Place:
    """One frame with all its places so many Cam over the bands' centres."""
    shape = (1, 1, N_BANDS)
    return Place(
        torch.full(shape, cam, dtype=torch.float64),
        torch.full(shape, variance, dtype=torch.float64),
    )


def least_shift(frequency: torch.Tensor) -> torch.Tensor:
    """The documented s, in Cam."""
    return 0.013 * (1.0 + (frequency / 3000.0).square())


def hear(waveform: torch.Tensor) -> EarTokens:
    with torch.no_grad():
        return Ear()(waveform[None, None], torch.tensor([len(waveform)]))


def heard_tone(hz: float) -> Place:
    tokens = hear(signals.tone(0.5, frequency=hz, n_partials=1))
    return place_of(tokens.excitation, tokens.loudness)


def band_of(hz: float) -> int:
    return round((float(hz_to_erb_number(torch.tensor(hz))) - CAM_MIN) / CAM_STEP)


def test_a_line_lies_in_its_band_and_beside_the_neighbours() -> None:
    found = steadily(lines({BAND: LINE}))
    expected = [0.0, 1.5, 1.0, 0.5, 0.0, -0.5, -1.0, -1.5, 0.0]
    mean = found.mean[0, 10, BAND - 4 : BAND + 5]
    assert mean.tolist() == pytest.approx(expected, abs=FLOORS)
    assert float(found.variance[..., 10:-10].max()) == pytest.approx(0.0, abs=FLOORS)


def test_two_lines_lie_at_the_centre_of_gravity_of_their_squares() -> None:
    found = steadily(lines({BAND: LINE, BAND + 1: 2.0 * LINE}))
    assert float(found.mean[0, 10, BAND]) == pytest.approx(0.5 * 4.0 / 5.0, abs=FLOORS)


class TestMemory:
    @staticmethod
    def with_a_jump() -> torch.Tensor:
        """A line that lies one band higher in frame 10."""
        excitation = lines({BAND: LINE})
        excitation[:, 10] = lines({BAND + 1: LINE})[:, 10]
        return excitation

    def test_is_nine_frames_long_and_knows_how_much_the_place_wanders(self) -> None:
        found = steadily(self.with_a_jump())
        within = [0.0] * 6 + [1.0] * 9 + [0.0] * 5
        mean, square = 0.5 / 9.0, 0.25 / 9.0
        assert found.mean[0, :, BAND].tolist() == pytest.approx(
            [mean * inside for inside in within], abs=FLOORS
        )
        assert found.variance[0, :, BAND].tolist() == pytest.approx(
            [(square - mean**2) * inside for inside in within], abs=FLOORS
        )

    def test_counts_by_loudness(self) -> None:
        loudness = torch.ones(1, N_FRAME, N_BANDS, dtype=torch.float64)
        loudness[:, 10] = 4.0
        found = place_of(self.with_a_jump(), loudness)
        assert float(found.mean[0, 10, BAND]) == pytest.approx(4.0 * 0.5 / 12.0, abs=FLOORS)
        loudness[:, 10] = 0.0
        found = place_of(self.with_a_jump(), loudness)
        assert found.mean[0, :, BAND].tolist() == pytest.approx([0.0] * N_FRAME, abs=FLOORS)

    def test_ends_with_the_clip(self) -> None:
        tokens = hear(signals.tone(0.3))
        alone = place_of(tokens.excitation, tokens.loudness)
        padded = [
            torch.nn.functional.pad(x, (0, 0, 0, 11)) for x in (tokens.excitation, tokens.loudness)
        ]
        n_frame = tokens.loudness.shape[1]
        for found, expected in zip(place_of(*padded), alone, strict=True):
            # The same sums, in other blocks: float32 rounding.
            torch.testing.assert_close(found[:, :n_frame], expected, rtol=0.0, atol=1e-6)


class TestSquaredMove:
    def test_is_over_the_precision_and_what_either_wanders(self) -> None:
        found = squared_move(at(0.02, 1e-5), at(-0.01, 3e-5))
        least = least_shift(center_frequencies())
        square = (0.03**2 - 4e-5) / (least.square() + 4e-5)
        torch.testing.assert_close(found[0, 0], square / (1.0 + square / 900.0))

    def test_is_zero_at_itself_and_under_its_own_wandering(self) -> None:
        assert not squared_move(at(0.3), at(0.3)).any()
        assert not squared_move(at(0.1, 0.006), at(0.0, 0.005)).any()

    def test_is_symmetric(self) -> None:
        a, b = at(0.4, 0.01), at(0.1, 0.002)
        assert torch.equal(squared_move(a, b), squared_move(b, a))

    def test_halves_its_precision_at_3_khz(self) -> None:
        # So small that nothing saturates.
        found = squared_move(at(0.001), at(0.0))[0, 0].sqrt()
        below, above = (found[band_of(hz)] for hz in (2900.0, 3100.0))
        assert float(above) < 0.5 * float(found[0]) < float(below)

    def test_saturates_at_the_largest(self) -> None:
        sizes = [float(squared_move(at(cam), at(0.0))[0, 0, 0].sqrt()) for cam in (0.01, 0.4, 3.0)]
        small = 0.01 / float(least_shift(center_frequencies()[0]))
        assert sizes[0] == pytest.approx(small, rel=1e-3)
        # A move of z = LARGEST counts 1 / sqrt(2) of it.
        assert sizes[1] == pytest.approx(30.0 / math.sqrt(2.0), rel=0.05)
        assert 29.5 < sizes[2] < 30.0


@pytest.mark.parametrize("hz", [300.0, 500.0, 1000.0, 2000.0, 4000.0])
def test_a_tone_moves_its_bands_by_its_shift_in_cam(hz: float) -> None:
    moved = heard_tone(1.01 * hz).mean - heard_tone(hz).mean
    cam = hz_to_erb_number(torch.tensor([hz, 1.01 * hz])).diff()
    near = moved[0, INNER, band_of(hz) - 1 : band_of(hz) + 2].mean(0)
    # Filters that widen towards higher bands, and their skirts, bend the scale a little.
    torch.testing.assert_close(near, cam.expand(3), rtol=0.15, atol=0.0)


def test_tokens_of_noise_hardly_move_beside_a_tone_that_is_one_percent_off() -> None:
    tokens = [hear(signals.noise(0.5, seed=seed)) for seed in range(4)]
    noise = [place_of(x.excitation, x.loudness) for x in tokens]
    tone = squared_move(heard_tone(1000.0), heard_tone(1010.0))[0, INNER, band_of(1000.0)].mean()
    for other in noise[1:]:
        assert float(squared_move(noise[0], other)[0, INNER].mean()) < 0.01 * float(tone)


def test_silence_lies_nowhere_with_a_finite_gradient() -> None:
    silence = torch.zeros(2, 1, N_FRAME, N_BANDS, dtype=torch.float64, requires_grad=True)
    loudness = torch.zeros_like(silence, requires_grad=True)
    a, b = (place_of(x, y) for x, y in zip(silence, loudness, strict=True))
    assert not a.mean.any()
    assert not a.variance.any()
    assert not squared_move(a, b).any()
    moved = squared_move(a, steadily(lines({BAND: LINE}))).sum() + squared_move(a, b).sum()
    for slope in torch.autograd.grad(moved, (silence, loudness)):
        assert bool(slope.isfinite().all())


def test_gradients_are_right() -> None:
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(4, 1, 6, N_BANDS, generator=generator, dtype=torch.float64)
    excitation, loudness = (4.0 * draws[0]).requires_grad_(), draws[1].requires_grad_()
    # Far from the first and steady, so that few bands lie near the bend at no move.
    other = Place(1.0 + 0.1 * draws[2], 0.1 * draws[3])

    def move(level: torch.Tensor, loudness: torch.Tensor) -> torch.Tensor:
        return squared_move(place_of(level.exp(), loudness), other)[..., :20]

    assert bool((move(excitation, loudness) > 0.0).float().mean() > 0.5)
    assert torch.autograd.gradcheck(move, (excitation, loudness))


def test_autocast_does_not_reach_it() -> None:
    tokens = hear(signals.tone(0.3))
    plain = place_of(tokens.excitation, tokens.loudness)
    with torch.autocast("cpu", torch.bfloat16):
        lowered = place_of(tokens.excitation, tokens.loudness)
    assert torch.equal(lowered.mean, plain.mean)


def test_has_a_gradient_after_a_first_use_in_inference_mode() -> None:
    excitation = lines({BAND: LINE})
    for cache in (place._around, place._precision):
        cache.cache_clear()
    with torch.inference_mode():
        squared_move(steadily(excitation), steadily(excitation))
    excitation.requires_grad_()
    move = squared_move(steadily(excitation), steadily(lines({BAND + 1: LINE}))).sum()
    (slope,) = torch.autograd.grad(move, excitation)
    assert bool(slope.any())
