"""The one input check: what it refuses, and what it says of the likely mistake."""

from typing import Any

import numpy as np
import pytest
import torch

from pamt_metric.audio import check, load
from pamt_metric.errors import InputError
from tests.support.audio_files import N_TIME, RATE, file_bytes, noise, tone


def refused(samples, match, **options):
    options.setdefault("sample_rate", RATE)
    with pytest.raises(InputError, match=match):
        load(samples, target_rate=RATE, **options)
    if isinstance(samples, torch.Tensor):
        with pytest.raises(InputError, match=match):
            check(samples, **options)


def test_missing_rate():
    refused(noise(N_TIME), r"does not say its rate; give sample_rate= in Hz", sample_rate=None)


@pytest.mark.parametrize(
    ("rate", "hint"),
    [
        (44.1, r"got 44\.1; is it in kHz\?"),
        (48, r"got 48; is it in kHz\?"),
        (44_100.0, r"got 44100\.0; round it to an int"),
        (0, "got 0$"),
        (-24_000, "got -24000$"),
        (3_999, "got 3999$"),
        (384_001, "got 384001$"),
        (True, "got True"),
        ("44100", "got '44100'$"),
    ],
)
def test_implausible_rate(rate, hint):
    refused(noise(N_TIME), rf"sample_rate must be .* from 4000 to 384000, {hint}", sample_rate=rate)


def test_target_rate_is_checked():
    with pytest.raises(InputError, match="target_rate must be"):
        load(noise(N_TIME), sample_rate=RATE, target_rate=24)


def test_numpy_rate_is_an_int():
    rate: Any = np.int64(RATE)
    audio = load(noise(N_TIME), sample_rate=rate, target_rate=RATE)
    assert type(audio.sample_rate) is int


@pytest.mark.parametrize("shape", [(48_000, 2), (48_000, 1), (3, 48_000, 2), (4_800, 8)])
def test_time_is_not_the_last_axis(shape):
    turned = (*shape[:-2], shape[-1], shape[-2])
    refused(
        torch.zeros(shape),
        rf"time must be the last axis: shape \({shape[0]}, .*transpose it to "
        + str(turned).replace("(", r"\(").replace(")", r"\)"),
    )


def test_more_than_two_channels():
    refused(torch.zeros(6, N_TIME), "1 or 2 channels, got 6 .*downmix .*first axis is the batch")


@pytest.mark.parametrize("shape", [(), (1, 1, 1, N_TIME)])
def test_wrong_number_of_axes(shape):
    refused(torch.zeros(shape), r"must have shape \(time,\), \(channel, time\) or")


def test_no_channels():
    refused(torch.zeros(0, N_TIME), "no channels")


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 1, N_TIME)])
def test_empty(shape):
    refused(torch.zeros(shape), "is empty")


def test_too_short():
    refused(
        torch.zeros(2, 512),
        r"waveform needs at least 0\.1 s \(2400 samples at 24000 Hz\), got 512; is time the last",
    )
    refused(torch.zeros(2, 2399), "got 2399")
    assert load(torch.zeros(2400), sample_rate=RATE, target_rate=RATE).lengths.tolist() == [2400]


def test_too_short_item_is_named():
    refused(torch.zeros(3, 1, N_TIME), "item 1: waveform needs at", lengths=[9000, 300, 9000])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_not_finite(value):
    clip = noise(2, N_TIME)
    clip[1, 70] = clip[0, 80] = clip[0, 90] = value
    refused(clip, "waveform has 3 NaN or infinite values, the first at sample 70 of channel 1")
    refused(torch.stack([noise(2, N_TIME), clip]), "item 1: waveform has 3 NaN")


def test_float_at_integer_scale():
    refused(32_768 * noise(N_TIME), "looks like 16-bit sample values in float: divide by 32768")
    refused(2.0**31 * noise(N_TIME), "looks like 32-bit sample values in float: divide by 2")
    refused(np.full(N_TIME, -10.1), r"in about \[-1, 1\], got a peak of 10\.1")
    assert (
        load(torch.full((N_TIME,), 10.0), sample_rate=RATE, target_rate=RATE).waveform.max() == 10
    )


def test_sixteen_bits_in_int32():
    samples = (32_768 * noise(N_TIME)).to(torch.int32)
    refused(samples, "looks like 16-bit samples in a 32-bit array: convert to int16")
    silence = load(torch.zeros_like(samples), sample_rate=RATE, target_rate=RATE)
    assert silence.waveform.count_nonzero() == 0


@pytest.mark.parametrize(
    ("dtype", "hint"),
    [
        ("int64", "convert to int16"),
        ("uint8", "its zero at 128"),
        ("int8", "divide by 128"),
        ("bool", "mask"),
        ("complex64", "spectrum"),
        ("float16", "convert to float32"),
    ],
)
def test_dtype(dtype, hint):
    match = rf"must be float32, float64, int16 or int32, got {dtype}; .*{hint}"
    refused(np.zeros(N_TIME, dtype), match)
    refused(torch.zeros(N_TIME, dtype=getattr(torch, dtype)), match)


def test_ragged_object_array():
    ragged = np.empty(2, object)
    ragged[:] = [np.zeros(3), np.zeros(4)]
    refused(ragged, "got object; .*Give a list of arrays")


@pytest.mark.parametrize(
    ("lengths", "match"),
    [
        ([9000], r"one entry for each of 2 items, got shape \(1,\)"),
        ([9000, 9000, 9000], r"got shape \(3,\)"),
        ([9000, N_TIME + 1], "item 1: its length must be from 1 to 12000 samples, got 12001"),
        ([0, 9000], "item 0: its length must be from 1 to 12000 samples, got 0"),
        ([-1, 9000], "item 0: .*got -1"),
        ([0.5, 1.0], "whole numbers of samples, got torch.float32; are they shares"),
        ([True, True], "got torch.bool"),
    ],
)
def test_lengths(lengths, match):
    refused(torch.zeros(2, 1, N_TIME), match, lengths=lengths)


@pytest.mark.parametrize(
    ("source", "match"),
    [
        (3.0, "got float; convert it with numpy.asarray"),
        (None, "got NoneType"),
        (b"RIFF", r"got bytes; wrap the bytes of a file in io\.BytesIO"),
        ([], "got an empty list"),
        ([0.1, 0.2], "item 0: expected a path"),
        ([[np.zeros(N_TIME)]], "item 0: .*got list"),
        ([np.zeros(N_TIME), np.zeros((2, 1, N_TIME))], "item 1: .*got three"),
    ],
)
def test_not_a_source(source, match):
    refused(source, match)


def test_list_takes_no_lengths():
    refused([np.zeros(N_TIME)], "the clips of a list have their own", lengths=[N_TIME])


def test_list_names_item_and_path(tmp_path):
    (tmp_path / "a.wav").write_bytes(file_bytes(tone()))
    sources = [tmp_path / "a.wav", tmp_path / "b.wav"]
    with pytest.raises(InputError, match=r"item 1: '.*b\.wav': there is no such file"):
        load(sources, target_rate=RATE)


def test_list_on_two_devices():
    # 'meta' stands in for an accelerator; its values cannot be checked, so join by hand.
    from pamt_metric.audio import _joined

    clip = load(noise(N_TIME), sample_rate=RATE, target_rate=RATE)
    with pytest.raises(InputError, match="must be on one device, got cpu, meta"):
        _joined([clip, clip.to("meta")])
