"""Gradient descent on a waveform: undo a degradation by lowering the perceptual distance.

    python examples/optimise_waveform.py

Starts from half a second of the reference with noise at 10 dB SNR and moves its samples towards
the reference with Adam. Prints the distance every 20 steps.
"""

from pathlib import Path

import soundfile
import torch
from torch import Tensor

import pamt_metric as pamt

LEARNING_RATE = 3e-3
START_SNR_DB = 10.0
CLIP_S = 0.5


def optimise(reference: Tensor, start: Tensor, sample_rate: int, n_steps: int) -> list[float]:
    """Move `start` towards `reference`; both `(time,)` or `(channel, time)`.

    Returns:
        The distance before each step, and after the last.
    """
    waveform = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([waveform], lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps, LEARNING_RATE / 50)
    distances = []
    for _ in range(n_steps):
        optimiser.zero_grad()
        distance = pamt.distance(reference, waveform, sample_rate=sample_rate, align="none")
        distance.backward()
        optimiser.step()
        schedule.step()
        distances.append(distance.item())
    last = pamt.distance(reference, waveform.detach(), sample_rate=sample_rate, align="none")
    return [*distances, last]


def main() -> None:
    """Run the example on the shipped reference clip."""
    path = Path(__file__).with_name("reference.flac")
    samples, sample_rate = soundfile.read(path, dtype="float32")
    reference = torch.from_numpy(samples).mean(-1)[: round(CLIP_S * sample_rate)]
    noise = torch.randn(reference.shape, generator=torch.Generator().manual_seed(0))
    noise *= reference.norm() / noise.norm() * 10.0 ** (-START_SNR_DB / 20.0)
    distances = optimise(reference, reference + noise, sample_rate, n_steps=200)
    for step in range(0, len(distances), 20):
        print(f"step {step:3d}: distance {distances[step]:.3f}")


if __name__ == "__main__":
    main()
