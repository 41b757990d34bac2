import pytest
import torch

from pamt_metric.encoders import windows
from pamt_metric.psychoacoustics import frames


@pytest.mark.parametrize("n_samples", [800, 799, 1439, 1440, 48_000, 48_001, 480_640, 480_641])
def test_the_ear_has_as_many_frames_as_the_encoder(n_samples: int) -> None:
    at_24_khz = -(-n_samples // 2)
    assert int(frames.n_frames(torch.tensor(n_samples))) == windows.n_frames(at_24_khz)


def test_a_clip_shorter_than_one_frame_has_none() -> None:
    assert frames.n_frames(torch.tensor([0, 1, 400, 798])).tolist() == [0, 0, 0, 0]


def test_frames_lie_on_the_encoders_instants() -> None:
    # Frame t of the encoder is centred at (200 + 320 t) / 24000 s.
    assert frames.FIRST_CENTER / frames.SAMPLE_RATE == 200 / 24_000
    assert frames.HOP_LENGTH / frames.SAMPLE_RATE == windows.HOP_LENGTH / 24_000
    assert frames.FRAME_RATE == 75.0


def test_mask_is_true_inside_each_clip() -> None:
    mask = frames.frame_mask(torch.tensor([0, 2, 3]), 3)
    assert mask.tolist() == [[False] * 3, [True, True, False], [True] * 3]
