import pytest
import torch

from pamt_metric.psychoacoustics.level_spread import (
    HIGHEST_LEVEL_DB,
    LOWEST_LEVEL_DB,
    N_NODES,
    LevelSpread,
    exponential_nodes,
    node_levels_db,
    node_place,
    spline_share,
    spline_slope,
)


def spread(seed: int = 0) -> LevelSpread:
    weight = torch.rand(N_NODES, 4, 3, generator=torch.Generator().manual_seed(seed))
    return LevelSpread(weight.double()).double()


@pytest.mark.parametrize("db", [LOWEST_LEVEL_DB, 37.0, 60.0, HIGHEST_LEVEL_DB])
def test_splines_give_back_the_exponential(db: float) -> None:
    distance = torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)
    slope = 1.0 - 0.01 * (node_levels_db() - 51.0)
    nodes = exponential_nodes(slope[:, None].expand(-1, 3), distance)
    place = node_place(torch.tensor(db, dtype=torch.float64))
    found = sum(spline_share(place, index) * nodes[index] for index in range(N_NODES))
    expected = torch.exp(-(1.0 - 0.01 * (db - 51.0)) * distance)
    torch.testing.assert_close(found, expected, rtol=0.01, atol=0.0)  # the ripple


def test_blocks_of_frames_are_one_sum() -> None:
    generator = torch.Generator().manual_seed(1)
    power = torch.rand(700, 4, generator=generator, dtype=torch.float64)
    level = 20.0 + 80.0 * torch.rand(700, 4, generator=generator, dtype=torch.float64)
    ear = spread()
    share = torch.stack([spline_share(node_place(level), index) for index in range(N_NODES)])
    expected = torch.einsum("fc,nfc,ncb->fb", power, share, ear.weight)
    torch.testing.assert_close(ear(power, level), expected)


def test_several_powers_of_one_level_are_each_as_alone() -> None:
    generator = torch.Generator().manual_seed(3)
    powers = torch.rand(2, 3, 70, 4, generator=generator, dtype=torch.float64)
    level = 20.0 + 80.0 * torch.rand(3, 70, 4, generator=generator, dtype=torch.float64)
    ear = spread()
    both = ear.each(powers, level)
    for power, found in zip(powers, both, strict=True):
        torch.testing.assert_close(found, ear(power, level))


def test_slope_of_a_spline_is_its_derivative() -> None:
    place = torch.linspace(-1.0, 14.0, 301, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(spline_share(place, 5).sum(), place)
    torch.testing.assert_close(spline_slope(place.detach(), 5), slope)


def test_gradient_is_that_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(2)
    power = torch.rand(2, 300, 4, generator=generator, dtype=torch.float64)
    # inside, below and above the range of the splines
    level = 130.0 * torch.rand(2, 300, 4, generator=generator, dtype=torch.float64)

    def of_some(power_part: torch.Tensor, level_part: torch.Tensor) -> torch.Tensor:
        both = [
            torch.cat([part, whole[:, part.shape[1] :]], dim=1)
            for part, whole in ((power_part, power), (level_part, level))
        ]
        return spread()(*both)[:, :8]

    few = [x[:, :6].clone().requires_grad_() for x in (power, level)]
    assert torch.autograd.gradcheck(of_some, few)
