"""The one frame grid that the ear and the encoder share.

A MERT encoder at 24 kHz puts frame t at sample 200 + 320 t, that is at (200 + 320 t) / 24000 s,
75 frames a second. The ear works at 48 kHz, where the same instants are samples 400 + 640 t.
"""

import torch
from jaxtyping import Bool, Int64, Shaped
from torch import Tensor

SAMPLE_RATE = 48_000
"""Rate at which the ear works, in Hz."""
HOP_LENGTH = 640
"""Samples at 48 kHz from one frame to the next."""
FIRST_CENTER = 400
"""Sample at 48 kHz on which frame 0 is centred."""
FRAME_RATE = SAMPLE_RATE / HOP_LENGTH
"""Frames a second: 75."""

_ENCODER_HOP = 320
_ENCODER_FIELD = 400


def n_frames(n_samples: Int64[Tensor, "*any"]) -> Int64[Tensor, "*any"]:
    """Frames of a clip of `n_samples` at 48 kHz: exactly those the encoder gives at 24 kHz."""
    halved = torch.div(n_samples + 1, 2, rounding_mode="floor")
    frames = torch.div(halved - _ENCODER_FIELD, _ENCODER_HOP, rounding_mode="floor") + 1
    return frames.clamp_min(0)


def frame_mask(lengths: Int64[Tensor, "batch"], n_frame: int) -> Bool[Tensor, "batch frame"]:
    """True where a frame lies inside its own clip; `lengths` counts frames."""
    return torch.arange(n_frame, device=lengths.device)[None, :] < lengths[:, None]


def frames_at(
    x: Shaped[Tensor, "batch frame *feature"], index: Int64[Tensor, "batch step"]
) -> Shaped[Tensor, "batch step *feature"]:
    """The frame of each clip that each step names."""
    clip = torch.arange(len(x), device=x.device)[:, None]
    return x[clip, index]
