"""`PerceptualLoss`: the distance inside other people's training code."""

import copy
import pickle

import pytest
import torch
from torch import nn

from pamt_metric import InputError, PerceptualLoss
from tests.support import signals

RATE = 24_000
TARGET = torch.stack([signals.piece(0.3, seed=seed, sample_rate=RATE) for seed in (1, 2)])
ESTIMATE = signals.with_noise(TARGET, 20.0)
# A clip alone and in a batch sum in another order.
BATCH_TOLERANCE = 1e-4


@pytest.fixture
def loss(tiny_metric):
    return PerceptualLoss(tiny_metric, sample_rate=RATE, reduction="none")


def gradient(loss, estimate, *target):
    estimate = estimate.clone().requires_grad_()
    loss(estimate, *target).sum().backward()
    return estimate.grad


class Denoiser(nn.Module):
    """A user's model that holds its loss."""

    def __init__(self, loss):
        super().__init__()
        self.filter = nn.Conv1d(1, 1, 5, padding=2)
        self.loss = loss

    def forward(self, noisy, target):
        return self.loss(self.filter(noisy[:, None])[:, 0], target)


class TestValue:
    def test_is_the_distance_of_each_clip(self, loss, tiny_metric):
        expected = [
            tiny_metric.distance(a, b, sample_rate=RATE, align="none")
            for a, b in zip(TARGET, ESTIMATE, strict=True)
        ]
        found = loss(ESTIMATE, TARGET)
        assert min(expected) > 0.0
        assert found.tolist() == pytest.approx(expected, rel=BATCH_TOLERANCE)

    def test_mean(self, loss, tiny_metric):
        mean = PerceptualLoss(tiny_metric, sample_rate=RATE)(ESTIMATE, TARGET)
        assert mean.shape == ()
        assert mean.item() == pytest.approx(loss(ESTIMATE, TARGET).mean().item())

    def test_same_is_zero_with_a_finite_gradient(self, loss):
        estimate = TARGET.clone().requires_grad_()
        value = loss(estimate, TARGET)
        value.sum().backward()
        assert value.tolist() == [0.0, 0.0]
        assert torch.isfinite(estimate.grad).all()

    def test_two_axes_are_a_batch_of_mono_clips(self, loss):
        assert torch.equal(loss(ESTIMATE, TARGET), loss(ESTIMATE[:, None], TARGET[:, None]))
        stereo = loss(ESTIMATE[None], TARGET[None])
        assert stereo.shape == (1,)

    def test_lengths(self, loss):
        padded = ESTIMATE.clone()
        padded[1, 5000:] = float("nan")
        found = loss(padded, TARGET, lengths=[TARGET.shape[-1], 5000])
        alone = loss(ESTIMATE[1:, :5000], TARGET[1:, :5000])
        assert found[1].item() == pytest.approx(alone.item(), rel=BATCH_TOLERANCE)

    @pytest.mark.parametrize("level", ["match", "absolute"])
    def test_level(self, tiny_metric, level):
        loss = PerceptualLoss(tiny_metric, sample_rate=RATE, level=level)
        assert (loss(0.3 * TARGET, TARGET).item() > 0.01) == (level == "absolute")

    def test_align(self, tiny_metric):
        late = torch.roll(TARGET, 240, dims=-1)
        values = [
            PerceptualLoss(tiny_metric, sample_rate=RATE, align=align)(late, TARGET).item()
            for align in ("auto", "none")
        ]
        assert values[0] < 0.5 * values[1]

    def test_bundled_model_by_name(self):
        loss = PerceptualLoss(sample_rate=RATE)
        assert "pamt-mini" in repr(loss)
        assert loss(ESTIMATE[:1], TARGET[:1]).item() > 0.0


class TestRefusals:
    def test_choices(self, tiny_metric):
        with pytest.raises(InputError, match="reduction must be 'mean' or 'none', got 'sum'"):
            PerceptualLoss(tiny_metric, sample_rate=RATE, reduction="sum")
        with pytest.raises(InputError, match="is it in kHz"):
            PerceptualLoss(tiny_metric, sample_rate=44.1)

    def test_one_axis(self, loss):
        with pytest.raises(InputError, match=r"estimate must be .* got \(7200,\); .*x\[None\]"):
            loss(ESTIMATE[0], TARGET[0])

    def test_time_before_channel(self, loss):
        with pytest.raises(InputError, match="one or two channels"):
            loss(ESTIMATE[..., None], TARGET[..., None])

    def test_shapes_that_would_broadcast(self, loss):
        with pytest.raises(InputError, match=r"one shape, got \(2, 7200\) and \(1, 7200\)"):
            loss(ESTIMATE, TARGET[:1])

    def test_another_device(self, loss):
        with pytest.raises(InputError, match="on meta, the loss on cpu; move it"):
            loss(ESTIMATE.to("meta"), TARGET)

    def test_no_target(self, loss):
        with pytest.raises(InputError, match="a target is missing"):
            loss(ESTIMATE)


class TestReference:
    def test_gives_what_the_target_gives(self, loss):
        expected = loss(ESTIMATE, TARGET), gradient(loss, ESTIMATE, TARGET)
        loss.set_reference(TARGET)
        assert torch.equal(loss(ESTIMATE), expected[0])
        assert torch.equal(gradient(loss, ESTIMATE), expected[1])

    def test_is_encoded_once(self, loss, tiny_metric, monkeypatch):
        encoded = []
        encode = type(tiny_metric).encode
        monkeypatch.setattr(
            type(tiny_metric),
            "encode",
            lambda *args, **options: encoded.append(1) or encode(*args, **options),
        )
        loss.set_reference(TARGET)
        loss(ESTIMATE), loss(ESTIMATE)
        assert len(encoded) == 3

    def test_cannot_be_stale(self, loss):
        # Neither identity nor the version counter of a tensor tells of a write through numpy.
        memory = TARGET.clone().numpy()
        target = torch.from_numpy(memory)
        loss.set_reference(target)
        before = loss(ESTIMATE), loss(ESTIMATE, target)
        version = target._version
        memory[:] = ESTIMATE.numpy()
        assert target._version == version
        assert torch.equal(loss(ESTIMATE), before[0])  # a snapshot, as promised
        assert torch.equal(before[0], before[1])
        assert loss(ESTIMATE, target).tolist() == [0.0, 0.0]  # a given target is always read

    def test_replaced_and_forgotten(self, loss):
        loss.set_reference(ESTIMATE)
        loss.set_reference(TARGET)
        assert torch.equal(loss(ESTIMATE), loss(ESTIMATE, TARGET))
        loss.set_reference(None)
        with pytest.raises(InputError, match="a target is missing"):
            loss(ESTIMATE)

    def test_brings_its_lengths(self, loss):
        lengths = [TARGET.shape[-1], 5000]
        loss.set_reference(TARGET, lengths=lengths)
        assert torch.equal(loss(ESTIMATE), loss(ESTIMATE, TARGET, lengths=lengths))
        with pytest.raises(InputError, match="give them to set_reference"):
            loss(ESTIMATE, lengths=lengths)

    def test_with_a_lag(self, tiny_metric):
        loss = PerceptualLoss(tiny_metric, sample_rate=RATE, align="auto")
        late = torch.roll(TARGET, 240, dims=-1)
        loss.set_reference(TARGET)
        assert torch.equal(loss(late), loss(late, TARGET))

    def test_made_in_inference_mode(self, loss):
        with torch.inference_mode():
            loss.set_reference(TARGET.clone())
        assert torch.equal(gradient(loss, ESTIMATE), gradient(loss, ESTIMATE, TARGET))


class TestTraining:
    def test_checkpoint_changes_nothing_but_memory(self, loss, tiny_metric):
        lean = PerceptualLoss(tiny_metric, sample_rate=RATE, reduction="none", checkpoint=True)
        torch.testing.assert_close(
            lean(ESTIMATE, TARGET), loss(ESTIMATE, TARGET), rtol=BATCH_TOLERANCE, atol=0.0
        )
        expected = gradient(loss, ESTIMATE, TARGET)
        found = gradient(lean, ESTIMATE, TARGET)
        assert (found - expected).norm() <= 1e-3 * expected.norm()  # sums in another order
        assert lean(TARGET.clone().requires_grad_(), TARGET).tolist() == [0.0, 0.0]

    def test_checkpoint_keeps_less(self, loss, tiny_metric):
        lean = PerceptualLoss(tiny_metric, sample_rate=RATE, reduction="none", checkpoint=True)
        assert kept_bytes(lean) < 0.5 * kept_bytes(loss)

    def test_autocast(self, loss):
        expected = loss(ESTIMATE, TARGET)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = loss(ESTIMATE, TARGET)
        assert found.dtype == torch.float32
        assert torch.equal(found, expected)

    def test_estimate_in_bfloat16(self, loss):
        low = ESTIMATE.bfloat16()
        assert torch.equal(loss(low, TARGET), loss(low.float(), TARGET))
        assert gradient(loss, low, TARGET).dtype == torch.bfloat16

    def test_compiled_model(self, tiny_metric):
        torch.compiler.reset()
        model = Denoiser(PerceptualLoss(tiny_metric, sample_rate=RATE))
        compiled = torch.compile(model, backend="aot_eager")
        values = []
        for run in (model, compiled):
            model.zero_grad()
            value = run(ESTIMATE, TARGET)
            value.backward()
            values.append([value.item(), *model.filter.weight.grad.flatten().tolist()])
        assert values[1] == pytest.approx(values[0], rel=1e-4)  # fused elsewhere, summed otherwise

    def test_training_after_validation_in_inference_mode(self):
        with torch.inference_mode():
            loss = PerceptualLoss(sample_rate=RATE)
            loss(ESTIMATE[:1], TARGET[:1])
        assert gradient(loss, ESTIMATE[:1], TARGET[:1]).abs().max() > 0.0


def kept_bytes(loss):
    """What a graph holds for the backward pass."""
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        graph = loss(ESTIMATE.clone().requires_grad_(), TARGET)
    del graph
    return sum(kept.values())


class TestInsideAModel:
    def test_shows_nothing_of_the_metric(self, loss):
        model = Denoiser(loss)
        own = {"filter.weight", "filter.bias"}
        assert {name for name, _ in model.named_parameters()} == own
        assert set(model.state_dict()) == own
        assert list(model.buffers()) == []
        plain = nn.Module()
        plain.filter = nn.Conv1d(1, 1, 5)
        model.load_state_dict(plain.state_dict(), strict=True)

    def test_metric_is_frozen_and_in_eval_mode(self, loss):
        Denoiser(loss).train()
        assert not any(parameter.requires_grad for parameter in loss.metric.parameters())
        assert not any(module.training for module in loss.metric.modules())

    def test_stays_in_float32(self, loss):
        expected = loss(ESTIMATE, TARGET)
        model = Denoiser(loss).bfloat16()
        assert model.filter.weight.dtype == torch.bfloat16
        assert torch.equal(model.loss(ESTIMATE, TARGET), expected)

    def test_follows_to_another_device(self, tiny_metric):
        loss = PerceptualLoss(copy.deepcopy(tiny_metric), sample_rate=RATE)
        loss.set_reference(TARGET)
        Denoiser(loss).to("meta")
        assert loss.device == torch.device("meta")
        with pytest.raises(InputError, match="another device forgets it"):
            loss(ESTIMATE.to("meta"))

    @pytest.mark.parametrize(
        "duplicate",
        [copy.deepcopy, lambda loss: pickle.loads(pickle.dumps(loss))],  # noqa: S301 (our own)
    )
    def test_copies(self, loss, duplicate):
        loss.set_reference(TARGET)
        other = duplicate(loss)
        assert other.metric is not loss.metric
        assert torch.equal(other(ESTIMATE), loss(ESTIMATE))
        other.set_reference(ESTIMATE)
        assert loss(ESTIMATE).min() > 0.0
