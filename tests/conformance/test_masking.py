"""Masked thresholds: what listeners miss beside, under and after another sound."""

import math

import numpy as np
import pytest
import torch

from pamt_metric import psychoacoustics
from pamt_metric.psychoacoustics.masking import MaskedThreshold, hz_to_bark
from pamt_metric.psychoacoustics.scales import center_frequencies
from tests.conformance.signals import RATE, amplitude, batch, noise, seconds, tone

CENTER = center_frequencies()
EDGE = 10


def band_of(hz: float) -> int:
    return int((CENTER - hz).abs().argmin())


def threshold_db(clip: torch.Tensor) -> np.ndarray:
    """Mean threshold over time as excitation level, by band."""
    value = psychoacoustics.masked_threshold(clip.float(), RATE).value
    return (10.0 * value[EDGE:-EDGE].mean(0).log10()).double().numpy()


def excitation_db(clip: torch.Tensor) -> np.ndarray:
    length = torch.tensor([len(clip)])
    tokens = psychoacoustics.Ear()(clip.float()[None, None], length)
    return (10.0 * tokens.excitation[0, EDGE:-EDGE].mean(0).log10()).double().numpy()


@pytest.mark.parametrize("hz", [250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0])
def test_a_tone_in_white_noise_is_missed_at_the_critical_ratio(hz: float) -> None:
    # Hawkins and Stevens (1950), read by Gurer: dB over the noise's spectrum level.
    ratio = {250: 16.25, 500: 17.25, 1000: 18.5, 2000: 20.5, 4000: 25.0, 8000: 27.0}[int(hz)]
    clip = noise(20.0, 20_000.0, 40.0)
    least = threshold_db(clip)[band_of(hz)]
    one = excitation_db(tone(float(CENTER[band_of(hz)]), 60.0))[band_of(hz)] - 60.0
    # two standard deviations of listeners
    assert least - one - 40.0 == pytest.approx(ratio, abs=4.0)


def test_noise_masks_a_tone_far_better_than_a_tone_masks_noise() -> None:
    # Hellman (1972), Hall (1997): 4 and 24 dB under the masker at 1 kHz and 80 dB, give or take 3.
    band = band_of(1000.0)
    masker = noise(920.0, 1080.0, 80.0 - 10.0 * math.log10(160.0))
    under_noise = 80.0 - threshold_db(masker)[band]
    under_tone = 80.0 - threshold_db(tone(1000.0, 80.0))[band]
    assert 2.0 <= under_noise <= 7.0
    assert 18.0 <= under_tone <= 28.0


def slopes(level_db: float) -> tuple[float, float]:
    """dB per Bark towards lower and higher frequencies of a critical band at 1 kHz."""
    clip = noise(920.0, 1080.0, level_db - 10.0 * math.log10(160.0))
    level, bark = threshold_db(clip), hz_to_bark(CENTER).numpy()
    low, high = (band_of(hz) for hz in (700.0, 800.0))
    down = (level[high] - level[low]) / (bark[high] - bark[low])
    low, high = (band_of(hz) for hz in (1300.0, 1900.0))
    return down, (level[low] - level[high]) / (bark[high] - bark[low])


@pytest.mark.parametrize("level_db", [60.0, 80.0, 100.0])
def test_slopes_are_those_of_bs1387(level_db: float) -> None:
    down, up = slopes(level_db)
    # 27 dB per Bark; 24 + 230 / fc - 0.2 L. The masker is as wide as the spacing: 15 %, 2 dB.
    assert down == pytest.approx(27.0, rel=0.15)
    assert up == pytest.approx(24.2 - 0.2 * level_db, abs=2.0)


def test_peak_lies_at_the_masker() -> None:
    clip = noise(920.0, 1080.0, 60.0)
    assert abs(int(threshold_db(clip).argmax()) - band_of(1000.0)) <= 1


# Lecluyse, Tan, McFerran and Meddis (2013): normal-hearing listeners. Masker of 108 ms, probe of
# 16 ms, 10 dB over its own threshold, both of this frequency. Hz: probe in dB SPL, and by gap in
# ms the level of the masker that just hides it, with its standard deviation over listeners.
TEMPORAL_MASKING = {
    250: (34.8, {20: (42.1, 9.5), 40: (57.3, 9.1), 50: (64.2, 13.6), 60: (67.0, 12.7)}),
    500: (29.2, {20: (38.4, 6.5), 40: (49.7, 10.3), 50: (54.4, 12.9), 80: (69.9, 16.8)}),
    1000: (25.5, {20: (33.2, 8.7), 40: (47.1, 15.4), 50: (51.2, 15.7), 60: (55.7, 18.8)}),
    2000: (24.2, {20: (32.5, 12.0), 40: (43.0, 17.0), 60: (52.6, 19.3), 80: (62.2, 22.8)}),
    4000: (22.5, {20: (29.5, 11.0), 40: (45.0, 17.2), 50: (49.5, 18.4), 80: (63.0, 18.9)}),
    6000: (28.9, {20: (33.4, 8.6), 40: (45.7, 13.6), 60: (55.6, 19.1), 80: (66.9, 18.9)}),
    8000: (36.9, {20: (43.8, 8.4), 40: (53.7, 13.0), 60: (64.1, 12.3), 80: (70.9, 5.2)}),
}
TEMPORAL_MASKING[250][1][80] = (69.8, 14.6)
TEMPORAL_MASKING[500][1][60] = (61.8, 14.2)
TEMPORAL_MASKING[1000][1][80] = (62.6, 20.4)
TEMPORAL_MASKING[2000][1][50] = (48.4, 17.3)
TEMPORAL_MASKING[4000][1][60] = (57.9, 18.8)
TEMPORAL_MASKING[6000][1][50] = (51.0, 16.0)
TEMPORAL_MASKING[8000][1][50] = (60.9, 8.2)


def burst(hz: float, level_db: float, *, start: float, duration: float) -> torch.Tensor:
    """A tone with cosine-squared ramps of 4 ms, in 0.35 s."""
    time = seconds(0.35) - start
    edge = (torch.minimum(time, duration - time) / 0.004).clamp(0.0, 1.0)
    shape = torch.sin(0.5 * math.pi * edge).square()
    return amplitude(level_db) * shape * torch.sin(2.0 * math.pi * hz * time)


@pytest.mark.parametrize("hz", TEMPORAL_MASKING)
def test_forward_masking_is_within_one_sd_of_listeners(hz: int) -> None:
    probe_db, curve = TEMPORAL_MASKING[hz]
    levels = np.arange(20.0, 96.0, 5.0)
    ear = psychoacoustics.Ear()
    band = slice(band_of(hz) - 1, band_of(hz) + 2)
    maskers = batch([burst(hz, level, start=0.05, duration=0.108) for level in levels])
    lengths = torch.full((len(levels),), maskers.shape[-1])
    alone = ear(maskers, lengths)
    for gap, (masker_db, deviation) in curve.items():
        start = 0.158 + gap / 1000.0
        probe = burst(hz, probe_db, start=start, duration=0.016).float()
        added = ear(maskers + probe, lengths).excitation - alone.excitation
        first = int((start * RATE - 400.0) / 640.0) - 1
        ratio = (added / alone.threshold)[:, first : first + 5, band].amax((1, 2))
        # falls with the masker's level; 1 where the probe is just missed
        fall = -ratio.clamp_min(1e-6).log().double().numpy()
        found = np.interp(0.0, np.maximum.accumulate(fall), levels)
        assert found == pytest.approx(masker_db, abs=deviation), (gap, found)


def test_what_has_not_stopped_is_not_forward_masked() -> None:
    # Under a steady tone the threshold is the simultaneous one, 24 dB down, all along.
    clip = tone(1000.0, 70.0)
    value = psychoacoustics.masked_threshold(clip.float(), RATE).value[EDGE:-EDGE, band_of(1000.0)]
    assert float(value.max() / value.min()) < 1.1


def test_silence_leaves_the_threshold_of_hearing() -> None:
    value = psychoacoustics.masked_threshold(torch.zeros(9600), RATE).value
    assert torch.equal(value, MaskedThreshold().quiet.expand_as(value))
