"""The chroma baseline finds a tune again in another key, by another instrument."""

import numpy as np
import pytest

from benchmarks.robustness import chroma

TUNES = ((0, 4, 7, 12, 9, 5, 2, 7), (0, 3, 2, 8, 5, 10, 11, 1))


def _play(steps, *, shift, odd_partials_alone):
    notes = []
    time = np.arange(int(0.5 * 48_000)) / 48_000
    for step in steps:
        hz = 261.6 * 2.0 ** ((step + shift) / 12.0)
        partials = range(1, 8, 2) if odd_partials_alone else range(1, 6)
        tone = sum(np.sin(2.0 * np.pi * hz * k * time) / k**2 for k in partials)
        notes.append(tone * np.hanning(len(time)))
    return np.concatenate(notes).astype(np.float32)


@pytest.fixture(scope="module")
def known():
    return [
        [
            chroma.chroma(_play(tune, shift=shift, odd_partials_alone=odd))
            for shift, odd in ((0, False), (5, True))
        ]
        for tune in TUNES
    ]


def test_the_same_tune_in_another_key_scores_higher_than_another(known):
    for own, other in ((0, 1), (1, 0)):
        same = chroma.score(known[own][0], known[own][1])
        assert same > 1.5 * chroma.score(known[own][0], known[other][1])
