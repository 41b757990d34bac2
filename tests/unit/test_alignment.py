"""One global lag between two recordings, and the cut that takes it out."""

import pytest
import torch

from pamt_metric import alignment
from pamt_metric.alignment import MAX_LAG_S, cut_to_lag, overlap_lengths
from tests.support import signals


def shifted(waveform, by):
    """`waveform` later by `by` samples (earlier if negative), zeros moving in."""
    moved = torch.zeros_like(waveform)
    if by >= 0:
        moved[by:] = waveform[: len(waveform) - by]
    else:
        moved[:by] = waveform[-by:]
    return moved


def find_lag(a, b):
    """Lag of whole clips."""
    lengths = [torch.full((len(x),), x.shape[-1]) for x in (a, b)]
    return alignment.find_lag(a, b, *lengths)


class TestFindLag:
    @pytest.mark.parametrize("lag", [480, 1, -7, -12_000])
    def test_finds_a_known_lag(self, lag):
        waveform = signals.noise(1.0)
        assert find_lag(waveform[None], shifted(waveform, lag)[None]).tolist() == [lag]

    def test_does_not_mind_a_flipped_polarity_or_another_gain(self):
        waveform = signals.noise(0.5)
        assert find_lag(waveform[None], -0.3 * shifted(waveform, 100)[None]).tolist() == [100]

    def test_is_antisymmetric_item_by_item(self):
        a = torch.stack([signals.noise(0.5, seed=seed) for seed in range(3)])
        b = torch.stack([shifted(a[0], 333), shifted(a[1], -50), a[2]])
        assert find_lag(a, b).tolist() == [333, -50, 0]
        assert torch.equal(find_lag(b, a), -find_lag(a, b))

    def test_takes_clips_of_different_lengths(self):
        waveform = signals.noise(0.5)
        longer = torch.cat([torch.zeros(960), waveform, torch.zeros(5000)])
        assert find_lag(waveform[None], longer[None]).tolist() == [960]

    def test_is_0_for_unrelated_music_and_for_silence(self):
        a, b = signals.noise(1.0, seed=1), signals.noise(1.0, seed=2)
        assert find_lag(a[None], b[None]).tolist() == [0]
        assert find_lag(a[None], torch.zeros(1, 48_000)).tolist() == [0]
        assert find_lag(torch.zeros(1, 48_000), torch.zeros(1, 48_000)).tolist() == [0]

    def test_leaves_half_of_the_shorter_clip(self):
        early, late = torch.zeros(2, 1, 14_400)
        early[0, 10], late[0, 12_000] = 0.5, 0.5
        assert find_lag(early, late).tolist() == [0]

    def test_does_not_depend_on_what_else_is_in_the_batch(self):
        a = signals.noise(0.5)
        b = shifted(a, 77)
        padded = [torch.nn.functional.pad(x, (0, 50_000)) for x in (a, b)]
        batch = [torch.stack([x, signals.noise(len(x) / 48_000)]) for x in padded]
        lengths = torch.tensor([len(a), len(padded[0])])
        assert (
            alignment.find_lag(*batch, lengths, lengths)[0] == find_lag(a[None], b[None])[0] == 77
        )

    def test_is_0_for_a_lag_beyond_its_reach(self):
        waveform = signals.noise(2.0)
        beyond = round((MAX_LAG_S + 0.1) * signals.SAMPLE_RATE)
        assert find_lag(waveform[None], shifted(waveform, beyond)[None]).tolist() == [0]


class TestCutToLag:
    def test_starts_each_item_where_it_is_told_and_passes_gradients(self):
        waveform = torch.arange(1.0, 7.0).repeat(2, 1, 1).requires_grad_()
        cut, lengths = cut_to_lag(waveform, torch.tensor([6, 5]), torch.tensor([2, 0]))
        assert lengths.tolist() == [4, 5]
        assert cut[:, 0].tolist() == [[3, 4, 5, 6, 0, 0], [1, 2, 3, 4, 5, 0]]
        cut.sum().backward()
        assert waveform.grad is not None
        assert waveform.grad[:, 0].tolist() == [[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]]

    def test_leaves_a_batch_without_lags_as_it_is(self):
        waveform, lengths = torch.ones(1, 1, 4), torch.tensor([4])
        assert cut_to_lag(waveform, lengths, torch.tensor([0])) == (waveform, lengths)


@pytest.mark.parametrize(
    ("lengths", "lag", "expected"),
    [
        pytest.param((90, 100), 10, (90, 90), id="same length before the cut"),
        pytest.param((100, 90), -10, (90, 90), id="the other way round"),
        pytest.param((60, 100), 10, (60, 100), id="more is missing than the lag explains"),
        pytest.param((60, 100), 0, (60, 100), id="a truncated copy without a lag"),
        pytest.param((100, 100), 0, (100, 100), id="nothing to cut"),
    ],
)
def test_overlap_drops_only_the_tail_that_the_cut_left(lengths, lag, expected):
    a, b = (torch.tensor([n]) for n in lengths)
    found = overlap_lengths(a, b, torch.tensor([lag]))
    assert tuple(n.item() for n in found) == expected
