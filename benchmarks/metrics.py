"""The one interface of everything that is benchmarked, and the register of names.

A metric is a callable with a `name` and a `version`: it takes two sounds `(channel, time)` and
their common sample rate and returns a float, larger = more different. Where it has no answer it
raises `UndefinedError` with the reason. `make("pamt")` builds a registered one;
`make("pamt@FOLDER")` hands what follows the `@` to its maker, here the checkpoint to load.
"""

import hashlib
import importlib.metadata
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from benchmarks.measurement import (
    LostError,
    Measurement,
    Metric,
    Named,
    UndefinedError,
    implementation,
    measure,
)
from pamt_metric.errors import ConfigError

__all__ = [
    "DEFAULT_METRICS",
    "HASH_LENGTH",
    "REGISTRY",
    "LostError",
    "Maker",
    "Measurement",
    "Metric",
    "MissingPackageError",
    "Named",
    "UndefinedError",
    "distribution",
    "implementation",
    "make",
    "measure",
    "named",
    "package_version",
    "register",
    "release",
    "source_version",
]

HASH_LENGTH = 16
# What a run compares when nobody says: all that the extras `bench` and `peers` install.
DEFAULT_METRICS = (
    "pamt",
    "mr-stft",
    "mel-loss",
    "log-mel-l1",
    "mfcc",
    "encoder-cosine",
    "si-sdr",
    "nmr",
    "two-f",
    "pesq",
    "stoi",
    "visqol",
    "zimtohrli",
)


class MissingPackageError(ConfigError):
    """The package that a metric wraps is not installed; the message names the extra."""


Maker = Callable[[str | None], Metric]
REGISTRY: dict[str, Maker] = {}


def register(name: str) -> Callable[[Maker], Maker]:
    """Decorates the maker of a metric, which takes what follows `@` in its name, or None."""

    def add(maker: Maker) -> Maker:
        REGISTRY[name] = maker
        return maker

    return add


def make(specification: str) -> Metric:
    """The metric that `name` or `name@argument` stands for.

    Raises:
        ConfigError: No metric has that name.
    """
    name, _, argument = specification.partition("@")
    if name not in REGISTRY:
        raise ConfigError(f"unknown metric {name!r}; there are {', '.join(sorted(REGISTRY))}")
    return REGISTRY[name](argument or None)


def release(metric: Metric) -> None:
    """End the process a guarded metric runs in, if it has one; its next call starts another."""
    close = getattr(metric, "close", None)
    if close is not None:
        close()


def named(name: str, argument: str | None) -> str:
    """What results call a metric made with an argument: no more of a path than its end."""
    return name if argument is None else f"{name}@{Path(argument).name}"


def distribution(package: str, *, extra: str) -> str:
    """An installed package with its version, such as `pesq 0.0.4`.

    Raises:
        MissingPackageError: It is not installed; the extra of this project would bring it.
    """
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        raise MissingPackageError(
            f"the package {package} is not installed: pip install 'pamt-metric[{extra}]'"
        ) from None


def source_version(*modules: ModuleType, settings: object = "") -> str:
    """A hash of modules' source and of settings: a cached value outlives no change of code."""
    digest = hashlib.sha256(repr(settings).encode())
    for module in modules:
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()[:HASH_LENGTH]


def package_version(package: ModuleType) -> str:
    """The same over every Python file of a package."""
    digest = hashlib.sha256()
    folder = Path(package.__path__[0])
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:HASH_LENGTH]
