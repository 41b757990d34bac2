"""The head: what it may and may not depend on, and its size."""

from dataclasses import fields, replace

import pytest
import torch

from pamt_metric.errors import ConfigError
from pamt_metric.head import WINDOW_FRAMES, SequenceHead
from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.statistics import N_STATISTICS
from tests.support import signals

MERT_95M_PARAMETERS = 94.37e6
# The same sums in another order.
SAME_TOLERANCE = 1e-5
ARGUMENTS = {
    "encoder_layers": [0, 1],
    "encoder_width": 12,
    "width": 16,
    "n_heads": 2,
    "dim": 8,
}


def make_head(**changes):
    return SequenceHead(**(ARGUMENTS | changes)).requires_grad_(False)


def wake(head):
    """Let the conditioning have a say, as training would."""
    torch.nn.init.normal_(head.conditioning.network[-1].weight, std=0.05)
    return head


def make_tokens(*lengths):
    """Tokens of noises of these many frames."""
    samples = torch.tensor([800 + 640 * (n - 1) for n in lengths])
    longest = int(samples.max())
    rows = [signals.noise(longest / 48_000, seed=i) for i in range(len(lengths))]
    waveform = torch.stack(rows) * (torch.arange(longest) < samples[:, None])
    with torch.no_grad():
        tokens = Ear()(waveform[:, None], samples)
    assert tokens.lengths.tolist() == list(lengths)
    return tokens


def make_states(n_clip, n_frame, *, seed=0):
    return torch.randn(n_clip, 2, n_frame, 12, generator=torch.Generator().manual_seed(seed))


def cut_frames(tokens, first, last):
    """Tokens of a stretch of frames, all else (the clip statistics) as it is."""
    frames = {
        field.name: getattr(tokens, field.name)[:, first:last]
        for field in fields(tokens)
        if field.name != "statistics"
    }
    return replace(tokens, **frames)


class TestConditioning:
    def test_switched_off_it_works_and_reads_no_tokens_but_audibility(self):
        head = make_head(groups=())
        tokens = make_tokens(20)
        states = make_states(1, 20)
        embedding = head(states, tokens)
        assert embedding.sequence.shape == (1, 20, 8)
        assert embedding.pooled.shape == (1, 8 + N_STATISTICS)
        other = replace(tokens, interaural=tokens.interaural + 1.0)
        assert torch.equal(head(states, other).sequence, embedding.sequence)

    def test_zero_initialised_it_changes_nothing(self):
        with_it, without = make_head(), make_head(groups=())
        state = {k: v for k, v in with_it.state_dict().items() if "conditioning" not in k}
        without.load_state_dict(state)
        tokens, states = make_tokens(20), make_states(1, 20)
        one, two = with_it(states, tokens), without(states, tokens)
        assert torch.equal(one.sequence, two.sequence)
        assert torch.equal(one.pooled, two.pooled)

    def test_awake_it_does(self):
        head = make_head()
        tokens, states = make_tokens(20), make_states(1, 20)
        before = head(states, tokens).sequence
        assert (wake(head)(states, tokens).sequence - before).abs().max() > 1e-3

    def test_an_unknown_group_is_refused(self):
        with pytest.raises(ConfigError, match="got colour"):
            make_head(groups=("colour",))


class TestMask:
    def test_sequence_is_of_unit_length_inside_and_zero_beyond(self):
        tokens = make_tokens(30, 20)
        sequence = make_head()(make_states(2, 30), tokens).sequence
        length = sequence.norm(dim=-1)
        assert (length[tokens.mask] - 1.0).abs().max() < 1e-3
        assert torch.equal(sequence[~tokens.mask], torch.zeros(10, 8))

    def test_what_lies_beyond_a_clip_does_not_reach_it(self):
        head = wake(make_head())
        tokens, states = make_tokens(30, 20), make_states(2, 30)
        spoilt = states.clone()
        spoilt[1, :, 20:] = 100.0
        one, two = head(states, tokens), head(spoilt, tokens)
        assert torch.equal(one.sequence, two.sequence)
        assert torch.equal(one.pooled, two.pooled)

    def test_a_clip_is_the_same_alone_and_in_a_batch(self):
        head = wake(make_head())
        tokens, states = make_tokens(30, 20), make_states(2, 30)
        batch = head(states, tokens)
        row = {field.name: getattr(tokens, field.name)[1:] for field in fields(tokens)}
        alone = head(states[1:, :, :20], cut_frames(replace(tokens, **row), 0, 20))
        torch.testing.assert_close(
            batch.sequence[1:, :20], alone.sequence, atol=SAME_TOLERANCE, rtol=0
        )
        torch.testing.assert_close(batch.pooled[1:], alone.pooled, atol=SAME_TOLERANCE, rtol=0)


def test_windows_do_not_see_each_other():
    head = wake(make_head())
    n_frame = WINDOW_FRAMES + 40
    tokens, states = make_tokens(n_frame), make_states(1, n_frame)
    whole = head(states, tokens).sequence
    for first, last in ((0, WINDOW_FRAMES), (WINDOW_FRAMES, n_frame)):
        part = head(states[:, :, first:last], cut_frames(tokens, first, last)).sequence
        torch.testing.assert_close(whole[:, first:last], part, atol=SAME_TOLERANCE, rtol=0)


def test_attention_reaches_across_frames_of_a_window():
    head = make_head()
    tokens, states = make_tokens(20), make_states(1, 20)
    other = states.clone()
    other[:, :, 19] = make_states(1, 20, seed=1)[:, :, 19]
    change = (head(states, tokens).sequence - head(other, tokens).sequence)[0].norm(dim=-1)
    assert (change[:19] > 0.0).any()


def test_silence_sends_nothing_back_to_the_encoder():
    head = make_head()
    with torch.no_grad():
        tokens = Ear()(torch.zeros(1, 1, 9600), torch.tensor([9600]))
    states = make_states(1, int(tokens.lengths)).requires_grad_()
    embedding = head(states, tokens)
    (embedding.sequence.sum() + embedding.pooled.sum()).backward()
    assert states.grad is not None
    assert states.grad.abs().max() == 0.0


def test_default_head_has_at_most_a_twentieth_of_mert():
    head = SequenceHead(encoder_layers=range(13), encoder_width=768)
    count = sum(parameter.numel() for parameter in head.parameters())
    assert 1e5 < count <= 0.05 * MERT_95M_PARAMETERS
