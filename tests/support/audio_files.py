"""Sounds as arrays and as the bytes of files, for the tests of what comes in."""

import io
import shutil
import subprocess

import numpy as np
import pytest
import soundfile
import torch

RATE = 24_000
N_TIME = 12_000

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="ffmpeg is not on this machine's PATH"
)


def tone(
    n_time: int = N_TIME, *, rate: int = RATE, n_channels: int = 2, frequency: float = 440.0
) -> np.ndarray:
    """A tone, 6 dB softer in each further channel; (channel, time), float32."""
    gain = 0.5 ** np.arange(1, n_channels + 1)
    phase = 2 * np.pi * frequency * np.arange(n_time) / rate
    return (gain[:, None] * np.sin(phase)).astype(np.float32)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(shape, generator=generator, dtype=dtype)


def file_bytes(
    samples: np.ndarray, rate: int = RATE, *, container: str = "WAV", subtype: str | None = None
) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples.T, rate, format=container, subtype=subtype)
    return file.getvalue()


def ffmpeg(*arguments: object) -> None:
    command = ["ffmpeg", "-nostdin", "-y", "-v", "error", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)
