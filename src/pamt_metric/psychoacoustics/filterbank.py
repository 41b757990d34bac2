"""From a waveform to the power of fine components along the cochlea, 75 times a second.

Components lie a quarter of a Cam apart, twice as close as the ear's bands, and hold what reaches
the cochlea: the power spectrum times the outer- and middle-ear transfer. How they spread over the
cochlea depends on their level and is left to `excitation`.

One window length cannot serve both ends of the cochlea: bass filters are 30 Hz wide, treble ones
hear changes within a few milliseconds. Three Hann windows share the work (85, 43 and 11 ms), each
for the components that suit it, with a crossfade of one Cam between neighbours. The two long ones
run on audio decimated by 8 and by 4, whose low pass is divided out of the spectrum. The short one
runs every 3.3 ms; a frame takes seven of its spectra, weighed by a triangle, so that a click
counts the same wherever it falls between two frames, and the sub-frames tell onsets and roughness.

All windows are centred on the frame's instant. Outside the clip the world is silent, so frames at
the edges see zeros, whatever else is in the batch.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pamt_metric.psychoacoustics.calibration import POWER_TO_INTENSITY
from pamt_metric.psychoacoustics.decimation import Decimate, low_pass_response
from pamt_metric.psychoacoustics.frames import FIRST_CENTER, HOP_LENGTH, SAMPLE_RATE
from pamt_metric.psychoacoustics.outer_ear import transfer_gain_db
from pamt_metric.psychoacoustics.power_spectra import BandPowers, band_powers
from pamt_metric.psychoacoustics.scales import (
    BANDS_PER_REGION,
    CAM_MIN,
    CAM_STEP,
    N_BANDS,
    N_REGIONS,
    erb_number_to_hz,
    hz_to_erb_number,
)

COMPONENT_STEP = CAM_STEP / 2.0
"""Distance between neighbouring components, in Cam."""
FIRST_BAND_COMPONENT = 4
"""Components below the first band's two: down to 0.675 Cam (17 Hz)."""
N_COMPONENTS = 164
"""Up to 41.4 Cam (19.6 kHz)."""

SUB_FRAMES = 4
"""Sub-frames a frame: every 3.3 ms."""
SUB_HOP_LENGTH = HOP_LENGTH // SUB_FRAMES
WINDOW_LENGTHS = (4096, 2048, 512)
"""Samples at 48 kHz."""
DECIMATIONS = (8, 4, 1)
CROSSOVER_CAM = (7.8, 23.0)
"""Between the windows: 303 Hz and 2.5 kHz."""
CROSSFADE_CAM = 1.0

_LOW_PASS_TAPS = (49, 33)
SUB_LEAD = 2
"""A frame's own sub-frames start one before its centre, two after the first it reads."""
_FRAME_WEIGHT = (1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0)


class Components(NamedTuple):
    """What the filterbank makes of a waveform, as intensity re 0 dB SPL at the cochlea.

    Attributes:
        power: of each component.
        cross: real part of the cross-power of the first and the last channel; for one channel its
            power.
        region: power of each region in each sub-frame, mean of the channels.
        quarter: the waveform at a quarter of its rate, low-passed, which the fine structure reads.
    """

    power: Float[Tensor, "batch channel frame component"]
    cross: Float[Tensor, "batch frame component"]
    region: Float[Tensor, "batch sub_frame region"]
    quarter: Float[Tensor, "batch channel quarter_time"]


def component_frequencies() -> Float[Tensor, "component"]:
    """Centres of the components in Hz, float64, rising."""
    return erb_number_to_hz(_component_cams())


def by_band(component: Float[Tensor, "*batch component"]) -> Float[Tensor, "*batch band"]:
    """Sum of the two components of each band: the power within half a Cam."""
    first = FIRST_BAND_COMPONENT
    return component[..., first : first + 2 * N_BANDS].unflatten(-1, (N_BANDS, 2)).sum(-1)


class Filterbank(nn.Module):
    """48 kHz audio -> components; a sine of amplitude 1 is 100 dB SPL."""

    frame_weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.to_quarter = Decimate(4, _LOW_PASS_TAPS[0])
        self.to_eighth = Decimate(2, _LOW_PASS_TAPS[1])
        self.low, self.middle, self.high = (_Resolution(index) for index in range(3))
        weight = torch.tensor(_FRAME_WEIGHT) / sum(_FRAME_WEIGHT)
        self.register_buffer("frame_weight", weight, persistent=False)

    def forward(self, waveform: Float[Tensor, "batch channel time"], n_frame: int) -> Components:
        """Components of `n_frame` frames; samples beyond the end count as silence."""
        quarter = self.to_quarter(waveform)
        eighth = self.to_eighth(quarter)
        n_sub = SUB_FRAMES * (n_frame - 1) + len(_FRAME_WEIGHT)
        low = self.low(eighth, FIRST_CENTER, HOP_LENGTH, n_frame)
        middle = self.middle(quarter, FIRST_CENTER, HOP_LENGTH, n_frame)
        high = self.high(waveform, FIRST_CENTER - 3 * SUB_HOP_LENGTH, SUB_HOP_LENGTH, n_sub)
        # The first spectrum lies three sub-frames before the first frame's centre.
        own = high.power[:, :, SUB_LEAD : SUB_LEAD + SUB_FRAMES * n_frame, -N_REGIONS:]
        region = own.mean(1)
        total = self._join(low.power, middle.power, high.power)
        if waveform.shape[1] == 1:
            return Components(total, total[:, 0], region, quarter)
        cross = self._join(low.cross, middle.cross, high.cross)
        return Components(total, cross, region, quarter)

    def _join(
        self,
        low: Float[Tensor, "*batch frame low"],
        middle: Float[Tensor, "*batch frame middle"],
        high: Float[Tensor, "*batch sub_frame high"],
    ) -> Float[Tensor, "*batch frame component"]:
        """Components from those of the three resolutions."""
        last = SUB_FRAMES * (low.shape[-2] - 1) + 1
        components = high[..., : self.high.n_component]
        fine = sum(
            weight * components[..., first : first + last : SUB_FRAMES, :]
            for first, weight in enumerate(self.frame_weight.unbind())
        )
        total = low.new_zeros(*low.shape[:-1], N_COMPONENTS)
        for part, of in ((low, self.low), (middle, self.middle), (fine, self.high)):
            total[..., of.first : of.first + of.n_component] += part
        return total


class _Resolution(nn.Module):
    """One window length and the components that read it."""

    window: Tensor
    weight: Tensor

    def __init__(self, index: int) -> None:
        super().__init__()
        self.decimation = DECIMATIONS[index]
        self.length = WINDOW_LENGTHS[index] // self.decimation
        weight = component_weight(index)
        bins = weight.any(1).nonzero()
        columns = weight.any(0).nonzero()
        self.first = int(columns.min())
        self.n_component = int(columns.max()) + 1 - self.first
        self.first_bin = int(bins.min())
        weight = weight[:, self.first : self.first + self.n_component]
        if index == len(WINDOW_LENGTHS) - 1:
            # Regions read the short windows too, and further down than components do.
            weight = torch.cat([weight, _region_weight()], dim=1)
            self.first_bin = 1
        read = slice(self.first_bin, int(bins.max()) + 1)
        weight = weight[read] * _bin_gain(index)[read, None]
        window = torch.hann_window(self.length, periodic=True, dtype=torch.float64)
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("weight", weight.float(), persistent=False)

    def forward(
        self, waveform: Float[Tensor, "batch channel time"], center: int, hop: int, n_frame: int
    ) -> BandPowers:
        """Powers at `n_frame` instants from `center` on; both count samples at 48 kHz."""
        center, hop = center // self.decimation, hop // self.decimation
        return band_powers(
            waveform,
            self.window,
            self.weight,
            start=center - self.length // 2,
            hop=hop,
            n_frame=n_frame,
            first_bin=self.first_bin,
        )


def _component_cams() -> Float[Tensor, "component"]:
    lowest = CAM_MIN - COMPONENT_STEP / 2.0 - FIRST_BAND_COMPONENT * COMPONENT_STEP
    return lowest + COMPONENT_STEP * torch.arange(N_COMPONENTS, dtype=torch.float64)


def bin_frequencies(index: int) -> Float[Tensor, "bin"]:
    """Frequencies in Hz of the bins of one window length, as many as its decimation leaves."""
    n_bin = WINDOW_LENGTHS[index] // DECIMATIONS[index] // 2 + 1
    bins = torch.arange(n_bin, dtype=torch.float64)
    return bins * SAMPLE_RATE / WINDOW_LENGTHS[index]


def component_weight(index: int) -> Float[Tensor, "bin component"]:
    """Share of each bin's power in each component.

    A bin's power goes to the two nearest components, in proportion to nearness, so that neither
    power nor its mean place on the cochlea is lost.
    """
    cam = hz_to_erb_number(bin_frequencies(index))
    distance = (cam[:, None] - _component_cams()[None, :]).abs() / COMPONENT_STEP
    weight = (1.0 - distance).clamp_min(0.0)
    for side, edge in ((1.0, index - 1), (-1.0, index)):
        if 0 <= edge < len(CROSSOVER_CAM):
            above = side * (cam - CROSSOVER_CAM[edge]) / CROSSFADE_CAM + 0.5
            weight = weight * above.clamp(0.0, 1.0)[:, None]
    return weight


def _bin_gain(index: int) -> Float[Tensor, "bin"]:
    """From the squared magnitude of a bin to intensity at the cochlea."""
    frequency = bin_frequencies(index)
    length = WINDOW_LENGTHS[index] // DECIMATIONS[index]
    window = torch.hann_window(length, periodic=True, dtype=torch.float64)
    gain = POWER_TO_INTENSITY * 10.0 ** (transfer_gain_db(frequency) / 10.0)
    # A real signal's power sits in both halves of the spectrum; DC carries none that is heard.
    gain = 2.0 * gain / (length * window.square().sum())
    gain[0] = 0.0
    for passed, step, n_taps in ((1, 4, _LOW_PASS_TAPS[0]), (4, 2, _LOW_PASS_TAPS[1])):
        if DECIMATIONS[index] > passed:
            cycles = frequency * passed / SAMPLE_RATE
            response = low_pass_response(step, n_taps, cycles)
            gain = gain / response.square().clamp_min(1e-3)
    return gain


def _region_weight() -> Float[Tensor, "bin region"]:
    """Share of each bin of the short windows in each region."""
    cam = hz_to_erb_number(bin_frequencies(2))
    center = CAM_MIN + CAM_STEP * (BANDS_PER_REGION * torch.arange(N_REGIONS) + 2.0)
    width = BANDS_PER_REGION * CAM_STEP
    # Trapezoids that sum to one, sloping over one Cam.
    distance = (cam[:, None] - center[None, :].double()).abs()
    return ((width + 1.0) / 2.0 - distance).clamp(0.0, 1.0)


@lru_cache
def smear_matrix() -> Float[Tensor, "component component"]:
    """Where the windows put the power of a tone at each component's frequency (row)."""
    tone = component_frequencies()
    total = torch.zeros(N_COMPONENTS, N_COMPONENTS, dtype=torch.float64)
    for index, length in enumerate(WINDOW_LENGTHS):
        # Hann: |H(x)|^2 = (sinc(x) / (1 - x^2))^2 with x in bins, over its sum of 1.5
        x = (tone[:, None] - bin_frequencies(index)[None, :]) * length / SAMPLE_RATE
        x = torch.where((x.abs() - 1.0).abs() < 1e-6, x + 1e-5, x)
        spectrum = (torch.sinc(x) / (1.0 - x.square())).square() / 1.5
        total += spectrum @ component_weight(index)
    return total
