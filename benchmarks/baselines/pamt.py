"""Our own metric as one contestant among many, and the parts of its comparison."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.baselines import batches
from benchmarks.metrics import HASH_LENGTH, named, package_version, register
from pamt_metric.errors import InputError
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE

PARTS = ("fidelity", "content", "added", "missing")


class Pamt:
    """`pamt_metric`'s distance, or one part of its comparison, at the pair's own rate and channels.

    Hears the files as they are, without the baselines' common conditions: channels, levels and
    lengths are the metric's own business.
    """

    def __init__(self, metric: Any, *, name: str = "pamt", part: str = "distance") -> None:
        import pamt_metric

        self.name = name
        self._metric = metric
        self._part = part
        state = _state_hash(metric)
        self.version = f"{package_version(pamt_metric)}-{state}"
        info = metric.info
        # A model that was never saved has no file.
        file = f"sha256 {info.sha256[:HASH_LENGTH]}" if info.sha256 else f"no file, state {state}"
        model = " ".join(x for x in (info.name, info.version) if x)
        self.implementation = f"pamt-metric {pamt_metric.__version__}, {model}, {file}"

    @torch.no_grad()
    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """The distance of b from the reference a, or the named part of it."""
        pair = torch.from_numpy(a), torch.from_numpy(b)
        if self._part == "distance":
            return float(self._metric.distance(*pair, sample_rate=sample_rate))
        return float(getattr(self._metric.compare(*pair, sample_rate=sample_rate), self._part))

    def at_absolute_level(self) -> "AtAbsoluteLevel":
        """The same distance, without matching levels or aligning, whatever the part."""
        return AtAbsoluteLevel(self._metric, name=self.name, version=self.version)


class AtAbsoluteLevel:
    """The distance with `level="absolute"` and `align="none"`, each sound encoded once.

    Takes mono or stereo sounds of one length at 48 kHz, as the psychophysics suite makes them.
    """

    def __init__(self, metric: Any, *, name: str, version: str) -> None:
        self.name, self.version = name, f"{version}-absolute"
        self._metric = metric

    @torch.no_grad()
    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """The distance of b from a."""
        pair = torch.from_numpy(a), torch.from_numpy(b)
        found = self._metric.distance(
            *pair, sample_rate=sample_rate, level="absolute", align="none"
        )
        return float(found)

    @torch.no_grad()
    def encode_all(self, sounds: Sequence[np.ndarray], sample_rate: int) -> list[Any]:
        """What ear and head make of each sound.

        Raises:
            InputError: They are not at the rate of the ear.
        """
        if sample_rate != SAMPLE_RATE:
            raise InputError(f"sounds have to be at {SAMPLE_RATE} Hz, got {sample_rate}")
        return batches.encode_all(self._metric.encode, sounds)

    @torch.no_grad()
    def between(self, pairs: Sequence[tuple[Any, Any]]) -> list[float]:
        """The distance of each pair of what was encoded."""
        return batches.compare_all(self._metric.pair, pairs)


def _state_hash(metric: Any) -> str:
    digest = hashlib.sha256()
    for key, tensor in sorted(metric.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:HASH_LENGTH]


@register("pamt")
def make_pamt(argument: str | None) -> Pamt:
    """`pamt` is the bundled model, `pamt@FOLDER_OR_HUB_ID` another one."""
    return _load(argument, "distance")


def _register_part(part: str) -> None:
    @register(f"pamt-{part}")
    def make_part(argument: str | None) -> Pamt:
        return _load(argument, part)


def _load(argument: str | None, part: str) -> Pamt:
    import pamt_metric

    base = "pamt" if part == "distance" else f"pamt-{part}"
    metric = pamt_metric.load() if argument is None else pamt_metric.load(argument)
    return Pamt(metric, name=named(base, argument), part=part)


for _part in PARTS:
    _register_part(_part)
