"""Harmony: intervals by hand, and what must not change it."""

import pytest
import torch

from pamt_metric.psychoacoustics.frames import SAMPLE_RATE
from pamt_metric.psychoacoustics.harmony import LAGS_S, N_HARMONY, PITCH_CLASSES, Harmony

LEVEL = 0.05
FIFTH = 7
BASS, TREBLE, ACROSS = 0, 1, 2


@pytest.fixture(scope="module")
def harmony():
    return Harmony()


def tones(pitches, seconds, *, n_harmonic=1):
    """Notes (semitones over 440 Hz) that sound together."""
    time = torch.arange(round(seconds * SAMPLE_RATE), dtype=torch.float64) / SAMPLE_RATE
    sound = torch.zeros_like(time)
    for pitch in pitches:
        for number in range(1, n_harmonic + 1):
            hz = number * 440.0 * 2.0 ** (pitch / PITCH_CLASSES)
            sound += torch.sin(2.0 * torch.pi * hz * time + number) / number
    fade = (time / 0.02).clamp_max(1.0) * ((seconds - time) / 0.02).clamp(0.0, 1.0)
    return (LEVEL * sound * fade).float()


def melody(pitches, *, seconds=0.4, n_harmonic=1):
    return torch.cat([tones([pitch], seconds, n_harmonic=n_harmonic) for pitch in pitches])


def of(harmony, *clips):
    """(clip, pair of registers, interval, lag) of mono clips of any lengths."""
    lengths = torch.tensor([len(clip) for clip in clips])
    padded = torch.nn.utils.rnn.pad_sequence(list(clips), batch_first=True)[:, None]
    return harmony(padded, lengths).reshape(len(clips), 3, PITCH_CLASSES, 1 + len(LAGS_S))


def test_a_fifth_is_an_interval_of_seven_and_of_five(harmony):
    # High enough for a semitone to be wider than the window's line.
    found = of(harmony, tones([24, 24 + FIFTH], 2.0))[0, TREBLE, :, 0]
    # Both are equally loud: of |X|^2 = 2, one meets the other once a direction.
    met = {0: 1.0, FIFTH: 0.5, PITCH_CLASSES - FIFTH: 0.5}
    for interval, share in enumerate(found.tolist()):
        # A line is a little wider than a semitone.
        assert share == pytest.approx(met.get(interval, 0.0), abs=0.05 if interval in met else 0.12)


def test_a_step_up_is_found_at_its_lag_and_in_its_direction(harmony):
    found = of(harmony, melody([0, 2] * 6))[0, TREBLE]
    lag = min(range(len(LAGS_S)), key=lambda i: abs(LAGS_S[i] - 0.4))
    assert found[2, 1 + lag] > 3.0 * found[2, 0]
    up = of(harmony, melody([0, 2, 4, 6, 8, 10]))[0, TREBLE, :, 1 + lag]
    assert up[2] > 5.0 * up[PITCH_CLASSES - 2]


def test_bass_and_treble_are_told_apart(harmony):
    low, high = -24, FIFTH
    found = of(harmony, tones([low, high], 2.0))[0]
    # One meets the other once, of |X|^2 = 2.
    assert found[ACROSS, FIFTH, 0] == pytest.approx(0.45, abs=0.05)
    assert found[BASS, 0, 0] == pytest.approx(0.45, abs=0.05)
    assert found[ACROSS, PITCH_CLASSES - FIFTH, 0] < 0.05
    assert found[TREBLE, FIFTH, 0] < 0.05


@pytest.mark.parametrize("shift", [1, 3, -4])
def test_key_and_instrument_change_less_than_the_tune(harmony, shift):
    tune, other = [3, 7, 10, 7, 12, 8, 3, 5], [3, 4, 10, 6, 11, 3, 9, 8]
    same = melody([pitch + shift for pitch in tune], n_harmonic=6)
    clips = of(harmony, melody(tune, n_harmonic=3), same, melody(other, n_harmonic=3))
    near, far = (clips[0] - clips[1]).norm(), (clips[0] - clips[2]).norm()
    assert near < 0.5 * far


def test_padding_and_neighbours_change_nothing(harmony):
    short, long = tones([0, 4], 1.0), tones([0, 3], 2.5)
    together = of(harmony, short, long)
    for index, clip in enumerate((short, long)):
        torch.testing.assert_close(of(harmony, clip)[0], together[index], atol=2e-6, rtol=0.0)


def test_both_channels_count_alike(harmony):
    sound = torch.stack([tones([0], 1.0), tones([5], 1.0)])[None]
    length = torch.tensor([sound.shape[-1]])
    torch.testing.assert_close(harmony(sound, length), harmony(sound.flip(1), length))


def test_autocast_does_not_reach_it(harmony):
    clip = tones([0, 4, 7], 1.0)
    expected = of(harmony, clip)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(of(harmony, clip), expected)


def test_a_clip_shorter_than_a_lag_has_none_of_it(harmony):
    found = of(harmony, tones([0, 4], 0.3))
    assert torch.isfinite(found).all()
    assert found[..., -1].abs().max() < 1e-6


def test_silence_is_zero_with_a_zero_slope(harmony):
    clip = torch.zeros(1, 2, SAMPLE_RATE, requires_grad=True)
    found = harmony(clip, torch.tensor([SAMPLE_RATE]))
    assert found.shape == (1, N_HARMONY)
    assert not found.any()
    found.sum().backward()
    assert clip.grad is not None
    assert not clip.grad.any()


def test_what_is_under_the_threshold_of_hearing_hardly_counts(harmony):
    heard = tones([0, 4], 1.0)
    quiet = heard + 1e-7 * tones([2, 9], 1.0) / LEVEL
    torch.testing.assert_close(of(harmony, heard), of(harmony, quiet), atol=1e-4, rtol=0.0)


def test_gradients_are_those_of_differences():
    torch.manual_seed(0)
    harmony = Harmony().double()
    clip = (tones([0, 3, 8], 0.25).double() + 0.01 * torch.randn(12_000))[None, None]
    clip.requires_grad_()
    length = torch.tensor([clip.shape[-1]])
    assert torch.autograd.gradcheck(lambda x: harmony(x, length), clip, fast_mode=True, atol=1e-6)


@pytest.mark.parametrize("snr_db", [50.0, 40.0, 30.0])
def test_the_worst_small_perturbation_moves_it_little(harmony, snr_db):
    clip = melody([3, 7, 10, 7, 12, 8, 3, 5], n_harmonic=4)
    radius = clip.norm() * 10.0 ** (-snr_db / 20.0)
    length = torch.tensor([len(clip)])
    clean = harmony(clip[None, None], length)
    random = torch.randn(len(clip), generator=torch.Generator().manual_seed(0))
    delta = 0.1 * radius * random / random.norm()
    for _ in range(20):
        delta.requires_grad_()
        moved = (harmony((clip + delta)[None, None], length) - clean).norm()
        (slope,) = torch.autograd.grad(moved, delta)
        delta = (delta + 0.3 * radius * slope / slope.norm()).detach()
        delta = delta * (radius / delta.norm()).clamp_max(1.0)
    with torch.no_grad():
        moved = (harmony((clip + delta)[None, None], length) - clean).norm()
    # In share of its own length: no more than a few times what was done to the sound.
    assert moved / clean.norm() < 4.0 * 10.0 ** (-snr_db / 20.0)
    assert moved > 0
