import pytest
import torch

from pamt_metric.psychoacoustics.program_loudness import ProgramLoudness

SECOND = 48_000


def tone(*, seconds: float = 2.0, amplitude: float = 1.0, hz: float = 997.0) -> torch.Tensor:
    time = torch.arange(int(seconds * SECOND), dtype=torch.float64) / SECOND
    return (amplitude * torch.sin(2.0 * torch.pi * hz * time)).float()[None, None]


def loudness(waveform: torch.Tensor) -> float:
    lengths = torch.full((len(waveform),), waveform.shape[-1])
    value, audible = ProgramLoudness()(waveform, lengths)
    assert bool(audible.all())
    return float(value[0])


def test_ten_db_more_are_ten_lu_more() -> None:
    soft, loud = loudness(tone(amplitude=0.1)), loudness(tone(amplitude=0.1 * 10.0**0.5))
    assert loud - soft == pytest.approx(10.0, abs=1e-3)


def test_a_clip_shorter_than_a_block_is_one_block() -> None:
    # Its ends leak more, in proportion: 0.1 s of a tone.
    assert loudness(tone(seconds=0.1)) == pytest.approx(loudness(tone()), abs=0.1)


def test_padding_changes_nothing() -> None:
    clip = tone(amplitude=0.1)
    padded = torch.nn.functional.pad(clip, (0, 3 * SECOND))
    value, _ = ProgramLoudness()(padded, torch.tensor([clip.shape[-1]]))
    assert float(value[0]) == pytest.approx(loudness(clip), abs=1e-4)


def test_silence_has_none_and_no_slope() -> None:
    clip = torch.zeros(2, 1, SECOND)
    clip[1] = tone(seconds=1.0)[0]
    clip.requires_grad_()
    value, audible = ProgramLoudness()(clip, torch.tensor([SECOND, SECOND]))
    (slope,) = torch.autograd.grad(value.sum(), clip)
    assert audible.tolist() == [False, True]
    assert float(value[0].detach()) == pytest.approx(-70.0, abs=1e-4)
    assert not slope[0].any()
    assert bool(slope.isfinite().all())
    assert bool(slope[1].any())


def test_slope_is_that_of_the_level() -> None:
    # d L / d gain at gain 1 is 20 / ln 10 dB.
    gain = torch.ones((), requires_grad=True)
    value, _ = ProgramLoudness()(gain * tone(amplitude=0.1), torch.tensor([2 * SECOND]))
    (slope,) = torch.autograd.grad(value.sum(), gain)
    assert float(slope) == pytest.approx(8.6859, rel=1e-4)
