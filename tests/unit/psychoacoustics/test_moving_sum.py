import pytest
import torch

from pamt_metric.psychoacoustics.moving_sum import moving_sum


@pytest.mark.parametrize("size", [1, 3, 5, 9, 15])
@pytest.mark.parametrize(("dim", "n_neighbour"), [(1, 11), (2, 4), (-1, 4)])
def test_is_the_sum_of_each_stretch(size: int, dim: int, n_neighbour: int) -> None:
    generator = torch.Generator().manual_seed(size)
    x = torch.randn(2, 11, 4, generator=generator, dtype=torch.float64)
    rows = x.movedim(dim, -1)
    padded = torch.nn.functional.pad(rows, (size // 2, size // 2))
    expected = torch.stack([padded[..., k : k + size].sum(-1) for k in range(n_neighbour)], dim=-1)
    torch.testing.assert_close(moving_sum(x, size, dim=dim), expected.movedim(-1, dim))
