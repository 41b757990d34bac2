"""Perturbations that move a frozen encoder's hidden states far for their level.

They are what a trained metric is fooled by: nearly inaudible to people, another sound to the
encoder. In the ladders they teach the head how little such a change counts.

Source:
    Madry et al. 2018, "Towards deep learning models resistant to adversarial attacks", ICLR:
        projected gradient ascent from a random start; here in a ball of the l2 norm.
"""

import numpy as np
import torch
from torch.nn import functional

from pamt_metric.errors import InputError
from pamt_metric.metric import Metric
from training.data.families import Waveform

N_STEPS = 5
STEP_SHARE = 0.5
"""Length of a step, as a share of the ball's radius."""


def attack(waveform: Waveform, metric: Metric, *, snr_db: float, seed: int = 0) -> Waveform:
    """The clip with a perturbation `snr_db` under it that changes the hidden states most.

    Args:
        waveform: mono `(1, time)` at 48 kHz.
        metric: whose encoder is attacked, in the layers that its head reads.
        snr_db: ratio of the energies of clip and perturbation.
        seed: of the random start.

    Raises:
        InputError: the clip is silent.
    """
    clip = torch.from_numpy(waveform)[None]
    radius = clip.norm() * 10.0 ** (-snr_db / 20.0)
    if radius == 0.0:
        raise InputError("a silent waveform has no signal-to-noise ratio")
    lengths = torch.tensor([clip.shape[-1]])
    with torch.no_grad():
        target = metric.hidden_states(clip, lengths)
    noise = torch.randn(clip.shape, generator=torch.Generator().manual_seed(seed))
    change = functional.normalize(noise, dim=-1) * radius
    for _ in range(N_STEPS):
        change.requires_grad_(True)
        moved = metric.hidden_states(clip + change, lengths)
        # Layers differ in scale; each counts as much.
        gap = (moved - target).square().mean((0, 2, 3)) / target.square().mean((0, 2, 3))
        (gradient,) = torch.autograd.grad(gap.sum(), change)
        with torch.no_grad():
            change = change + STEP_SHARE * radius * functional.normalize(gradient, dim=-1)
            change = functional.normalize(change, dim=-1) * radius
    return (clip + change.detach())[0].numpy().astype(np.float32)
