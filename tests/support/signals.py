"""Synthesised sounds for tests: seeded, at any rate, about as loud as music."""

import math
from pathlib import Path

import soundfile
import torch
from torch import Tensor

SAMPLE_RATE = 48_000


def n_samples(duration_s: float, sample_rate: int = SAMPLE_RATE) -> int:
    return round(duration_s * sample_rate)


def noise(
    duration_s: float, *, seed: int = 0, rms: float = 0.07, sample_rate: int = SAMPLE_RATE
) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return rms * torch.randn(n_samples(duration_s, sample_rate), generator=generator)


def tone(
    duration_s: float,
    *,
    frequency: float = 440.0,
    n_partials: int = 6,
    rms: float = 0.07,
    sample_rate: int = SAMPLE_RATE,
) -> Tensor:
    time = torch.arange(n_samples(duration_s, sample_rate), dtype=torch.float64) / sample_rate
    partials = [
        torch.sin(2.0 * math.pi * frequency * k * time + k) / k for k in range(1, n_partials + 1)
    ]
    mixture = torch.stack(partials).sum(0)
    return (rms * mixture / mixture.square().mean().sqrt()).float()


def clicks(duration_s: float, *, rate_hz: float = 9.0, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """A decaying click every 1/`rate_hz` seconds."""
    time = torch.arange(n_samples(duration_s, sample_rate)) / sample_rate
    since = torch.remainder(time, 1.0 / rate_hz)
    return 0.5 * torch.exp(-since / 0.004) * torch.sin(2.0 * math.pi * 1500.0 * since)


def square(duration_s: float, *, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Full scale."""
    time = torch.arange(n_samples(duration_s, sample_rate)) / sample_rate
    return torch.where(torch.remainder(220.0 * time, 1.0) < 0.5, 1.0, -1.0)


def silence(duration_s: float, *, sample_rate: int = SAMPLE_RATE) -> Tensor:
    return torch.zeros(n_samples(duration_s, sample_rate))


def piece(duration_s: float, *, seed: int, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """A chord, a melody over it and drums: five notes a second, drawn by `seed`."""
    generator = torch.Generator().manual_seed(seed)
    step = n_samples(0.2, sample_rate)
    n_steps = math.ceil(duration_s / 0.2)
    draws = torch.randint(0, 12, (n_steps + 3,), generator=generator).tolist()
    total = n_steps * step
    time = torch.arange(total, dtype=torch.float64) / sample_rate
    mixture = torch.zeros(total, dtype=torch.float64)
    for note in draws[:3]:
        mixture += 0.3 * _note(110.0 * 2.0 ** (note / 12.0), time)
    for index, note in enumerate(draws[3:]):
        at = slice(index * step, (index + 1) * step)
        local = time[:step]
        fade = torch.exp(-local / 0.15) * (1.0 - torch.exp(-local / 0.003))
        mixture[at] += fade * _note(440.0 * 2.0 ** (note / 12.0), local)
        if index % 2 == 0:
            hit = torch.randn(step, generator=generator, dtype=torch.float64)
            mixture[at] += 0.4 * hit * torch.exp(-local / 0.02)
    mixture = mixture[: n_samples(duration_s, sample_rate)]
    return (0.07 * mixture / mixture.square().mean().sqrt()).float()


def _note(frequency: float, time: Tensor) -> Tensor:
    partials = [torch.sin(2.0 * math.pi * frequency * k * time) / k**1.5 for k in range(1, 6)]
    return torch.stack(partials).sum(0)


def with_noise(waveform: Tensor, snr_db: float, *, seed: int = 1) -> Tensor:
    added = torch.randn(waveform.shape, generator=torch.Generator().manual_seed(seed))
    return waveform + added * waveform.norm() / added.norm() * 10.0 ** (-snr_db / 20.0)


def low_passed(waveform: Tensor, cutoff_hz: float, *, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Steep, without a phase shift."""
    spectrum = torch.fft.rfft(waveform)
    frequency = torch.fft.rfftfreq(waveform.shape[-1], 1.0 / sample_rate)
    gain = 1.0 / (1.0 + (frequency / cutoff_hz) ** 24).sqrt()
    return torch.fft.irfft(spectrum * gain, n=waveform.shape[-1])


def stereo(left: Tensor, right: Tensor) -> Tensor:
    return torch.stack([left, right])


def write(path: Path, waveform: Tensor, *, sample_rate: int = SAMPLE_RATE) -> None:
    """A mono sound, or one of (channel, time), as a file."""
    samples = torch.atleast_2d(waveform).T.numpy()
    subtype = "FLOAT" if path.suffix == ".wav" else None
    soundfile.write(path, samples, sample_rate, subtype=subtype)
