"""What the ear hears, as functions of a sound: loudness, threshold, sharpness, roughness.

They all run the one ear that the metric uses, 75 frames a second, frame t centred on
(200 + 320 t) / 24000 s. Any sample rate goes; bands above its Nyquist frequency are marked absent.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from pamt_metric.input_check import as_batch, check, full_lengths
from pamt_metric.psychoacoustics import frames
from pamt_metric.psychoacoustics.ear import Ear, Heard
from pamt_metric.psychoacoustics.excitation import Excitation
from pamt_metric.psychoacoustics.fluctuation import FluctuationStrength
from pamt_metric.psychoacoustics.loudness import (
    SpecificLoudness,
    binaural,
    phon,
    total_loudness,
)
from pamt_metric.psychoacoustics.scales import center_frequencies
from pamt_metric.psychoacoustics.sharpness import sharpness_of
from pamt_metric.resample import resample, resampled_length

INTEGRATION_FRAMES = 7
"""Frames (93 ms) over which `loudness` integrates excitation, as listeners do."""
LOUDNESS_BANDS = 80
"""Bands that `loudness` sums: up to 41.3 Cam (19.4 kHz)."""


@dataclass(frozen=True)
class Bands:
    """A quantity by frame and band.

    Attributes:
        value: the quantity; 0 in bands that are absent.
        center_frequency: of the bands, in Hz.
        present: False for bands above the Nyquist frequency of the input, about which nothing is
            known: they are not silent.
    """

    value: Float[Tensor, "*batch frame band"]
    center_frequency: Float[Tensor, "band"]
    present: Bool[Tensor, "band"]


def specific_loudness(waveform: Float[Tensor, "..."], sample_rate: int) -> Bands:
    """Specific loudness of both ears in sone per Cam, as the metric's ear has it.

    Args:
        waveform: (time,), (channel, time) or (batch, channel, time); a sine of amplitude 1 is
            100 dB SPL in the free field, and one channel is heard with both ears.
        sample_rate: in Hz.

    Raises:
        InputError: the waveform or its rate cannot be used.
    """
    heard, _ = _hear(waveform, sample_rate)
    return _bands(
        binaural(_ear(waveform).specific_loudness(heard.excitation)), waveform, sample_rate
    )


def loudness(waveform: Float[Tensor, "..."], sample_rate: int) -> Float[Tensor, "*batch frame"]:
    """Loudness in sone, binaural, in the free field; steady for steady sounds.

    Excitation is integrated over 93 ms before it is compressed: without that a noise whose
    intensity fluctuates would read up to 5 % softer than ISO 532-2 has it from its long-term
    spectrum. It is summed over `LOUDNESS_BANDS`, a little further up than the 38.9 Cam of that
    standard, which cut off how a loud tone of 12.5 kHz spreads. Arguments and errors as in
    `specific_loudness`.
    """
    ear = _wide_ear(waveform.dtype, waveform.device)
    heard, mask = _hear(waveform, sample_rate, ear)
    steady = _integrated(heard.excitation, mask)
    return _like(total_loudness(binaural(ear.specific_loudness(steady))), waveform)


def loudness_level(
    waveform: Float[Tensor, "..."], sample_rate: int
) -> Float[Tensor, "*batch frame"]:
    """Loudness level in phon: the level of the tone of 1 kHz that is as loud; 0 at the least.

    Arguments and errors as in `specific_loudness`.
    """
    return phon(loudness(waveform, sample_rate))


def masked_threshold(waveform: Float[Tensor, "..."], sample_rate: int) -> Bands:
    """Excitation (intensity, not dB) that an added sound needs to be heard beside this one.

    Arguments and errors as in `specific_loudness`.
    """
    heard, _ = _hear(waveform, sample_rate)
    return _bands(heard.threshold, waveform, sample_rate)


def sharpness(waveform: Float[Tensor, "..."], sample_rate: int) -> Float[Tensor, "*batch frame"]:
    """Sharpness in acum; 0 in silence. Arguments and errors as in `specific_loudness`."""
    heard, _ = _hear(waveform, sample_rate)
    own = binaural(_ear(waveform).specific_loudness(heard.excitation))
    return _like(sharpness_of(own), waveform)


def roughness(waveform: Float[Tensor, "..."], sample_rate: int) -> Float[Tensor, "*batch frame"]:
    """Roughness in asper. Arguments and errors as in `specific_loudness`."""
    heard, mask = _hear(waveform, sample_rate)
    return _like(_ear(waveform).roughness(heard.region, mask).sum(-1), waveform)


def fluctuation_strength(
    waveform: Float[Tensor, "..."], sample_rate: int
) -> Float[Tensor, "*batch frame"]:
    """Fluctuation strength in vacil. Arguments and errors as in `specific_loudness`."""
    heard, mask = _hear(waveform, sample_rate)
    stage = _fluctuation(waveform.dtype, waveform.device)
    return _like(stage(heard.excitation.mean(1), mask), waveform)


@lru_cache(maxsize=4)
def _ear_of(dtype: torch.dtype, device: torch.device) -> Ear:
    return Ear().to(device, dtype)


@lru_cache(maxsize=4)
def _wide_ear(dtype: torch.dtype, device: torch.device) -> Ear:
    ear = Ear()
    ear.excitation = Excitation(LOUDNESS_BANDS)
    ear.specific_loudness = SpecificLoudness(LOUDNESS_BANDS)
    return ear.to(device, dtype)


@lru_cache(maxsize=4)
def _fluctuation(dtype: torch.dtype, device: torch.device) -> FluctuationStrength:
    return FluctuationStrength().to(device, dtype)


def _ear(waveform: Float[Tensor, "..."]) -> Ear:
    return _ear_of(waveform.dtype, waveform.device)


def _hear(
    waveform: Float[Tensor, "..."], sample_rate: int, ear: Ear | None = None
) -> tuple[Heard, Bool[Tensor, "batch frame"]]:
    """The first stages of the ear, on any input."""
    check(waveform, sample_rate=sample_rate)
    batch = as_batch(waveform)
    lengths = resampled_length(full_lengths(batch), sample_rate, frames.SAMPLE_RATE)
    length = frames.n_frames(lengths)
    mask = frames.frame_mask(length, int(length.max()))
    ear = _ear(waveform) if ear is None else ear
    return ear.hear(resample(batch, sample_rate, frames.SAMPLE_RATE), mask), mask


def _integrated(
    excitation: Float[Tensor, "batch channel frame band"], mask: Bool[Tensor, "batch frame"]
) -> Float[Tensor, "batch channel frame band"]:
    """Mean over the frames of the clip around each frame."""
    reach = INTEGRATION_FRAMES // 2
    inside = mask[:, None, :, None].to(excitation.dtype)
    both = torch.cat([excitation * inside, inside.expand(-1, excitation.shape[1], -1, 1)], dim=-1)
    padded = functional.pad(both, (0, 0, reach, reach))
    mean = functional.avg_pool2d(padded, (INTEGRATION_FRAMES, 1), stride=1)
    return mean[..., :-1] / mean[..., -1:].clamp_min(1e-3) * inside


def _bands(
    value: Float[Tensor, "batch frame band"], waveform: Float[Tensor, "..."], sample_rate: int
) -> Bands:
    center = center_frequencies().to(value.device)
    present = center < sample_rate / 2.0
    known = torch.where(present, value, 0.0)
    return Bands(_like(known, waveform), center.to(value.dtype), present)


def _like(value: Tensor, waveform: Float[Tensor, "..."]) -> Tensor:
    """Without the batch axis where the input had none."""
    return value if waveform.ndim == 3 else value[0]
