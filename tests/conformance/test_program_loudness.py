"""Program loudness: the reference points and the gates of ITU-R BS.1770 and EBU Tech 3341."""

import numpy as np
import pytest
import torch
from scipy import signal

from pamt_metric.psychoacoustics.program_loudness import ProgramLoudness

SECOND = 48_000
# EBU Tech 3341's own tolerance for a meter.
TOLERANCE_LU = 0.1


def tone(level_dbfs: float, *, seconds: float, hz: float = 997.0) -> torch.Tensor:
    time = torch.arange(int(seconds * SECOND), dtype=torch.float64) / SECOND
    return (10.0 ** (level_dbfs / 20.0) * torch.sin(2.0 * torch.pi * hz * time)).float()[None, None]


def loudness(waveform: torch.Tensor) -> float:
    value, audible = ProgramLoudness()(waveform, torch.tensor([waveform.shape[-1]]))
    assert bool(audible.all())
    return float(value[0])


def test_full_scale_997_hz_in_one_channel_is_minus_3_01() -> None:
    clip = tone(0.0, seconds=1.0)
    left_only = torch.cat([clip, torch.zeros_like(clip)], dim=1)
    assert loudness(left_only) == pytest.approx(-3.01, abs=TOLERANCE_LU)
    assert loudness(clip) == pytest.approx(-3.01, abs=TOLERANCE_LU)


def test_in_both_channels_it_is_0() -> None:
    assert loudness(tone(0.0, seconds=1.0).repeat(1, 2, 1)) == pytest.approx(0.0, abs=TOLERANCE_LU)


@pytest.mark.parametrize("level", [-23.0, -33.0])
def test_1_khz_in_both_channels_reads_its_level(level: float) -> None:
    # EBU Tech 3341, cases 1 and 2.
    clip = tone(level, seconds=2.0, hz=1000.0).repeat(1, 2, 1)
    assert loudness(clip) == pytest.approx(level, abs=TOLERANCE_LU)


def test_soft_parts_do_not_count() -> None:
    # EBU Tech 3341, case 3 (shortened: 2, 12 and 2 s for its 10, 60 and 10 s).
    parts = [tone(level, seconds=s, hz=1000.0) for level, s in ((-36, 2), (-23, 12), (-36, 2))]
    clip = torch.cat(parts, dim=-1).repeat(1, 2, 1)
    assert loudness(clip) == pytest.approx(-23.0, abs=TOLERANCE_LU)


def test_silence_after_the_sound_does_not_lower_it() -> None:
    # Three blocks that are part silence pass the gates: at most 10 lg of their share in 20 s.
    clip = tone(-20.0, seconds=10.0)
    padded = torch.nn.functional.pad(clip, (0, clip.shape[-1]))
    assert loudness(padded) == pytest.approx(loudness(clip), abs=TOLERANCE_LU)


@pytest.mark.parametrize("hz", [50.0, 200.0, 2000.0, 8000.0])
def test_other_frequencies_are_weighted_as_by_the_standards_filters(hz: float) -> None:
    # BS.1770, annex 1, tables 1 and 2, evaluated by scipy.
    gain_db = 0.0
    for numerator, denominator in (
        (
            (1.53512485958697, -2.69169618940638, 1.19839281085285),
            (1.0, -1.69065929318241, 0.73248077421585),
        ),
        ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
    ):
        _, response = signal.freqz(numerator, denominator, worN=[hz, 997.0], fs=SECOND)
        gain_db += 20.0 * float(np.log10(abs(response[0] / response[1])))
    difference = loudness(tone(-20.0, seconds=1.0, hz=hz)) - loudness(tone(-20.0, seconds=1.0))
    assert difference == pytest.approx(gain_db, abs=TOLERANCE_LU)
