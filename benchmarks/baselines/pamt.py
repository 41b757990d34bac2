"""Our own metric as one contestant among many, and the parts of its comparison."""

import hashlib
from typing import Any

import numpy as np
import torch

from benchmarks.metrics import HASH_LENGTH, named, package_version, register

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
