"""Recover the settings of an equaliser by gradient descent through the distance.

    python examples/recover_eq.py --steps 40

An equaliser with three bands was set to unknown gains. From the dry and the processed sound alone,
Adam finds them again by lowering `pamt.PerceptualLoss`. The target never changes, so the loss
encodes it once (`set_reference`); `level="absolute"` lets it hear the overall gain as well.
"""

import argparse
from pathlib import Path

import soundfile
import torch
from torch import Tensor

import pamt_metric as pamt

CENTRES_HZ = (150.0, 1000.0, 5000.0)
WIDTH_OCTAVES = 1.0
TRUE_GAINS_DB = (6.0, -5.0, 4.0)
LEARNING_RATE_DB = 0.8
CLIP_S = 0.5


def equalise(waveform: Tensor, gains_db: Tensor, sample_rate: int) -> Tensor:
    """Bell-shaped gains on a logarithmic frequency axis, differentiable in the gains."""
    spectrum = torch.fft.rfft(waveform)
    frequency = torch.fft.rfftfreq(waveform.shape[-1], 1.0 / sample_rate).clamp_min(20.0)
    octaves = (frequency[:, None] / torch.tensor(CENTRES_HZ)).log2()
    bells = torch.exp(-0.5 * (octaves / WIDTH_OCTAVES).square())
    return torch.fft.irfft(spectrum * 10.0 ** (bells @ gains_db / 20.0), n=waveform.shape[-1])


def recover(dry: Tensor, processed: Tensor, sample_rate: int, steps: int) -> tuple[Tensor, Tensor]:
    """Gains in dB that make `dry` sound like `processed`; both `(time,)`.

    Returns:
        The gains that were found, and the loss before each step.
    """
    loss = pamt.PerceptualLoss(sample_rate=sample_rate, level="absolute")
    loss.set_reference(processed[None])
    gains_db = torch.zeros(len(CENTRES_HZ), requires_grad=True)
    optimiser = torch.optim.Adam([gains_db], lr=LEARNING_RATE_DB)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, LEARNING_RATE_DB / 10)
    values = []
    for _ in range(steps):
        optimiser.zero_grad()
        value = loss(equalise(dry, gains_db, sample_rate)[None])
        value.backward()
        optimiser.step()
        schedule.step()
        values.append(value.detach())
    return gains_db.detach(), torch.stack(values)


def main() -> None:
    """Run the example on the shipped reference clip."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=40)
    steps = parser.parse_args().steps
    path = Path(__file__).with_name("reference.flac")
    samples, sample_rate = soundfile.read(path, dtype="float32")
    dry = 0.5 * torch.from_numpy(samples).mean(-1)[: round(CLIP_S * sample_rate)]
    processed = equalise(dry, torch.tensor(TRUE_GAINS_DB), sample_rate)
    found, values = recover(dry, processed, sample_rate, steps)
    print(f"loss: {values[0]:.2f} at first, {values[-1]:.2f} at last")
    for centre, true, gain in zip(CENTRES_HZ, TRUE_GAINS_DB, found.tolist(), strict=True):
        print(f"{centre:6.0f} Hz: {true:+.1f} dB set, {gain:+.1f} dB found")


if __name__ == "__main__":
    main()
