"""An error in a stage fails a conformance test: constants are changed, one at a time."""

import importlib
from collections.abc import Callable

import pytest
import torch

from pamt_metric.psychoacoustics import (
    excitation,
    filterbank,
    level_spread,
    masking,
    measures,
    outer_ear,
    place,
    scales,
)
from tests.conformance import (
    test_frequency_discrimination,
    test_loudness,
    test_masking,
    test_timbre,
)

roughness = importlib.import_module("pamt_metric.psychoacoustics.roughness")

CACHES = (
    excitation._sharpened_weight,
    filterbank.smear_matrix,
    masking._spread_weight,
    roughness._kernel,
    measures._ear_of,
    measures._wide_ear,
    measures._fluctuation,
    place._precision,
)


def _forget() -> None:
    for cache in CACHES:
        cache.cache_clear()


def _loud_tone() -> None:
    test_loudness.test_tones(1000.0, 80.0, 15.8)


def _bass_tone() -> None:
    test_loudness.test_tones(100.0, 50.0, 0.351)


def _slopes() -> None:
    test_masking.test_slopes_are_those_of_bs1387(80.0)


def _forward() -> None:
    test_masking.test_forward_masking_is_within_one_sd_of_listeners(1000)


def _shift_of(hz: int) -> Callable[[], None]:
    return lambda: test_frequency_discrimination.test_a_shift_that_is_just_heard_is_one_unit(hz)


def _shifted(n_bands: int) -> torch.Tensor:
    cam = scales.hz_to_erb_number(scales.center_frequencies(n_bands))
    return scales.erb_number_to_hz(cam + 1.0)


MUTATIONS = {
    "filters narrow with level": (excitation, "SLOPE_PER_DB", -0.35, _loud_tone),
    "masking slope steepens with level": (masking, "UPPER_SLOPE_PER_DB", -0.2, _slopes),
    "lower slope halved": (masking, "LOWER_SLOPE_DB", 13.5, _slopes),
    "forward masking too long": (masking, "FORWARD_TIME_CONSTANT_S", 0.15, _forward),
    "bands shifted by one Cam": (excitation, "center_frequencies", _shifted, _bass_tone),
    "roughness hears other rates": (
        roughness,
        "_RATES_HZ",
        tuple(rate / 3.0 for rate in roughness._RATES_HZ),
        test_timbre.test_roughness_over_rate,
    ),
    "place is coarse": (place, "PRECISION_CAM", 0.039, _shift_of(1000)),
    "place is precise beyond phase locking": (place, "PHASE_LOCKING_HZ", 9000.0, _shift_of(4000)),
    "place forgets within 40 ms": (
        place,
        "MEMORY_FRAMES",
        3,
        test_frequency_discrimination.test_two_tokens_of_one_noise_lie_at_the_same_place,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_constant_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, constant, value, conformance = MUTATIONS[name]
    check: Callable[[], None] = conformance
    _forget()
    try:
        check()
        monkeypatch.setattr(module, constant, value)
        _forget()
        with pytest.raises(AssertionError):
            check()
    finally:
        monkeypatch.undo()
        _forget()


def test_names_of_tables_are_read_where_they_are_used() -> None:
    # A constant that nobody reads would make a mutation mean nothing.
    for module, constant, value, _ in MUTATIONS.values():
        assert getattr(module, constant) != value
    assert outer_ear.transfer_gain_db is filterbank.transfer_gain_db
    assert len(level_spread.node_levels_db()) == level_spread.N_NODES
