"""Whatever the sound: a refusal, or a result that is finite, not negative, and symmetric."""

import math
from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, event, given, settings

from pamt_metric.audio import load
from pamt_metric.errors import InputError
from tests.support.hostile import sounds

FIXTURE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
TARGET_RATE = 48_000
NUMBERS = ("distance", "fidelity", "content", "added", "missing")


def is_refused(function, *sounds, **options):
    """Whether the call is refused, or the result of one that is not."""
    samples = [sound.samples for sound in sounds]
    rates = {sound.rate for sound in sounds}
    (rate,) = rates
    try:
        return False, function(*samples, sample_rate=rate, **options)
    except InputError:
        return True, None


def check_load(sound):
    refused, loaded = is_refused(load, sound, target_rate=TARGET_RATE)
    assert refused == sound.is_refused
    event(f"is refused: {refused}")
    if refused:
        return
    n_time = -(-sound.samples.shape[-1] * TARGET_RATE // sound.rate)
    n_channels = np.atleast_2d(sound.samples).shape[0]
    assert loaded.waveform.shape == (1, n_channels, n_time)
    assert torch.isfinite(loaded.waveform).all()
    assert loaded.waveform.dtype == torch.float32


@settings(max_examples=300, suppress_health_check=FIXTURE)
@given(sound=sounds())
def test_load(sound):
    check_load(sound)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=FIXTURE)
@given(sound=sounds(extra_s=180.0))
def test_load_minutes(sound):
    check_load(sound)


def check_metric(metric, a, b):
    """Every public question about a pair, at both levels."""
    b = type(b)(b.samples, a.rate, b.is_refused)  # an array has the rate that its caller says
    for level, align in (("match", "auto"), ("absolute", "none")):
        options = {"level": level, "align": align}
        refused, there = is_refused(metric.distance, a, b, **options)
        again, back = is_refused(metric.distance, b, a, **options)
        assert refused == again
        too_short = min(x.samples.shape[-1] for x in (a, b)) < -(-a.rate // 10)
        assert refused == (a.is_refused or b.is_refused or too_short)
        if refused:
            continue
        assert 0.0 <= there < math.inf
        assert there == back
        _, self_distance = is_refused(metric.distance, a, a, **options)
        assert self_distance == 0.0
        _, found = is_refused(metric.compare, a, b, **options)
        values = [getattr(found, name) for name in NUMBERS]
        assert all(0.0 <= value < math.inf for value in values), found
        assert 0.0 <= found.p_audible <= 1.0
        assert 0.0 <= found.same_content <= 1.0
        assert 0.0 < found.coverage <= 1.0
        assert math.isfinite(found.gain_db)
        maps = [getattr(found, field.name) for field in fields(found) if "map" in field.name]
        assert all(torch.isfinite(x).all() and x.min() >= 0.0 for x in maps)
        _, embedding = is_refused(metric.embed, a, level=level)
        assert torch.isfinite(embedding).all()


@settings(max_examples=5, suppress_health_check=FIXTURE)
@given(a=sounds(usable=True), b=sounds(usable=True))
def test_metric(tiny_metric, a, b):
    check_metric(tiny_metric, a, b)


@settings(max_examples=20, suppress_health_check=FIXTURE)
@given(a=sounds(), b=sounds(usable=True))
def test_metric_refuses_what_load_refuses(tiny_metric, a, b):
    if a.is_refused:
        check_metric(tiny_metric, a, b)
        check_metric(tiny_metric, b, a)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@settings(max_examples=150, suppress_health_check=FIXTURE)
@given(a=sounds(), b=sounds())
def test_metric_at_length(tiny_metric, a, b):
    check_metric(tiny_metric, a, b)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=4, suppress_health_check=FIXTURE)
@given(a=sounds(extra_s=60.0, usable=True), b=sounds(extra_s=60.0, usable=True))
def test_metric_over_a_minute(tiny_metric, a, b):
    check_metric(tiny_metric, a, b)
