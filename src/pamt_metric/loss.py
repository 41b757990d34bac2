"""The distance as a loss: a module for other people's training code.

    >>> loss = pamt.PerceptualLoss(sample_rate=44_100)
    >>> loss(model(mixture), target).backward()

Nothing of the metric shows in a user's model: it takes no part in `parameters()`, `buffers()` or
`state_dict()`, is not cast with the model, and is no business of DDP's. It does follow
`to(device)`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pamt_metric import audio
from pamt_metric.alignment import Pair, cut_pair, find_lag
from pamt_metric.checkpoint import DEFAULT_MODEL, load
from pamt_metric.errors import InputError
from pamt_metric.evidence import Encoded
from pamt_metric.input_check import MAX_CHANNELS, Hertz, check_choice, checked_rate
from pamt_metric.metric import ALIGNMENTS, Align, Lengths, Level, Metric
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE, n_frames
from pamt_metric.warping import warp

__all__ = ["PerceptualLoss"]

if TYPE_CHECKING:  # what a caller should give
    Reduction = Literal["mean", "none"]
else:  # what may come: another word is answered with the choices in the message
    Reduction = Any

_LOW_PRECISION = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class _Heard:
    """One side at 48 kHz and at its listening level, and what the caller said about it."""

    shape: tuple[int, ...]
    given_lengths: Lengths
    waveform: Float[Tensor, "batch channel time"]
    lengths: Int64[Tensor, "batch"]
    encoded: Encoded | None = None


class PerceptualLoss(nn.Module):
    """How different an estimate sounds from its target: lower is better, 0 is the same.

    Both come as `(batch, channel, time)` with one or two channels, or as `(batch, time)`, a batch
    of mono clips, in [-1, 1] and of one shape. Two axes are always batch and time here, unlike in
    `pamt.distance`, where they are channel and time. Ear, encoder and head run in float32, under
    autocast too; estimates in bfloat16 or float16 are cast first.

    Args:
        model: name, folder or Hub id for `pamt.load`, or a `Metric`. A metric is held, not copied:
            it is frozen, and moves to the loss's device.
        sample_rate: of estimate and target, in Hz.
        reduction: `"mean"` over the batch, or `"none"` for one value per clip.
        level: `"match"` hears both at the same loudness, so that the loss does not know the
            estimate's gain; `"absolute"` as they are, a full-scale sine being 100 dB SPL.
        align: `"none"` compares sample by sample, as a model in training should; `"auto"` first
            takes out one lag where both are the same content, `"dtw"` follows another tempo.
        checkpoint: encode one clip at a time, and again in the backward pass: less memory for
            more time (docs/loss.md has figures).

    Raises:
        InputError: an argument cannot be used.
        CheckpointError: there is no such model.
    """

    metric: Metric
    _reference: _Heard | None

    def __init__(
        self,
        model: str | Metric = DEFAULT_MODEL,
        *,
        sample_rate: Hertz,
        reduction: Reduction = "mean",
        level: Level = "match",
        align: Align = "none",
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        check_choice("reduction", reduction, ("mean", "none"))
        check_choice("level", level, ("match", "absolute"))
        check_choice("align", align, ALIGNMENTS)
        self.sample_rate = checked_rate(sample_rate, "sample_rate")
        self.reduction: Reduction = reduction
        self.level: Level = level
        self.align: Align = align
        self.checkpoint = checkpoint
        metric = model if isinstance(model, Metric) else load(model)
        # Past nn.Module's registration: see the top of this file.
        self.__dict__["metric"] = metric.requires_grad_(False).eval()
        self.__dict__["_reference"] = None

    @property
    def device(self) -> torch.device:
        """Where the metric is, and where estimates are expected."""
        return next(self.metric.parameters()).device

    # A compiled model calls it as it is: its shapes depend on the data.
    @torch.compiler.disable
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, estimate: Tensor, target: Tensor | None = None, *, lengths: Lengths = None
    ) -> Float[Tensor, "*batch"]:
        """The loss of a batch.

        Args:
            estimate: what a model made.
            target: what it should sound like; without one, what `set_reference` got.
            lengths: valid samples of each clip of a padded batch, for both.

        Returns:
            A scalar, or `(batch,)` for `reduction="none"`; each clip counts the same in the mean,
            whatever its length.

        Raises:
            InputError: the audio cannot be used, or estimate and target do not fit together.
        """
        self._check("estimate", estimate)
        if target is None:
            distance = self._distance(estimate, self._kept_reference(lengths))
        else:
            self._check("target", target)
            with torch.autocast(self.device.type, enabled=False):
                reference = self._hear(target, lengths)
            distance = self._distance(estimate, reference)
        return distance.mean() if self.reduction == "mean" else distance

    @torch.compiler.disable
    def set_reference(self, target: Tensor | None, *, lengths: Lengths = None) -> None:
        """Encode a target once, for all following calls without one; None forgets it.

        This is a snapshot: later changes of the tensor do not count, and a call that is given a
        target never uses it. `lengths` hold for those calls' estimates too. Moving the loss to
        another device forgets it.
        """
        self.__dict__["_reference"] = None
        if target is None:
            return
        self._check("target", target)
        # Tensors made in inference mode could never meet autograd.
        with (
            torch.inference_mode(mode=False),
            torch.no_grad(),
            torch.autocast(self.device.type, enabled=False),
        ):
            heard = self._hear(target.clone(), lengths)
            encoded = self._encode(heard.waveform, heard.lengths)
        self.__dict__["_reference"] = replace(heard, encoded=encoded)

    def extra_repr(self) -> str:
        """The arguments, for `print`."""
        info = self.metric.info
        names = ("sample_rate", "reduction", "level", "align", "checkpoint")
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"model={info.name!r} {info.version}, {shown}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "PerceptualLoss":  # noqa: ARG002, FBT001, FBT002 (as in torch)
        """Follow to another device, and stay in float32."""
        device = fn(torch.empty(0, device=self.device)).device
        if device != self.device:
            self.metric.to(device)
            self.__dict__["_reference"] = None
        return self

    def _distance(self, estimate: Tensor, reference: _Heard) -> Float[Tensor, "batch"]:
        with torch.autocast(self.device.type, enabled=False):
            _check_same_shape(tuple(estimate.shape), reference.shape)
            return self._compare(reference, self._hear(estimate, reference.given_lengths))

    def _kept_reference(self, lengths: Lengths) -> _Heard:
        if self._reference is None:
            raise InputError(
                "a target is missing: give one, or call set_reference(target) first "
                "(moving the loss to another device forgets it)"
            )
        if lengths is not None:
            raise InputError("lengths without a target: give them to set_reference instead")
        return self._reference

    def check_batch(self, estimate: Tensor, target: Tensor) -> None:
        """Refuse what no clip of a batch could be compared in.

        Raises:
            InputError: the shapes or the devices do not fit.
        """
        self._check("estimate", estimate)
        self._check("target", target)
        _check_same_shape(tuple(estimate.shape), tuple(target.shape))

    def _check(self, name: str, waveform: Tensor) -> None:
        shape = tuple(waveform.shape)
        if len(shape) not in (2, 3) or (len(shape) == 3 and not 1 <= shape[1] <= MAX_CHANNELS):
            raise InputError(
                f"{name} must be (batch, channel, time) with one or two channels, or (batch, time),"
                f" got {shape}; a single clip needs a batch axis: x[None]"
            )
        if waveform.device != self.device:
            raise InputError(
                f"{name} is on {waveform.device}, the loss on {self.device}; "
                f"move it with loss.to({str(waveform.device)!r})"
            )

    def _hear(self, waveform: Tensor, lengths: Lengths) -> _Heard:
        samples = at_least_float32(waveform)
        clips = audio.load(
            samples if samples.ndim == 3 else samples[:, None],
            sample_rate=self.sample_rate,
            target_rate=SAMPLE_RATE,
            lengths=lengths,
        )
        levelled, _, _ = self.metric.to_listening_level(
            clips.waveform.float(), clips.lengths, self.level
        )
        return _Heard(tuple(waveform.shape), lengths, levelled, clips.lengths)

    def _compare(self, reference: _Heard, test: _Heard) -> Float[Tensor, "batch"]:
        pair = Pair(reference.waveform, test.waveform, reference.lengths, test.lengths)
        lag = torch.zeros_like(pair.lengths_a)
        if self.align == "auto":
            lag = find_lag(pair.a.mean(1), pair.b.mean(1), pair.lengths_a, pair.lengths_b)
        cut = cut_pair(pair, lag)
        encoded = reference.encoded
        if encoded is None or bool(lag.any()):  # a kept encoding is that of the uncut reference
            encoded = self._encode(cut.a, cut.lengths_a)
        estimate = self._encode(cut.b, cut.lengths_b)
        if self.align != "dtw":
            return self.metric.pair(encoded, estimate)
        path = warp(encoded.tokens, estimate.tokens)
        return self.metric.pair(*path.apply(encoded, estimate), path.weight)

    def _encode(
        self, waveform: Float[Tensor, "batch channel time"], lengths: Int64[Tensor, "batch"]
    ) -> Encoded:
        if not self.checkpoint:
            return self.metric.encode(waveform, lengths)
        n_frame = int(n_frames(lengths).max())
        clips = zip(waveform.split(1), lengths.split(1), strict=True)
        return Encoded.join(
            [
                self.metric.encode(clip, length, n_frame=n_frame, checkpoint=True)
                for clip, length in clips
            ]
        )


def at_least_float32(waveform: Tensor) -> Tensor:
    """What a model under autocast gives, in the precision that the ear needs."""
    return waveform.float() if waveform.dtype in _LOW_PRECISION else waveform


def _check_same_shape(estimate: tuple[int, ...], target: tuple[int, ...]) -> None:
    if estimate != target:
        raise InputError(
            f"estimate and target need one shape, got {estimate} and {target}; "
            "is a channel axis missing, or did a model trim its output?"
        )
