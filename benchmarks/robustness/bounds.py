"""How large a perturbation may be: the sets that attacks stay inside.

Every set knows its steepest step, the change of full size that raises a linear objective most,
and how to bring a perturbation back inside. All are for one mono clip at 48 kHz.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.masked_noise import HOP_LENGTH, analyse, synthesise, threshold_gain
from pamt_metric.psychoacoustics import Ear

TINY = 1e-20
DISTANCE_TRIALS = 6
DISTANCE_AIM = 0.98
"""Share of the distance allowed that the next trial aims at, as if distance grew with size."""
MASKED_START_DB = -6.0


class Bounds(Protocol):
    """A set of perturbations around zero."""

    def random(self, generator: torch.Generator) -> Float[Tensor, "time"]:
        """A perturbation inside, drawn at random."""
        ...

    def steepest(self, gradient: Float[Tensor, "time"]) -> Float[Tensor, "time"]:
        """The step of full size that follows the gradient best."""
        ...

    def project(self, delta: Float[Tensor, "time"]) -> Float[Tensor, "time"]:
        """The perturbation, brought back inside."""
        ...


class Peak:
    """Every sample within +-size (L-infinity)."""

    def __init__(self, n_sample: int, size: float) -> None:
        self.n_sample, self.size = n_sample, size

    def random(self, generator: torch.Generator) -> Float[Tensor, "time"]:
        """Uniform noise."""
        return self.size * (2.0 * torch.rand(self.n_sample, generator=generator) - 1.0)

    def steepest(self, gradient: Float[Tensor, "time"]) -> Float[Tensor, "time"]:
        """The gradient's signs."""
        return self.size * gradient.sign()

    def project(self, delta: Float[Tensor, "time"]) -> Float[Tensor, "time"]:
        """Clipped."""
        return delta.clamp(-self.size, self.size)


class Energy:
    """Root of the summed squares within `radius` (L2)."""

    def __init__(self, n_sample: int, radius: float) -> None:
        self.n_sample, self.radius = n_sample, radius

    def random(self, generator: torch.Generator) -> Float[Tensor, "time"]:
        """White noise of half the radius."""
        return 0.5 * self.steepest(torch.randn(self.n_sample, generator=generator))

    def steepest(self, gradient: Float[Tensor, "time"]) -> Float[Tensor, "time"]:
        """Along the gradient."""
        return gradient * (self.radius / gradient.norm().clamp_min(TINY))

    def project(self, delta: Float[Tensor, "time"]) -> Float[Tensor, "time"]:
        """Scaled down."""
        return delta * (self.radius / delta.norm().clamp_min(TINY)).clamp_max(1.0)


class Masked:
    """Short-time spectra within what the clip's own masked threshold hides, in every bin.

    A perturbation at its limit everywhere has the power of noise that lies at the threshold plus
    `level_db`. Overlapping frames can add up to a little more in places: measure, then say.

    Args:
        clean: the clip, at the level at which it is heard.
        ear: whose threshold counts.
        level_db: over (positive) or under the threshold.
    """

    def __init__(self, clean: Float[Tensor, "time"], ear: Ear, *, level_db: float = 0.0) -> None:
        self.n_sample = clean.shape[0]
        with torch.no_grad():
            gain = threshold_gain(clean, ear)
        # White noise of variance 1 has this root mean square in a bin of the windowed frame.
        self.limit = gain * 10.0 ** (level_db / 20.0) * HOP_LENGTH**0.5

    def random(self, generator: torch.Generator) -> Float[Tensor, "time"]:
        """Noise under the threshold."""
        noise = torch.randn(self.n_sample, generator=generator)
        return 10.0 ** (MASKED_START_DB / 20.0) * self.steepest(noise)

    def steepest(self, gradient: Float[Tensor, "time"]) -> Float[Tensor, "time"]:
        """Every bin at its limit, with the gradient's phase."""
        spectrum = analyse(gradient, self.limit.shape[0])
        return synthesise(self.limit * torch.sgn(spectrum), self.n_sample)

    def project(self, delta: Float[Tensor, "time"]) -> Float[Tensor, "time"]:
        """Every bin cut to its limit."""
        spectrum = analyse(delta, self.limit.shape[0])
        share = (self.limit / spectrum.abs().clamp_min(TINY)).clamp_max(1.0)
        return synthesise(spectrum * share, self.n_sample)


class Heard:
    """No farther from the clip than `most` by a distance, in just-noticeable differences.

    Steps are shaped like the masked threshold, the direction in which the distance forgives most.

    Args:
        shape: a masked set that gives steps their spectrum; its own limit does not bind.
        distance: of the perturbed clip from the clean one.
        most: largest distance allowed.
    """

    def __init__(
        self, shape: Masked, distance: Callable[[Float[Tensor, "time"]], float], *, most: float
    ) -> None:
        self.shape, self.distance, self.most = shape, distance, most

    def random(self, generator: torch.Generator) -> Float[Tensor, "time"]:
        """Noise under the masked threshold, as loud as the distance allows."""
        return self.project(self.shape.random(generator))

    def steepest(self, gradient: Float[Tensor, "time"]) -> Float[Tensor, "time"]:
        """As for `Masked`."""
        return self.shape.steepest(gradient)

    def project(self, delta: Float[Tensor, "time"]) -> Float[Tensor, "time"]:
        """Scaled down until the distance agrees; all of it taken away if it never does."""
        for _ in range(DISTANCE_TRIALS):
            found = self.distance(delta)
            if found <= self.most:
                return delta
            delta = delta * (DISTANCE_AIM * self.most / found)
        return delta if self.distance(delta) <= self.most else torch.zeros_like(delta)


class Segment:
    """Another set, inside a span of samples alone."""

    def __init__(self, inner: Bounds, start: int, stop: int) -> None:
        self.inner, self.start, self.stop = inner, start, stop

    def random(self, generator: torch.Generator) -> Float[Tensor, "time"]:
        """As the inner set's, outside of the span zero."""
        return self._cut(self.inner.random(generator))

    def steepest(self, gradient: Float[Tensor, "time"]) -> Float[Tensor, "time"]:
        """As the inner set's, outside of the span zero."""
        return self._cut(self.inner.steepest(self._cut(gradient)))

    def project(self, delta: Float[Tensor, "time"]) -> Float[Tensor, "time"]:
        """As the inner set's, outside of the span zero."""
        return self._cut(self.inner.project(delta))

    def _cut(self, x: Float[Tensor, "time"]) -> Float[Tensor, "time"]:
        inside = torch.zeros_like(x)
        inside[self.start : self.stop] = x[self.start : self.stop]
        return inside


def peak_at(clean: Float[Tensor, "time"], snr_db: float) -> Peak:
    """The samples' bound whose worst case has this ratio of root mean squares."""
    size = float(clean.square().mean().sqrt()) * 10.0 ** (-snr_db / 20.0)
    return Peak(clean.shape[0], size)


def energy_at(clean: Float[Tensor, "time"], snr_db: float) -> Energy:
    """The energy that has this ratio to the clip's."""
    return Energy(clean.shape[0], float(clean.norm()) * 10.0 ** (-snr_db / 20.0))
