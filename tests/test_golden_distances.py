"""The bundled model's numbers stay what they were, unless a release changes them and says so."""

import json
from pathlib import Path

import pytest

import pamt_metric as pamt
from tests.golden import make_distances

TOLERANCE = 5e-3
"""Relative: what another processor or another way of computing the same may change."""
ABSOLUTE = 1e-4
CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"


@pytest.fixture(scope="module")
def golden():
    return json.loads(make_distances.GOLDEN.read_text())


@pytest.fixture(scope="module")
def measured():
    return make_distances.measure()


def test_the_golden_distances_are_of_the_bundled_weights(golden):
    assert golden["sha256"] == pamt.load().info.sha256, (
        "the bundled weights are new: run tests/golden/make_distances.py, and say in CHANGELOG.md "
        "that numbers change"
    )


def test_there_are_twenty_pairs(golden):
    assert set(golden["distances"]) == set(make_distances.PAIRS)
    assert len(make_distances.PAIRS) == 20


@pytest.mark.parametrize("name", make_distances.PAIRS)
def test_distance(golden, measured, name):
    expected = golden["distances"][name]
    assert measured[name] == pytest.approx(expected, rel=TOLERANCE, abs=ABSOLUTE)


def test_the_changelog_says_of_the_release_whether_numbers_change():
    _, _, newest = CHANGELOG.read_text().partition(f"## [{pamt.__version__}]")
    entry, _, _ = newest.partition("\n## ")
    assert "**Numbers change:** " in entry
