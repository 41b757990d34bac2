"""The grid of MERT's encoder: kernels 10, 3, 3, 3, 3, 2, 2 with strides 5, 2, 2, 2, 2, 2, 2."""

import pytest
import torch

from pamt_metric.psychoacoustics import frames


@pytest.mark.parametrize("n_samples", [800, 1439, 1440, 48_000, 240_001])
def test_frames_are_those_of_the_encoders_convolutions(n_samples: int) -> None:
    length = -(-n_samples // 2)
    for kernel, stride in zip((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2), strict=True):
        length = (length - kernel) // stride + 1
    assert int(frames.n_frames(torch.tensor([n_samples]))) == length
