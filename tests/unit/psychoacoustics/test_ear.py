import pytest
import torch

from pamt_metric.psychoacoustics import TOKEN_GROUPS, Ear, EarTokens, ear
from pamt_metric.psychoacoustics.statistics import N_STATISTICS

FIELDS = (
    "loudness",
    "excitation",
    "threshold",
    "modulation",
    "interaural",
    "onset",
    "roughness",
    "flux",
    "presence",
    "fine",
    "statistics",
)
ZERO_IN_SILENCE = (
    "loudness",
    "excitation",
    "modulation",
    "onset",
    "roughness",
    "flux",
    "presence",
    "fine",
)
ZERO_BEYOND = (*ZERO_IN_SILENCE, "interaural")
N_SAMPLES = 24_000


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def hear(waveform: torch.Tensor, *, n_frame: int | None = None) -> EarTokens:
    lengths = torch.full((len(waveform),), waveform.shape[-1])
    return Ear()(waveform, lengths, n_frame=n_frame)


def total(tokens: EarTokens) -> torch.Tensor:
    groups = [tokens.group(name).sum() for name in TOKEN_GROUPS]
    return torch.stack([*groups, tokens.statistics.sum(), tokens.audible_loudness().sum()]).sum()


def relative(value: torch.Tensor, exact: torch.Tensor) -> float:
    """Largest difference, of the largest value."""
    return float((value - exact).detach().abs().max() / exact.detach().abs().max())


def test_shapes_and_widths_are_as_published() -> None:
    tokens = hear(noise(2, 2, N_SAMPLES))
    n_frame = 37
    assert tokens.mask.shape == (2, n_frame)
    assert tokens.lengths.tolist() == [n_frame, n_frame]
    assert tokens.statistics.shape == (2, N_STATISTICS)
    for name, width in TOKEN_GROUPS.items():
        assert tokens.group(name).shape == (2, n_frame, width), name
    with pytest.raises(KeyError):
        tokens.group("pitch")


def test_silence_is_exactly_zero() -> None:
    tokens = hear(torch.zeros(1, 2, N_SAMPLES))
    for name in ZERO_IN_SILENCE:
        assert not getattr(tokens, name).any(), name
    assert not tokens.audible_loudness().any()
    assert bool(tokens.statistics.isfinite().all())


@pytest.mark.parametrize("amplitude", [0.0, 1.0])
def test_gradient_is_finite(amplitude: float) -> None:
    square = torch.where(torch.arange(N_SAMPLES) % 480 < 240, 1.0, -1.0)
    waveform = (amplitude * square).repeat(1, 2, 1).requires_grad_()
    (slope,) = torch.autograd.grad(total(hear(waveform)), waveform)
    assert bool(slope.isfinite().all())
    assert bool(slope.any()) == (amplitude > 0.0)


def test_an_item_is_the_same_alone_and_padded() -> None:
    short, long = noise(1, 2, 15_000), noise(1, 2, N_SAMPLES, seed=1)
    alone = hear(short)
    batch = torch.cat([torch.nn.functional.pad(short, (0, N_SAMPLES - 15_000)), long])
    together = Ear()(batch, torch.tensor([15_000, N_SAMPLES]))
    n_frame = int(alone.lengths[0])
    assert together.lengths[0] == n_frame
    assert relative(together.statistics[:1], alone.statistics) <= 1e-5
    for name in FIELDS[:-1]:
        # The same sums, in other blocks: float32 rounding.
        assert relative(getattr(together, name)[:1, :n_frame], getattr(alone, name)) <= 1e-5, name
    for name in ZERO_BEYOND:
        assert not getattr(together, name)[0, n_frame:].any(), name
    for name in TOKEN_GROUPS:
        assert not together.group(name)[0, n_frame:].any(), name


def test_more_frames_on_request_are_empty() -> None:
    tokens = hear(noise(1, 1, N_SAMPLES), n_frame=50)
    assert tokens.mask.shape == (1, 50)
    assert int(tokens.lengths[0]) == 37
    assert not tokens.loudness[:, 37:].any()


def test_chunks_are_heard_as_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    waveform = noise(1, 2, N_SAMPLES)
    whole = hear(waveform)
    monkeypatch.setattr(ear, "CHUNK_FRAMES", 10)
    pieces = hear(waveform)
    for name in FIELDS:
        assert relative(getattr(pieces, name), getattr(whole, name)) <= 1e-5, name


def test_float32_is_near_float64() -> None:
    # The constants come from float32 buffers in both: this is the arithmetic's error.
    waveform = noise(1, 2, N_SAMPLES)
    lengths = torch.tensor([N_SAMPLES])
    exact = Ear().double()(waveform.double(), lengths)
    single = Ear()(waveform, lengths)
    for name in FIELDS:
        assert relative(getattr(single, name), getattr(exact, name)) <= 1e-3, name


def test_autocast_does_not_reach_it() -> None:
    waveform = noise(1, 2, N_SAMPLES)
    with torch.autocast("cpu", torch.bfloat16):
        lowered = hear(waveform)
    plain = hear(waveform)
    for name in FIELDS:
        assert torch.equal(getattr(lowered, name), getattr(plain, name)), name


def test_mono_reads_as_the_same_signal_in_two_channels() -> None:
    mono = noise(1, 1, N_SAMPLES)
    one, two = hear(mono), hear(mono.repeat(1, 2, 1))
    for name in FIELDS:
        assert relative(getattr(two, name), getattr(one, name)) <= 1e-5, name


def test_sides_of_a_stereo_clip() -> None:
    clip = noise(1, 1, N_SAMPLES)
    silent = torch.zeros_like(clip)
    for pair, difference, coherence in (
        ((clip, clip), 0.0, 1.0),
        ((clip, -clip), 0.0, -1.0),
        ((clip, silent), 1.0, 0.0),
        ((silent, clip), -1.0, 0.0),
    ):
        cues = hear(torch.cat(pair, dim=1)).interaural[0, 5:-5]
        # The floors take a little where a region is soft.
        torch.testing.assert_close(
            cues.mean((0, 1)), torch.tensor([difference, coherence]), rtol=0.0, atol=0.02
        )


def test_sound_under_the_threshold_is_not_audible_loudness() -> None:
    tokens = hear(noise(1, 1, N_SAMPLES))
    share = tokens.audible_loudness() / (tokens.loudness.sum(-1) * 0.5)
    assert float(share.min()) > 0.5
    assert float(share.max()) < 1.0
    faint = hear(1e-6 * noise(1, 1, N_SAMPLES))
    softer = faint.audible_loudness() / (faint.loudness.sum(-1) * 0.5)
    assert float(softer.max()) < float(share.min())


def test_holds_no_state() -> None:
    assert not list(Ear().parameters())
    assert not Ear().state_dict()
