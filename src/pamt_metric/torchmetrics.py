"""The mean distance of an evaluation as a `torchmetrics.Metric`.

    >>> metric = pamt.torchmetrics.PerceptualDistance(sample_rate=44_100)
    >>> metric.update(preds, target)
    >>> metric.compute()

Needs torchmetrics: `pip install 'pamt-metric[torchmetrics]'`. Imports are absolute, so the
`torchmetrics` below is that package and not this module.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric as TorchMetric

from pamt_metric import audio
from pamt_metric.checkpoint import DEFAULT_MODEL
from pamt_metric.errors import InputError
from pamt_metric.input_check import Hertz, checked_lengths, full_lengths
from pamt_metric.loss import PerceptualLoss, at_least_float32
from pamt_metric.metric import Align, Lengths, Level, Metric

__all__ = ["PerceptualDistance"]


class PerceptualDistance(TorchMetric):
    """Mean distance over all clips: lower is better, 0 is the same.

    A clip that cannot be compared (NaN, too short, of another scale) does not stop an evaluation:
    it is left out of the mean with a warning that gives the reason, and counted in `n_failed`.
    What is wrong with a whole batch (shapes that differ, say) still raises. Waveforms have the
    shapes that `PerceptualLoss` takes. No state of the model is in `state_dict()`.

    Args:
        model: as for `PerceptualLoss`.
        sample_rate: of the clips, in Hz.
        level: `"match"` or `"absolute"`, as for `pamt.distance`.
        align: as for `pamt.distance`.
        strict: raise for a clip that cannot be compared.
        kwargs: options of `torchmetrics.Metric`.

    Attributes:
        n_clips: clips in the mean; NaN comes out where there are none.
        n_failed: clips left out.
    """

    is_differentiable = False  # that is what `PerceptualLoss` is for
    higher_is_better = False
    full_state_update = False
    plot_lower_bound = 0.0

    total: Tensor
    n_clips: Tensor
    n_failed: Tensor

    def __init__(
        self,
        model: str | Metric = DEFAULT_MODEL,
        *,
        sample_rate: Hertz,
        level: Level = "match",
        align: Align = "auto",
        strict: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.strict = strict
        self.distance = PerceptualLoss(
            model, sample_rate=sample_rate, reduction="none", level=level, align=align
        )
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("n_clips", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("n_failed", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor, lengths: Lengths = None) -> None:
        """Add a batch.

        Args:
            preds: what a model made.
            target: what it should sound like, of the same shape.
            lengths: valid samples of each clip of a padded batch, for both.

        Raises:
            InputError: the batch cannot be used, or with `strict` one of its clips.
        """
        self.distance.check_batch(preds, target)
        clips = preds if preds.ndim == 3 else preds[:, None]
        valid = full_lengths(clips) if lengths is None else checked_lengths(lengths, clips)
        reasons = self._reasons((preds, target), valid)
        if self.strict and reasons:
            item, reason = next(iter(reasons.items()))
            raise InputError(f"item {item}: {reason}")
        kept = [item for item in range(len(preds)) if item not in reasons]
        if kept:
            with torch.no_grad():
                distances = self.distance(preds[kept], target[kept], lengths=valid[kept])
            self.total += distances.sum()
        self.n_clips += len(kept)
        self.n_failed += len(reasons)
        if reasons:
            listed = "; ".join(f"item {item}: {reason}" for item, reason in reasons.items())
            warnings.warn(f"{len(reasons)} of {len(preds)} clips left out: {listed}", stacklevel=2)

    def compute(self) -> Float[Tensor, ""]:
        """Mean distance of all clips so far."""
        return self.total / self.n_clips

    def plot(self, val: Tensor | Sequence[Tensor] | None = None, ax: Any = None) -> Any:
        """Plot one value or several; see `torchmetrics.Metric.plot`. Needs matplotlib."""
        return self._plot(val, ax)

    def _reasons(self, sides: tuple[Tensor, Tensor], lengths: Tensor) -> dict[int, str]:
        """Why each clip that cannot be compared cannot."""
        found = {}
        for item, length in enumerate(lengths.tolist()):
            for name, side in zip(("preds", "target"), sides, strict=True):
                clip = at_least_float32(side[item])[..., :length]
                try:
                    audio.check(clip, sample_rate=self.distance.sample_rate)
                except InputError as error:
                    found.setdefault(item, f"{name}: {error}")
        return found
