"""The adaptive odd-one-out listener against what theory says of it."""

import math

import numpy as np
import pytest
from scipy import special

from benchmarks.metrics import UndefinedError
from benchmarks.psychophysics import listener
from benchmarks.psychophysics.detection import Axis, Condition, ordering, threshold
from benchmarks.psychophysics.subject import Subject

# Monte Carlo with 200000 trials: a share has a standard error of 0.001.
SHARE = 0.005


def simulated(between: float, first: float, second: float, sigma: float) -> float:
    """Trials one by one, with the rule as it is told: the odd one sums up to the most."""
    random = np.random.default_rng(0)
    noise = sigma * random.standard_normal((3, 200_000))
    ab, at, bt = (d + n for d, n in zip((between, first, second), noise, strict=True))
    odd = np.argmax(np.stack([ab + at, ab + bt, at + bt]), axis=0)
    return float(np.mean(odd == 2))


class TestShareCorrect:
    @pytest.mark.parametrize(
        ("between", "first", "second"),
        [(0.0, 0.0, 0.0), (0.0, 1.0, 1.0), (0.5, 1.0, 2.0), (1.0, 0.2, 0.4), (0.0, 4.0, 4.0)],
    )
    def test_equals_a_simulation_of_the_rule(
        self, between: float, first: float, second: float
    ) -> None:
        one = (np.array([x]) for x in (between, first, second))
        found = listener.share_correct(*one, sigma=0.7)[0]
        assert found == pytest.approx(simulated(between, first, second, 0.7), abs=SHARE)

    def test_nothing_heard_is_chance(self) -> None:
        zero = np.zeros(1)
        assert listener.share_correct(zero, zero, zero, sigma=1.0)[0] == pytest.approx(1.0 / 3.0)

    def test_fitted_noise_gives_the_target(self) -> None:
        distance = np.array([3.0])
        sigma = listener.fit_sigma(3.0)
        share = listener.share_correct(np.zeros(1), distance, distance, sigma=sigma)[0]
        assert share == pytest.approx(math.sqrt(0.5), abs=1e-6)


class TestTracks:
    @pytest.mark.parametrize(("mean", "spread"), [(0.3, 0.1), (0.6, 0.05)])
    def test_converges_on_70_7_percent(self, mean: float, spread: float) -> None:
        def psychometric(place: np.ndarray) -> np.ndarray:
            return listener.CHANCE + (1.0 - listener.CHANCE) * special.ndtr((place - mean) / spread)

        inside = (listener.TARGET - listener.CHANCE) / (1.0 - listener.CHANCE)
        expected = mean + spread * special.ndtri(inside)
        found = listener.run_tracks(psychometric, start=0.9, step=0.1, smallest_step=0.01)
        # Levitt: a bias of a fraction of the spread; far less than listeners differ.
        assert found == pytest.approx(expected, abs=0.25 * spread)

    def test_equal_seeds_give_equal_thresholds(self) -> None:
        def psychometric(place: np.ndarray) -> np.ndarray:
            return np.where(place > 0.5, 0.9, 0.4)

        options = {"start": 0.9, "step": 0.1, "smallest_step": 0.01}
        found = [listener.run_tracks(psychometric, seed=seed, **options) for seed in (1, 1, 2)]
        assert found[0] == found[1]
        assert found[0] != found[2]


class Power:
    """Distance: the difference of RMS, raised to a power."""

    version = "1"

    def __init__(self, name: str = "power", exponent: float = 1.0) -> None:
        self.name, self._exponent = name, exponent

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        rms = [float(np.sqrt(np.mean(x.astype(np.float64) ** 2))) for x in (a, b)]
        return abs(rms[0] - rms[1]) ** self._exponent


def plateau(gain: float) -> Condition:
    """A constant that is added: the distance of `Power` is `gain` times the strength."""
    return Condition(
        key=("plateau", gain),
        axis=Axis(easy=1.0, hard=1e-4, steps=8, log=True),
        standard=lambda _strength, _seed: np.zeros(9600),
        signal=lambda strength, _seed: np.full(9600, gain * strength),
    )


def rms_share() -> float:
    """Root of the share of an interval that is not silence before and after."""
    return math.sqrt(9600.0 / (9600.0 + 4800.0))


class TestThreshold:
    @pytest.mark.parametrize("exponent", [1.0, 2.0])
    @pytest.mark.parametrize("gain", [1.0, 0.2])
    def test_of_a_deterministic_metric_is_where_it_must_be(
        self, exponent: float, gain: float
    ) -> None:
        subject = Subject(Power(exponent=exponent))
        wanted = 0.05 / gain
        subject.sigma = listener.fit_sigma((0.05 * rms_share()) ** exponent)
        # A step of the last halving is 15 %.
        assert threshold(plateau(gain), subject).value == pytest.approx(wanted, rel=0.15)

    def test_what_is_not_heard_at_all_is_said(self) -> None:
        subject = Subject(Power())
        subject.sigma = 100.0
        point = threshold(plateau(1.0), subject)
        assert math.isnan(point.value)
        assert point.can
        assert point.reason == "not heard at 1"

    def test_what_is_always_heard_is_said(self) -> None:
        subject = Subject(Power())
        subject.sigma = 1e-9
        assert threshold(plateau(1.0), subject).reason == "still heard at 0.0001"

    def test_a_metric_without_a_value_cannot(self) -> None:
        class Refusing(Power):
            def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
                raise UndefinedError("too short")

        subject = Subject(Refusing())
        subject.sigma = 1.0
        point = threshold(plateau(1.0), subject)
        assert not point.can
        assert point.reason == "too short"

    def test_without_internal_noise_it_cannot(self) -> None:
        subject = Subject(Power())
        subject.no_sigma = "deaf to levels"
        assert threshold(plateau(1.0), subject).reason == "deaf to levels"
        assert not threshold(plateau(1.0), subject).can

    def test_fresh_noise_is_harder_than_frozen_noise(self) -> None:
        """A difference in level that single tokens of narrow noise have anyway is not heard."""
        from benchmarks.psychophysics.stimuli import noise

        found = []
        for fresh in (False, True):
            condition = Condition(
                key=("noise", 0.0),
                axis=Axis(easy=30.0, hard=0.01, steps=8, log=True),
                standard=lambda _more, seed: noise(990.0, 1010.0, 60.0, 0.2, seed=seed),
                signal=lambda more, seed: noise(990.0, 1010.0, 60.0 + more, 0.2, seed=seed),
                fresh=fresh,
            )
            subject = Subject(Power())
            subject.sigma = 1e-4
            found.append(threshold(condition, subject).value)
        assert found[1] > 3.0 * found[0]


class TestOrdering:
    def test_the_change_that_is_heard_better_is_farther(self) -> None:
        each = ordering(plateau(0.2), plateau(1.0), 0.1)
        subject = Subject(Power())
        assert each.farther(subject) == pytest.approx(5.0 * each.nearer(subject), rel=1e-3)
