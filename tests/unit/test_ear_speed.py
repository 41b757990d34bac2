import numpy as np

from benchmarks import ear_speed


class Counting:
    """A metric that counts what it was given."""

    name = "counting"
    version = ""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        assert not np.array_equal(a, b)
        self.shapes.append(a.shape)
        return 0.0


def test_every_contestant_hears_every_round() -> None:
    metric = Counting()
    times = ear_speed.speed([metric], duration_s=1, rounds=2)
    assert list(times) == [ear_speed.FORWARD, ear_speed.BACKWARD, "counting"]
    assert len(times) == 2
    assert metric.shapes == [(1, 48_000)] * 3  # one round to warm up
    assert bool((times[ear_speed.BACKWARD] > times["counting"]).all())


def test_peak_memory_grows_with_the_sound() -> None:
    assert ear_speed.peak_memory(4) - ear_speed.peak_memory(1) > 5.0
