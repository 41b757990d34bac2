"""Tones and noises of the listening experiments, at 48 kHz; a sine of amplitude 1 is 100 dB SPL."""

import math

import torch

RATE = 48_000


def seconds(duration: float) -> torch.Tensor:
    return torch.arange(round(duration * RATE), dtype=torch.float64) / RATE


def tone(hz: float, level_db: float, *, duration: float = 0.5) -> torch.Tensor:
    return amplitude(level_db) * torch.sin(2.0 * math.pi * hz * seconds(duration))


def amplitude(level_db: float) -> float:
    return 10.0 ** ((level_db - 100.0) / 20.0)


def am_tone(hz: float, rate: float, level_db: float, *, depth: float = 1.0, duration: float = 1.0):
    time = seconds(duration)
    envelope = 1.0 + depth * torch.sin(2.0 * math.pi * rate * time)
    return envelope * tone(hz, level_db, duration=duration)


def noise(
    low: float, high: float, density_db: float, *, pink: bool = False, duration: float = 2.0, seed=0
) -> torch.Tensor:
    """Gaussian noise of a spectrum level; pink falls by 3 dB an octave from that at 1 kHz."""
    n = round(duration * RATE)
    hz = torch.fft.rfftfreq(n, 1.0 / RATE).double()
    shape = torch.where((hz >= low) & (hz <= high), 1.0, 0.0).double()
    if pink:
        shape = shape / (hz.clamp_min(1.0) / 1000.0).sqrt()
    generator = torch.Generator().manual_seed(seed)
    part = torch.randn(2, len(hz), generator=generator, dtype=torch.float64)
    wave = torch.fft.irfft(torch.complex(part[0], part[1]) * shape, n=n)
    intensity = 10.0 ** (density_db / 10.0) * float(shape.square().sum()) * RATE / n
    return wave * (intensity / 2e10 / wave.square().mean()).sqrt()


def batch(clips: list[torch.Tensor]) -> torch.Tensor:
    """(batch, channel, time), float32."""
    return torch.stack(clips)[:, None].float()
