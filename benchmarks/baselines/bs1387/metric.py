"""A function of two sounds at 48 kHz as a contestant of the benchmark."""

import sys
from collections.abc import Callable

import numpy as np

from benchmarks import waveforms
from benchmarks.baselines import bs1387
from benchmarks.baselines.bs1387.ear import at_48_khz
from benchmarks.metrics import package_version, source_version


class Bs1387Metric:
    """A value of the ear model; its version is a hash of the function's module and this package.

    Args:
        name: What tables call it.
        implementation: What a reader is told about it.
        value: Of the reference and the test (time,) under the baselines' conditions at 48 kHz.
    """

    def __init__(
        self, name: str, implementation: str, value: Callable[[np.ndarray, np.ndarray], float]
    ) -> None:
        self.name = name
        self.implementation = implementation
        self._value = value
        self.version = source_version(
            sys.modules[value.__module__],
            waveforms,
            settings=package_version(bs1387),
        )

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """The value of b against the reference a.

        Raises:
            UndefinedError: The reference is silent or shorter than one frame.
        """
        return self._value(*at_48_khz(a, b, sample_rate))
