"""Gradients of stages against finite differences, where the stage's own file has no such test."""

from collections.abc import Callable

import torch

from pamt_metric.psychoacoustics.excitation import Excitation
from pamt_metric.psychoacoustics.filterbank import N_COMPONENTS
from pamt_metric.psychoacoustics.loudness import binaural, phon, total_loudness
from pamt_metric.psychoacoustics.masking import compressed, expanded, forward_trace
from pamt_metric.psychoacoustics.modulation import MODULATION_RATES_HZ
from pamt_metric.psychoacoustics.scales import N_BANDS, N_REGIONS
from pamt_metric.psychoacoustics.statistics import from_summary, summarize
from pamt_metric.psychoacoustics.tonality import Tonality


def uniform(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def agrees(stage: Callable[[torch.Tensor], torch.Tensor], value: torch.Tensor, *, few: int) -> bool:
    """Whether the derivative by the first `few` entries of the last axis is right."""

    def of_first(part: torch.Tensor) -> torch.Tensor:
        return stage(torch.cat([part, value[..., few:]], dim=-1))

    return torch.autograd.gradcheck(of_first, value[..., :few].clone().requires_grad_())


def test_excitation() -> None:
    ear = Excitation().double()
    level_db = 20.0 + 80.0 * uniform(1, 2, N_COMPONENTS)

    def log_excitation(level_db: torch.Tensor) -> torch.Tensor:
        return ear(10.0 ** (level_db / 10.0)).log()

    assert agrees(log_excitation, level_db, few=12)


def test_loudness() -> None:
    per_ear = 0.2 * uniform(1, 2, 3, N_BANDS)

    def level(per_ear: torch.Tensor) -> torch.Tensor:
        loudness = total_loudness(binaural(per_ear))
        return torch.cat([loudness, phon(loudness)], dim=-1)

    assert agrees(level, per_ear, few=8)


def test_forward_masking() -> None:
    assert agrees(lambda x: expanded(forward_trace(compressed(x))), 5.0 * uniform(1, 30, 3), few=3)


def test_tonality() -> None:
    # Noise, a tone and what lies between: ramps have slopes only there.
    level_db = 50.0 + 9.0 * uniform(1, 12, N_COMPONENTS)
    level_db[..., 40::16] += 6.0
    ear, mask = Tonality().double(), torch.ones(1, 12, dtype=torch.bool)

    def tonality(level_db: torch.Tensor) -> torch.Tensor:
        return ear(10.0 ** (level_db / 10.0), mask)

    found = tonality(level_db)
    assert int(((found > 0.05) & (found < 0.95)).sum()) > 20
    # The slopes reach the first bands: no more of the Jacobian is needed.
    assert agrees(lambda part: tonality(part)[..., :16], level_db, few=40)


def test_statistics() -> None:
    loudness = uniform(1, 20, N_BANDS)
    modulation = uniform(1, 20, N_REGIONS, len(MODULATION_RATES_HZ), seed=1)
    interaural = 2.0 * uniform(1, 20, N_REGIONS, 2, seed=2) - 1.0
    mask = torch.arange(20)[None] < 18
    excitation = 10.0 ** (6.0 * uniform(1, 20, N_BANDS, seed=3))
    threshold = 10.0 ** (4.0 * uniform(1, 20, N_BANDS, seed=4))
    onset = uniform(1, 20, N_REGIONS, seed=5)
    flux = uniform(1, 20, N_BANDS, seed=6) - 0.5
    presence = uniform(1, 20, N_BANDS, seed=7)

    def found(**changed: torch.Tensor) -> torch.Tensor:
        parts = {
            "loudness": loudness,
            "modulation": modulation,
            "interaural": interaural,
            "onset": onset,
            "flux": flux,
            "presence": presence,
            "excitation": excitation,
            "threshold": threshold,
        }
        return from_summary(summarize(mask, **(parts | changed)))

    assert agrees(lambda x: found(loudness=x), loudness, few=3)
    assert agrees(lambda x: found(modulation=x), modulation, few=1)
    assert agrees(lambda x: found(interaural=x), interaural, few=1)
    assert agrees(lambda x: found(onset=x), onset, few=1)
    assert agrees(lambda x: found(flux=x), flux, few=1)
    assert agrees(lambda x: found(presence=x), presence, few=1)
    assert agrees(lambda x: found(excitation=x.exp()), excitation.log(), few=2)
    assert agrees(lambda x: found(threshold=x.exp()), threshold.log(), few=1)
