"""Arrays, tensors and lists to one batch."""

import numpy as np
import pytest
import torch

from pamt_metric.audio import AudioBatch, length_mask, load, match_channels
from tests.support.audio_files import N_TIME, RATE, file_bytes, noise, tone


def test_integer_pcm_is_scaled_by_its_type():
    int16 = torch.tensor([-32_768, 0, 16_384, 32_767] * 3000, dtype=torch.int16)
    expected = torch.tensor([-1.0, 0.0, 0.5, 32_767 / 32_768] * 3000)
    for samples in (int16, int16.to(torch.int32) * 2**16, int16.numpy()):
        waveform = load(samples, sample_rate=RATE, target_rate=RATE).waveform
        assert waveform.dtype == torch.float32
        assert torch.equal(waveform[0, 0], expected)


def test_arrays_of_any_memory_layout():
    expected = torch.from_numpy(tone())
    read_only = tone()
    read_only.flags.writeable = False
    backwards = tone()[:, ::-1].copy()[:, ::-1]
    for array in (tone().astype(">f4"), read_only, backwards, np.asfortranarray(tone())):
        assert torch.equal(load(array, sample_rate=RATE, target_rate=RATE).waveform[0], expected)


def test_float64_stays_for_tensors_only():
    samples = noise(N_TIME, dtype=torch.float64)
    for rate in (RATE, 16_000):
        audio = load(samples, sample_rate=RATE, target_rate=rate)
        assert audio.waveform.dtype == torch.float64
        audio = load(samples.numpy(), sample_rate=RATE, target_rate=rate)
        assert audio.waveform.dtype == torch.float32
    mixed = load([samples, samples.float()], sample_rate=RATE, target_rate=RATE)
    assert mixed.waveform.dtype == torch.float64


@pytest.mark.parametrize(
    ("shape", "expected", "is_batch"),
    [
        ((N_TIME,), (1, 1, N_TIME), False),
        ((2, N_TIME), (1, 2, N_TIME), False),
        ((1, 2, N_TIME), (1, 2, N_TIME), True),
        ((3, 1, N_TIME), (3, 1, N_TIME), True),
    ],
)
def test_shapes(shape, expected, is_batch):
    audio = load(noise(*shape), sample_rate=RATE, target_rate=RATE)
    assert audio.waveform.shape == expected
    assert audio.is_batch is is_batch
    assert audio.lengths.tolist() == [N_TIME] * expected[0]


def test_input_is_not_written_to():
    samples = noise(2, 1, N_TIME)
    before = samples.clone()
    load(samples, sample_rate=RATE, target_rate=16_000, lengths=[9000, N_TIME])
    load(samples, sample_rate=RATE, target_rate=RATE, lengths=[9000, N_TIME])
    assert torch.equal(samples, before)


@pytest.mark.parametrize("rate", [RATE, 44_100, 48_000, 16_000, 24_001])
def test_item_alone_and_in_padded_batch_agree(rate):
    clips = [noise(2, n, seed=n) for n in (12_345, 7_001, 9_999)]
    lengths = [clip.shape[-1] for clip in clips]
    batch = torch.full((3, 2, 12_345), float("nan"))  # the padding must not leak
    for row, clip in zip(batch, clips, strict=True):
        row[:, : clip.shape[-1]] = clip
    padded = load(batch, sample_rate=rate, target_rate=RATE, lengths=lengths)
    listed = load(clips, sample_rate=rate, target_rate=RATE)
    assert padded.is_batch
    assert listed.is_batch
    assert padded.lengths.tolist() == [-(-n * RATE // rate) for n in lengths]
    for i, clip in enumerate(clips):
        alone = load(clip, sample_rate=rate, target_rate=RATE)
        n_time = alone.waveform.shape[-1]
        assert alone.lengths.item() == n_time == padded.lengths[i] == listed.lengths[i]
        for together in (padded.waveform[i], listed.waveform[i]):
            # float32 sums of some hundred products of values below 0.5, in another order
            assert (together[:, :n_time] - alone.waveform[0]).abs().max() < 1e-6
            assert together[:, n_time:].count_nonzero() == 0


def test_list_of_files_arrays_and_rates(tmp_path):
    (tmp_path / "a.wav").write_bytes(file_bytes(tone(44_100, rate=44_100), 44_100))
    mono = noise(9_600)
    sources = (tmp_path / "a.wav", mono, mono[None].numpy())
    audio = load(sources, sample_rate=48_000, target_rate=RATE)
    assert audio.lengths.tolist() == [24_000, 4_800, 4_800]
    assert audio.waveform.shape == (3, 2, 24_000)
    assert torch.equal(audio.waveform[1, 0], audio.waveform[1, 1])
    assert torch.equal(audio.waveform[1], audio.waveform[2])
    assert audio.waveform.is_contiguous()


def test_match_channels():
    mono = load(noise(N_TIME), sample_rate=RATE, target_rate=RATE)
    stereo = load(noise(2, N_TIME), sample_rate=RATE, target_rate=RATE)
    for a, b in (match_channels(mono, stereo), match_channels(stereo, mono)[::-1]):
        assert torch.equal(a.waveform, mono.waveform.repeat(1, 2, 1))
        assert torch.equal(b.waveform, stereo.waveform)
    assert match_channels(mono, mono)[0].waveform.shape[1] == 1


def test_length_mask():
    mask = length_mask(torch.tensor([1, 3]), 3)
    assert mask.tolist() == [[True, False, False], [True, True, True]]


def test_to_moves_every_tensor():
    audio = load(noise(N_TIME), sample_rate=RATE, target_rate=RATE).to("meta")
    assert isinstance(audio, AudioBatch)
    assert {audio.waveform.device.type, audio.lengths.device.type} == {"meta"}
