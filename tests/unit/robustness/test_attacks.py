"""Attacks on objectives whose optimum is known, and the sets they must stay inside."""

import math

import pytest
import torch

from benchmarks.robustness import attacks
from benchmarks.robustness.bounds import Energy, Heard, Masked, Peak, Segment, energy_at, peak_at
from pamt_metric.psychoacoustics import Ear

N_SAMPLE = 400
CLEAN = torch.linspace(-1.0, 1.0, N_SAMPLE)
WEIGHT = torch.sin(torch.arange(N_SAMPLE) ** 1.5)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def ear() -> Ear:
    return Ear()


def linear(margin: float):
    """An objective that is `margin` at the clean clip and grows along `WEIGHT`."""
    return lambda waveform: (waveform - CLEAN) @ WEIGHT + margin


def rippled(margin: float):
    """The same with ripples that trap single steps."""
    smooth = linear(margin)
    return lambda waveform: smooth(waveform) + 0.004 * torch.sin(60.0 * (waveform - CLEAN)).sum()


@pytest.mark.parametrize("objective", [linear(-100.0), rippled(-100.0)])
def test_pgd_reaches_the_corner_of_the_peak_bound(objective, generator):
    found = attacks.pgd(
        objective, CLEAN, Peak(N_SAMPLE, 0.1), steps=40, restarts=2, generator=generator
    )
    assert found.margin >= -100.0 + 0.97 * 0.1 * float(WEIGHT.abs().sum())
    assert float(found.delta.abs().max()) <= 0.1 + 1e-6
    assert not found.won


def test_pgd_follows_the_gradient_to_the_sphere(generator):
    found = attacks.pgd(
        linear(-100.0), CLEAN, Energy(N_SAMPLE, 2.0), steps=40, restarts=1, generator=generator
    )
    assert found.margin == pytest.approx(-100.0 + 2.0 * float(WEIGHT.norm()), rel=1e-3)
    assert float(found.delta.norm()) <= 2.0 + 1e-5


def test_pgd_stops_where_it_has_won_and_goes_on_where_it_is_told_to(generator):
    bounds = Peak(N_SAMPLE, 0.1)
    options = {"steps": 20, "restarts": 2, "generator": generator}
    quick = attacks.pgd(linear(-0.5), CLEAN, bounds, **options)
    assert quick.won
    assert quick.n_queries == 2
    patient = attacks.pgd(linear(-0.5), CLEAN, bounds, stop=False, **options)
    assert patient.n_queries == 2 * 21
    assert patient.margin > quick.margin


def test_pgd_does_nothing_to_what_is_wrong_already(generator):
    found = attacks.pgd(
        linear(0.5), CLEAN, Peak(N_SAMPLE, 0.1), steps=5, restarts=1, generator=generator
    )
    assert found.won
    assert not found.delta.any()


def test_fgsm_is_one_step_of_full_size():
    found = attacks.fgsm(linear(-100.0), CLEAN, Peak(N_SAMPLE, 0.1))
    assert torch.equal(found.delta, 0.1 * WEIGHT.sign())
    assert found.margin == pytest.approx(-100.0 + 0.1 * float(WEIGHT.abs().sum()), rel=1e-5)


def test_carlini_wagner_finds_about_the_smallest_energy(generator):
    margin = -3.0
    smallest = -margin / float(WEIGHT.norm())
    found = attacks.carlini_wagner(
        linear(margin),
        CLEAN,
        Energy(N_SAMPLE, 3.0 * smallest),
        steps=60,
        rounds=5,
        restarts=1,
        generator=generator,
    )
    assert found.won
    assert smallest <= float(found.delta.norm()) <= 1.15 * smallest


def test_carlini_wagner_counts_only_what_lies_inside_the_limit(generator):
    margin = -3.0
    smallest = -margin / float(WEIGHT.norm())
    limit = Energy(N_SAMPLE, 0.5 * smallest)
    found = attacks.carlini_wagner(
        linear(margin), CLEAN, limit, steps=60, rounds=5, restarts=2, generator=generator
    )
    assert not found.won
    assert float(found.delta.norm()) <= limit.radius * (1.0 + 1e-5)


def test_the_black_box_stays_inside_and_gains(generator):
    found = attacks.square(linear(-1e3), CLEAN, size=0.1, queries=200, generator=generator)
    assert float(found.delta.abs().max()) <= 0.1 + 1e-6
    assert found.n_queries == 200
    first = attacks.square(linear(-1e3), CLEAN, size=0.1, queries=1, generator=generator)
    assert found.margin > first.margin


def flat_at_zero(margin: float):
    """The linear one without any slope at the clean clip: only another start finds its way."""
    slope = linear(0.0)
    return lambda waveform: slope(waveform).square() + margin


def test_a_second_start_finds_what_nothing_leads_to(generator):
    options = {"steps": 60, "rounds": 5, "generator": generator}
    limit = Energy(N_SAMPLE, 2.0)
    once, twice = (
        attacks.carlini_wagner(flat_at_zero(-1.0), CLEAN, limit, restarts=n, **options)
        for n in (1, 2)
    )
    assert not once.won
    assert twice.won
    assert float(twice.delta.norm()) <= limit.radius * (1.0 + 1e-5)
    options = {"snr_db": 10.0, "steps": 20, "generator": generator}
    size = peak_at(CLEAN, 10.0).size
    once, twice = (
        attacks.universal([flat_at_zero(-1.0)], CLEAN[None], restarts=n, **options) for n in (1, 2)
    )
    assert float(flat_at_zero(-1.0)(CLEAN + size * once)) < 0.0
    assert float(flat_at_zero(-1.0)(CLEAN + size * twice)) > 0.0


def test_one_perturbation_for_all_wins_where_the_weights_agree(generator):
    margins = (-1.0, -2.0, -3.0)
    cleans = CLEAN.expand(3, -1)
    objectives = [linear(m) for m in margins]
    delta = attacks.universal(
        objectives, cleans, snr_db=10.0, steps=10, restarts=1, generator=generator
    )
    assert float(delta.abs().max()) <= 1.0
    size = peak_at(CLEAN, 10.0).size
    assert all(float(linear(m)(CLEAN + size * delta)) > 0.0 for m in margins)


@pytest.mark.parametrize("snr_db", [20.0, 40.0])
def test_bounds_are_named_by_the_ratio_that_they_allow_at_worst(snr_db, generator):
    for bounds in (peak_at(CLEAN, snr_db), energy_at(CLEAN, snr_db)):
        worst = bounds.steepest(torch.randn(N_SAMPLE, generator=generator))
        ratio = float(CLEAN.square().sum() / worst.square().sum())
        assert 10.0 * math.log10(ratio) == pytest.approx(snr_db, abs=1e-3)


def test_a_segment_leaves_the_rest_alone(generator):
    bounds = Segment(Peak(N_SAMPLE, 0.1), 100, 150)
    for delta in (bounds.random(generator), bounds.steepest(WEIGHT), bounds.project(WEIGHT)):
        assert not delta[:100].any()
        assert not delta[150:].any()
        assert delta[100:150].any()


@pytest.fixture(scope="module")
def music() -> torch.Tensor:
    time = torch.arange(24_000) / 48_000
    partials = [torch.sin(2.0 * math.pi * 220.0 * k * time) / k for k in range(1, 12)]
    return 0.05 * sum(partials, torch.zeros(24_000))


def _noise_to_mask_db(ear: Ear, clean: torch.Tensor, delta: torch.Tensor) -> float:
    length = torch.tensor([clean.shape[0]])
    noise, heard = (ear(x[None, None], length) for x in (delta, clean))
    return 10.0 * math.log10(float((noise.excitation / heard.threshold).mean()))


@pytest.mark.parametrize("level_db", [-10.0, 0.0, 10.0])
def test_the_masked_bound_lies_at_its_level_over_the_threshold(ear, music, level_db, generator):
    bounds = Masked(music, ear, level_db=level_db)
    loudest = bounds.steepest(torch.randn(music.shape[0], generator=generator))
    assert _noise_to_mask_db(ear, music, loudest) == pytest.approx(level_db, abs=3.0)
    again = bounds.project(bounds.project(100.0 * loudest))
    assert _noise_to_mask_db(ear, music, again) <= level_db + 3.0


def test_the_masked_bound_follows_a_gradient(ear, music, generator):
    bounds = Masked(music, ear)
    gradient = torch.randn(music.shape[0], generator=generator)
    along = float(gradient @ bounds.steepest(gradient))
    other = float(gradient @ bounds.steepest(torch.randn(music.shape[0], generator=generator)))
    assert along > 10.0 * abs(other)


def test_what_a_distance_allows_is_scaled_down_until_it_does(ear, music, generator):
    bounds = Heard(
        Masked(music, ear), lambda delta: 40.0 * float(delta.square().mean().sqrt()), most=1.0
    )
    delta = bounds.project(torch.randn(music.shape[0], generator=generator))
    assert 0.9 <= bounds.distance(delta) <= 1.0
    small = 1e-4 * torch.ones_like(music)
    assert torch.equal(bounds.project(small), small)
