"""What must hold of the metric for any sound: identity, symmetry, sign, finite gradients, batches.

On random weights, which a trained model replaces; what holds here holds by construction.
"""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import signals

RATE = signals.SAMPLE_RATE
# The fixture is shared and frozen; nothing of it is left over from one example to the next.
FEW = settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
BATCH_TOLERANCE = 1e-4

MAKERS = {
    "tone": lambda duration, seed: signals.tone(duration, frequency=110.0 * (1 + seed)),
    "noise": lambda duration, seed: signals.noise(duration, seed=seed),
    "clicks": lambda duration, seed: signals.clicks(duration, rate_hz=5.0 + seed),
    "piece": lambda duration, seed: signals.piece(duration, seed=seed),
}


@st.composite
def sounds(draw):
    """Mono or stereo, 0.2 to 1.5 s."""
    duration = draw(st.sampled_from((0.2, 0.33, 0.7, 1.5)))
    seed = draw(st.integers(0, 5))
    left = MAKERS[draw(st.sampled_from(sorted(MAKERS)))](duration, seed)
    if not draw(st.booleans()):
        return left
    return signals.stereo(left, 0.5 * left + signals.noise(duration, seed=seed + 9, rms=0.02))


def distance(metric, a, b, **options):
    return metric.distance(a, b, sample_rate=RATE, **options)


@FEW
@given(x=sounds())
def test_a_sound_is_at_no_distance_from_itself(tiny_metric, x):
    assert distance(tiny_metric, x, x) == 0.0
    assert distance(tiny_metric, x, x.clone(), level="absolute", align="none") == 0.0
    wanting = x.clone().requires_grad_()
    assert distance(tiny_metric, wanting, x).item() == 0.0
    assert distance(tiny_metric, x, wanting).item() == 0.0


@FEW
@given(a=sounds(), b=sounds())
def test_symmetric_and_not_negative(tiny_metric, a, b):
    there = distance(tiny_metric, a, b)
    assert there >= 0.0
    assert distance(tiny_metric, b, a) == there
    assert distance(tiny_metric, a, b) == there


def test_same_result_in_the_reverse_order_of_processing(tiny_metric):
    pairs = [
        (signals.piece(0.4, seed=seed), signals.noise(0.3 + 0.1 * seed, seed=seed))
        for seed in range(3)
    ]
    forth = [distance(tiny_metric, a, b) for a, b in pairs]
    back = [distance(tiny_metric, a, b) for a, b in reversed(pairs)]
    assert forth == back[::-1]


@settings(FEW, max_examples=3)
@given(clips=st.lists(sounds(), min_size=2, max_size=3), seed=st.integers(0, 9))
def test_same_alone_and_in_a_padded_batch(tiny_metric, clips, seed):
    tests = [x + 0.02 * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
             for x in clips]  # fmt: skip
    batch = distance(tiny_metric, clips, tests)
    # In a list with a stereo clip, mono clips are heard as two equal channels.
    alone = [distance(tiny_metric, a, b) for a, b in zip(clips, tests, strict=True)]
    assert batch.tolist() == pytest.approx(alone, rel=BATCH_TOLERANCE)


NOISE = signals.noise(0.3)


@pytest.mark.parametrize(
    ("reference", "start"),
    [
        pytest.param(NOISE, NOISE, id="a = b"),
        pytest.param(NOISE, signals.silence(0.3), id="silence against sound"),
        pytest.param(signals.silence(0.3), signals.silence(0.3), id="silence against silence"),
        pytest.param(signals.silence(0.3), NOISE, id="sound against silence"),
        pytest.param(NOISE, signals.square(0.3), id="full-scale square wave"),
        pytest.param(signals.square(0.3), signals.square(0.3), id="two of them"),
        pytest.param(NOISE, signals.stereo(NOISE, -NOISE), id="a side of flipped polarity"),
        pytest.param(NOISE, 1e-6 * NOISE, id="under the threshold of hearing"),
    ],
)
@pytest.mark.parametrize("level", ["match", "absolute"])
def test_gradients_are_finite(tiny_metric, reference, start, level):
    waveform = start.clone().requires_grad_()
    value = distance(tiny_metric, reference, waveform, level=level)
    value.backward()
    assert torch.isfinite(value)
    assert waveform.grad is not None
    assert torch.isfinite(waveform.grad).all()


def test_gradient_points_somewhere(tiny_metric):
    waveform = signals.with_noise(NOISE, 10.0).requires_grad_()
    distance(tiny_metric, NOISE, waveform).backward()
    assert waveform.grad is not None
    assert waveform.grad.abs().max() > 0.0


def test_parameters_stay_without_gradients(tiny_metric):
    waveform = NOISE.clone().requires_grad_()
    distance(tiny_metric, signals.tone(0.3), waveform).backward()
    assert all(parameter.grad is None for parameter in tiny_metric.parameters())


class TestLevel:
    def test_gain_is_matched_or_heard(self, tiny_metric):
        piece = signals.piece(0.6, seed=1)
        louder = 10.0 ** (6.0 / 20.0) * piece
        heard = distance(tiny_metric, piece, louder, level="absolute")
        assert heard > 0.1
        assert distance(tiny_metric, piece, louder, level="match") < 1e-3 * heard


class TestStereo:
    LEFT = signals.piece(0.5, seed=1)
    RIGHT = signals.piece(0.5, seed=2)

    def test_polarity_of_both_channels_is_hardly_heard_and_of_one_is(self, tiny_metric):
        narrow = signals.stereo(self.LEFT, 0.9 * self.LEFT + 0.05 * self.RIGHT)
        both = distance(tiny_metric, narrow, -narrow)
        one = distance(tiny_metric, narrow, narrow * torch.tensor([[1.0], [-1.0]]))
        assert one > 0.1
        assert both < 0.5 * one

    def test_collapse_to_mono_counts(self, tiny_metric):
        wide = signals.stereo(self.LEFT, self.RIGHT)
        collapsed = wide.mean(0, keepdim=True).expand(2, -1)
        assert distance(tiny_metric, wide, collapsed) > 0.1

    def test_swapped_channels_count(self, tiny_metric):
        wide = signals.stereo(self.LEFT, self.RIGHT)
        assert distance(tiny_metric, wide, wide.flip(0)) > 0.1


@pytest.mark.parametrize("rate", [24_000, 44_100])
def test_other_rates(tiny_metric, rate):
    tone = signals.tone(0.3, sample_rate=rate).requires_grad_()
    same = tiny_metric.distance(tone, tone, sample_rate=rate)
    assert same.item() == 0.0
    value = tiny_metric.distance(tone, signals.noise(0.3, sample_rate=rate), sample_rate=rate)
    value.backward()
    assert tone.grad is not None
    assert torch.isfinite(tone.grad).all()
