"""Loudness: annex values of ISO 532-2 and the contours of ISO 226.

Read in MoSQITo, phonometry and refmap-psychoacoustics, as the standards are not free.
"""

from functools import lru_cache

import numpy as np
import pytest
import torch

from pamt_metric import psychoacoustics
from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.loudness import total_loudness
from tests.conformance.signals import RATE, batch, noise, tone

EDGE = 10
"""Frames at either end in which a window reaches beyond the clip."""

# ISO 226:2003, equation 1: Hz, dB SPL at 20, 40, 60 and 80 phon
EQUAL_LOUDNESS = """
50 64.0 77.8 90.0 101.7
63 58.6 73.1 85.9 98.4
80 53.2 68.5 82.1 95.2
100 48.4 64.4 78.7 92.5
125 43.9 60.6 75.6 90.1
160 39.4 56.7 72.5 87.8
200 35.5 53.4 69.9 85.9
250 32.0 50.4 67.5 84.3
315 28.7 47.6 65.4 82.9
400 25.7 45.0 63.5 81.7
500 23.4 43.1 62.1 80.9
630 21.5 41.3 60.8 80.2
800 20.1 40.1 59.9 79.7
1000 20.0 40.0 60.0 80.0
1250 21.5 41.8 62.2 82.5
1600 21.4 42.5 63.2 83.7
2000 18.2 39.2 60.0 80.6
2500 15.4 36.5 57.3 77.9
3150 14.3 35.6 56.4 77.1
4000 15.1 36.6 57.6 78.3
5000 18.6 40.0 60.9 81.6
6300 25.0 45.8 66.4 86.8
8000 31.5 51.8 71.7 91.4
10000 34.4 54.3 73.2 91.7
12500 33.0 51.5 68.6 85.4
"""


def sone(*clips: torch.Tensor) -> list[float]:
    value = psychoacoustics.loudness(batch(list(clips)), RATE)
    return value[:, EDGE:-EDGE].mean(1).tolist()


@pytest.mark.parametrize(
    ("hz", "level_db", "expected"),
    [
        # ISO 532-2:2017, table 5: 1 kHz
        *[(1000.0, 20.0, 0.146), (1000.0, 40.0, 1.0), (1000.0, 60.0, 4.14)],
        *[(1000.0, 80.0, 15.8), (1000.0, 90.0, 32.9), (1000.0, 100.0, 69.6)],
        # annex B.1
        *[(3000.0, 20.0, 0.35), (3000.0, 40.0, 1.8), (3000.0, 60.0, 7.0), (3000.0, 80.0, 27.2)],
        (100.0, 50.0, 0.351),
    ],
)
def test_tones(hz: float, level_db: float, expected: float) -> None:
    assert sone(tone(hz, level_db))[0] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("low", "high", "density_db", "pink", "expected"),
    [
        # annex B.2
        (950.0, 1050.0, 40.0, False, 4.21),
        (500.0, 1500.0, 40.0, False, 14.17),
        (500.0, 1500.0, 30.0, False, 7.97),
        (50.0, 15_000.0, 0.0, True, 3.64),
        (50.0, 15_000.0, 20.0, True, 15.85),
        (50.0, 15_000.0, 40.0, True, 48.59),
    ],
)
def test_noises(low: float, high: float, density_db: float, pink: bool, expected: float) -> None:
    clip = noise(low, high, density_db, pink=pink)
    assert sone(clip)[0] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("partials", "level_db", "expected"),
    [
        # annex B.3
        ((1500.0, 1600.0, 1700.0), 60.0, 6.31),
        ((1000.0, 1600.0, 2400.0), 60.0, 12.49),
        (tuple(100.0 * k for k in range(1, 11)), 30.0, 2.0),
    ],
)
def test_complex_tones(partials: tuple[float, ...], level_db: float, expected: float) -> None:
    clip = torch.stack([tone(hz, level_db, duration=1.0) for hz in partials]).sum(0)
    assert sone(clip)[0] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("low", "expected"), [(950.0, 5.09), (1450.0, 7.17)])
def test_a_tone_in_noise(low: float, expected: float) -> None:
    # annex B.4: 1 kHz at 60 dB and a noise of 100 Hz
    clip = tone(1000.0, 60.0, duration=2.0) + noise(low, low + 100.0, 40.0)
    assert sone(clip)[0] == pytest.approx(expected, rel=0.05)


@lru_cache
def contour_errors() -> np.ndarray:
    """Level that the ear needs for 20, 40, 60 and 80 phon minus that of ISO 226, by frequency."""
    rows = np.array(
        [[float(x) for x in line.split()] for line in EQUAL_LOUDNESS.split("\n") if line]
    )
    steps = np.array([-9.0, -3.0, 3.0, 9.0])
    clips, nominal = [], np.array([20.0, 40.0, 60.0, 80.0])
    for hz, *levels in rows:
        clips += [tone(hz, level + step, duration=0.25) for level in levels for step in steps]
    with torch.no_grad():
        parts = [
            psychoacoustics.loudness_level(part, RATE)[:, 7:-7].mean(1)
            for part in batch(clips).split(100)
        ]
    level = torch.cat(parts).reshape(len(rows), 4, len(steps)).double().numpy()
    return np.array(
        [[np.interp(nominal[j], level[i, j], steps) for j in range(4)] for i in range(len(rows))]
    )


def test_equal_loudness_contours() -> None:
    assert np.sqrt((contour_errors() ** 2).mean()) <= 3.0


@pytest.mark.parametrize(
    ("phon", "largest_db"),
    [
        # 100 Hz at 50 dB is 0.351 sone, 28 phon, in ISO 532-2, annex B.1; in ISO 226 it is 22 phon.
        (20, 3.4),
        (40, 3.0),
        (60, 3.0),
        # ISO 532-2 has 1.6 to 5 kHz 4 to 5 dB louder than ISO 226, and 12.5 kHz 8 dB softer.
        (80, 3.3),
    ],
)
def test_each_contour_is_as_near_as_iso_532_2_lets_it_be(phon: int, largest_db: float) -> None:
    error = contour_errors()[:, (20, 40, 60, 80).index(phon)]
    assert np.sqrt((error**2).mean()) <= largest_db


def test_loudness_doubles_every_10_phon() -> None:
    value = sone(*[tone(1000.0, level) for level in range(40, 91, 10)])
    slope = np.polyfit(np.arange(40, 91, 10) / 10.0, np.log2(value), 1)[0]
    assert slope == pytest.approx(1.0, rel=0.10)


def test_a_tone_far_under_its_threshold_is_nearly_silent() -> None:
    # ISO 532-2: 0.003 sone at the threshold of hearing (2.2 phon); here 20 dB under it.
    assert sone(tone(1000.0, -18.0))[0] < 0.003


def test_the_metrics_own_ear_is_the_one_that_is_proven() -> None:
    # Steady sounds need no integration over time.
    clip = batch([tone(1000.0, 60.0)])
    tokens = Ear()(clip, torch.tensor([clip.shape[-1]]))
    own = total_loudness(tokens.loudness)[:, EDGE:-EDGE].mean(1)
    assert own.tolist() == pytest.approx(sone(tone(1000.0, 60.0)), rel=1e-3)
