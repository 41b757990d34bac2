"""Bringing two recordings of the same content to the same start.

One global lag within half a second, found where the two are the same content: the peak of the
partly whitened cross-correlation

    r(k) = IFFT( A conj(B) / sqrt(|A||B|) ) / sqrt( sum|A| sum|B| ),

which is 1 for copies and small for different music. Half the whitening of the phase transform
keeps the peak sharp without giving every bin of noise a full vote (Knapp and Carter, 1976). The
sign does not count: a copy of flipped polarity is the same content.

The search carries no gradient. The cut that applies its result does.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float, Int64
from torch import Tensor

from pamt_metric.psychoacoustics.frames import SAMPLE_RATE
from pamt_metric.threads import AtOnce, in_turn

MAX_LAG_S = 0.5
"""Largest lag that is searched, in seconds."""
SAME_CONTENT = 0.4
"""Correlation above which two clips count as the same content."""
ZERO_LAG_SHARE = 0.95
"""A lag is used only where its peak beats that of no lag by this factor."""
MIN_OVERLAP = SAMPLE_RATE // 10
"""Samples that must remain after the cut: the shortest clip that can be compared."""
SEGMENT_LENGTH = 2**19
"""Samples whose spectra are held at once; those of a longer clip are summed over segments."""

Read = Callable[[int, int], Float[Tensor, "time"]]
"""From a sample to another: that part of a mono clip, as far as the clip goes."""


class Pair(NamedTuple):
    """Two batches of clips of one start each, zeros beyond their lengths."""

    a: Float[Tensor, "batch channel time_a"]
    b: Float[Tensor, "batch channel time_b"]
    lengths_a: Int64[Tensor, "batch"]
    lengths_b: Int64[Tensor, "batch"]


def find_lag(
    a: Float[Tensor, "batch time_a"],
    b: Float[Tensor, "batch time_b"],
    lengths_a: Int64[Tensor, "batch"],
    lengths_b: Int64[Tensor, "batch"],
    *,
    both: AtOnce = in_turn,
) -> Int64[Tensor, "batch"]:
    """Samples at 48 kHz by which `b` comes later than `a`; 0 where they are not the same content.

    Antisymmetric: swapping the two flips the sign, exactly. Each pair is searched on its own, so
    the result does not depend on what else is in the batch. `both` runs what is done to either.
    """
    with torch.no_grad():
        sizes = zip(lengths_a.tolist(), lengths_b.tolist(), strict=True)
        lags = [
            find_lag_of(_part_of(a[i, :m]), _part_of(b[i, :n]), (m, n), both=both)
            for i, (m, n) in enumerate(sizes)
        ]
    return torch.stack(lags)


def find_lag_of(
    read_a: Read, read_b: Read, lengths: tuple[int, int], *, both: AtOnce = in_turn
) -> Int64[Tensor, ""]:
    """The same for one pair of mono clips that are read part by part, each part once."""
    shorter = min(lengths)
    # At least half of the shorter clip must remain.
    max_lag = min(int(MAX_LAG_S * SAMPLE_RATE), shorter // 2)
    max_lag = max(0, min(max_lag, shorter - MIN_OVERLAP))
    there, back = _correlations(read_a, read_b, max(lengths), max_lag, both)
    # The two directions agree up to rounding; their sum is the same in both orders.
    strength = 0.5 * (there + back.flip(-1)).abs()
    lag = torch.arange(-max_lag, max_lag + 1, device=strength.device)
    peak = strength.max()
    # of equal peaks the one nearest to lag 0
    nearest = torch.where(strength == peak, lag.abs(), lag.numel()).argmin()
    clear = (peak > SAME_CONTENT) & (strength[max_lag] < ZERO_LAG_SHARE * peak)
    return torch.where(clear, lag[nearest], 0)


def _part_of(clip: Float[Tensor, "time"]) -> Read:
    return lambda start, stop: clip[start:stop]


def cut_pair(pair: Pair, lag: Int64[Tensor, "batch"]) -> Pair:
    """The pair with its lag taken out, no longer than its longest clips; differentiable."""
    a, lengths_a = cut_to_lag(pair.a, pair.lengths_a, (-lag).clamp_min(0))
    b, lengths_b = cut_to_lag(pair.b, pair.lengths_b, lag.clamp_min(0))
    lengths_a, lengths_b = overlap_lengths(lengths_a, lengths_b, lag)
    return Pair(_trim(a, lengths_a), _trim(b, lengths_b), lengths_a, lengths_b)


def cut_to_lag(
    waveform: Float[Tensor, "batch channel time"],
    lengths: Int64[Tensor, "batch"],
    start: Int64[Tensor, "batch"],
) -> tuple[Float[Tensor, "batch channel time"], Int64[Tensor, "batch"]]:
    """Each item from its own `start` sample on, zeros beyond its new length; differentiable."""
    if not bool(start.any()):
        return waveform, lengths
    remaining = lengths - start
    time = torch.arange(waveform.shape[-1], device=waveform.device)
    index = (time[None] + start[:, None]).clamp_max(waveform.shape[-1] - 1)
    moved = waveform.gather(-1, index[:, None, :].expand_as(waveform))
    return torch.where((time[None] < remaining[:, None])[:, None], moved, 0.0), remaining


def overlap_lengths(
    lengths_a: Int64[Tensor, "batch"],
    lengths_b: Int64[Tensor, "batch"],
    lag: Int64[Tensor, "batch"],
) -> tuple[Int64[Tensor, "batch"], Int64[Tensor, "batch"]]:
    """Lengths after the cut, less the tail that only the cut left unmatched.

    A copy that starts 10 ms late and is as long as its original lost 10 ms at the end to the
    clip's frame, not to a degradation; what is missing beyond that stays, and counts.
    """
    both = torch.minimum(lengths_a, lengths_b)
    near = (lengths_a - lengths_b).abs() <= lag.abs()
    return torch.where(near, both, lengths_a), torch.where(near, both, lengths_b)


def _correlations(
    read_a: Read, read_b: Read, longer: int, max_lag: int, both: AtOnce
) -> tuple[Float[Tensor, "lag"], Float[Tensor, "lag"]]:
    """Normalised correlation at lags -max_lag..max_lag of a with b, where b is later, and back."""
    length = min(longer, SEGMENT_LENGTH)
    n_fft = 1 << (length + max_lag).bit_length()
    # One direction is not the other's conjugate to the bit: the products round in another order.
    products: list[Tensor] = []
    energies: list[Tensor] = []
    for start in range(0, longer, length):
        spectra = both(*[partial(_spectrum, x, start, length, n_fft) for x in (read_a, read_b)])
        (spectrum_a, more_a), (spectrum_b, more_b) = spectra
        more = both(
            partial(_product, spectrum_a, spectrum_b), partial(_product, spectrum_b, spectrum_a)
        )
        products = _total(products, more)
        energies = _total(energies, [more_a, more_b])
    amplitude_a, amplitude_b = (energy.sqrt() for energy in energies)
    tiny = torch.finfo(amplitude_a.dtype).tiny
    per_white = (amplitude_a * amplitude_b).sqrt_().clamp_min_(tiny).reciprocal_()
    scale = 2.0 * (amplitude_a.sum() * amplitude_b.sum()).sqrt().clamp_min(tiny)

    def correlate(product: Complex[Tensor, "bin"]) -> Float[Tensor, "lag"]:
        found = torch.fft.irfft(product * per_white, n=n_fft)
        near = torch.cat([found[-max_lag:], found[: max_lag + 1]])
        return near[-2 * max_lag - 1 :] * (n_fft / scale)

    there, back = both(*[partial(correlate, product) for product in products])
    return there, back


def _product(early: Complex[Tensor, "bin"], late: Complex[Tensor, "bin"]) -> Complex[Tensor, "bin"]:
    return early.conj() * late


def _total(so_far: list[Tensor], more: list[Tensor]) -> list[Tensor]:
    return [x + y for x, y in zip(so_far, more, strict=True)] if so_far else more


def _spectrum(
    read: Read, start: int, length: int, n_fft: int
) -> tuple[Complex[Tensor, "bin"], Float[Tensor, "bin"]]:
    """Of a segment of the clip, and its energy."""
    spectrum = torch.fft.rfft(read(start, start + length), n=n_fft)
    return spectrum, spectrum.real.square() + spectrum.imag.square()


def _trim(
    waveform: Float[Tensor, "batch channel time"], lengths: Int64[Tensor, "batch"]
) -> Float[Tensor, "batch channel kept"]:
    """Zeros beyond each length, and no more samples than the longest clip has."""
    longest = int(lengths.max())
    if longest == waveform.shape[-1] and bool((lengths == longest).all()):
        return waveform
    time = torch.arange(longest, device=waveform.device)
    return torch.where((time[None] < lengths[:, None])[:, None], waveform[..., :longest], 0.0)
