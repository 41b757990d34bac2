import pytest
import torch

from pamt_metric.psychoacoustics.decimation import Decimate


def reference(decimate: Decimate, clip: torch.Tensor) -> torch.Tensor:
    """The plain convolution."""
    padded = torch.nn.functional.pad(
        clip.flatten(0, 1)[:, None], (decimate.reach, 2 * decimate.reach)
    )
    out = torch.nn.functional.conv1d(padded, decimate.kernel, stride=decimate.step)
    return out[:, 0].unflatten(0, clip.shape[:2])


@pytest.mark.parametrize(("step", "n_taps"), [(4, 49), (2, 33)])
@pytest.mark.parametrize("n_time", [1, 60, 230, 231, 384, 1000, 4099])
def test_is_the_convolution(step: int, n_taps: int, n_time: int) -> None:
    generator = torch.Generator().manual_seed(n_time)
    clip = torch.randn(2, 2, n_time, generator=generator, dtype=torch.float64)
    decimate = Decimate(step, n_taps).double()
    torch.testing.assert_close(decimate(clip), reference(decimate, clip))


def test_gradient_is_that_of_the_convolution() -> None:
    decimate = Decimate(4, 49).double()
    clip = torch.randn(1, 2, 700, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    clip.requires_grad_()
    back = torch.randn(decimate(clip).shape, generator=torch.Generator().manual_seed(1)).double()
    slopes = [
        torch.autograd.grad(out, clip, back)[0]
        for out in (decimate(clip), reference(decimate, clip))
    ]
    torch.testing.assert_close(*slopes)
