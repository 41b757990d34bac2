"""Audio in: decoding, the one input check, resampling, batches."""

import io
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from julius.resample import resample_frac

from pamt_metric.audio import AudioBatch, check, length_mask, load, match_channels, resample
from pamt_metric.errors import InputError

RATE = 24_000
N_TIME = 12_000

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="ffmpeg is not on this machine's PATH"
)


def tone(
    n_time: int = N_TIME, *, rate: int = RATE, n_channels: int = 2, frequency: float = 440.0
) -> np.ndarray:
    """A tone, 6 dB softer in each further channel; (channel, time), float32."""
    gain = 0.5 ** np.arange(1, n_channels + 1)
    phase = 2 * np.pi * frequency * np.arange(n_time) / rate
    return (gain[:, None] * np.sin(phase)).astype(np.float32)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(shape, generator=generator, dtype=dtype)


def file_bytes(
    samples: np.ndarray, rate: int = RATE, *, container: str = "WAV", subtype: str | None = None
) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples.T, rate, format=container, subtype=subtype)
    return file.getvalue()


def ffmpeg(*arguments: object) -> None:
    command = ["ffmpeg", "-nostdin", "-y", "-v", "error", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


# Decoding


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        ("wav", "PCM_16", 2**-15),  # half a step, rounded up for soundfile's truncation
        ("wav", "PCM_24", 2**-23),
        ("wav", "FLOAT", 0.0),
        ("flac", "PCM_16", 2**-15),
        ("aiff", "PCM_16", 2**-15),
        ("ogg", "VORBIS", 0.05),  # lossy: 10 % of the peak, away from the ends
        ("mp3", "MPEG_LAYER_III", 0.05),
    ],
)
def test_formats_keep_rate_length_and_values(tmp_path, suffix, subtype, tolerance):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone().T, RATE, subtype=subtype)
    audio = load(path, target_rate=RATE)
    assert audio.sample_rate == RATE
    assert audio.lengths.tolist() == [N_TIME]
    assert not audio.is_batch
    assert audio.waveform.dtype == torch.float32
    assert audio.waveform.shape == (1, 2, N_TIME)
    error = (audio.waveform[0] - torch.from_numpy(tone())).abs()
    # A codec smears the tone's abrupt ends; a shift of one sample would be an error of 0.058.
    kept = slice(1_500, -1_500) if suffix in {"ogg", "mp3"} else slice(None)
    assert error[:, kept].max() <= tolerance


def test_path_string_and_file_object_agree(tmp_path):
    path = tmp_path / "tone.wav"
    path.write_bytes(file_bytes(tone()))
    expected = load(path, target_rate=RATE).waveform
    assert torch.equal(load(str(path), target_rate=RATE).waveform, expected)
    assert torch.equal(load(io.BytesIO(path.read_bytes()), target_rate=RATE).waveform, expected)
    with path.open("rb") as file:
        assert torch.equal(load(file, target_rate=RATE).waveform, expected)
    assert load(path, target_rate=RATE, sample_rate=RATE).sample_rate == RATE


def test_mono_file_stays_mono():
    assert load(io.BytesIO(file_bytes(tone(n_channels=1))), target_rate=RATE).waveform.shape == (
        1,
        1,
        N_TIME,
    )


@pytest.mark.parametrize(
    ("rate", "n_time", "expected"),
    [
        (44_100, 12_001, 6532),  # of 6531.16: soxr by itself gives 6531
        (48_000, 12_001, 6001),
        (16_000, 12_001, 18_002),
    ],
)
def test_file_resamples_to_ceiled_length(rate, n_time, expected):
    audio = load(io.BytesIO(file_bytes(tone(n_time, rate=rate), rate)), target_rate=RATE)
    assert audio.lengths.tolist() == [expected]
    assert audio.waveform.shape[-1] == expected
    ideal = torch.from_numpy(tone(expected))
    # Away from the ends, where the tone starts and stops: 16-bit rounding and the filter's ripple.
    assert (audio.waveform[0] - ideal)[:, 500:-500].abs().max() < 1e-4


def test_file_and_its_samples_resample_alike():
    samples = noise(1, 44_100)
    file = io.BytesIO(file_bytes(samples.numpy(), 44_100, subtype="FLOAT"))
    from_file = load(file, target_rate=RATE).waveform
    from_tensor = load(samples, sample_rate=44_100, target_rate=RATE).waveform
    # White noise to the Nyquist frequency is the hardest case: -45 dB; julius' defaults: -24 dB.
    error_db = 10 * torch.log10((from_file - from_tensor).square().mean() / samples.var())
    assert error_db < -42


@needs_ffmpeg
@pytest.mark.parametrize(("suffix", "codec"), [("m4a", "aac"), ("mka", "libopus")])
def test_ffmpeg_decodes_the_rest(tmp_path, suffix, codec):
    source, path = tmp_path / "tone.wav", tmp_path / f"tone.{suffix}"
    source.write_bytes(file_bytes(tone(48_000, rate=48_000), 48_000))
    ffmpeg("-i", source, "-c:a", codec, "-b:a", "192k", path)
    audio = load(path, target_rate=48_000)
    # AAC comes in blocks of 1024 samples, the last filled up.
    assert 48_000 <= audio.lengths.item() <= 48_000 + 2 * 1024
    middle = slice(10_000, 40_000)
    expected = torch.from_numpy(tone(48_000, rate=48_000))
    assert (audio.waveform[0, :, middle] - expected[:, middle]).abs().max() < 0.05  # lossy
    again = load(io.BytesIO(path.read_bytes()), target_rate=48_000)
    assert torch.equal(again.waveform, audio.waveform)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["-x.m4a", "http:x.m4a"])
def test_ffmpeg_takes_odd_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tone.wav").write_bytes(file_bytes(tone()))
    ffmpeg("-i", "tone.wav", tmp_path / "x.m4a")
    (tmp_path / "x.m4a").rename(tmp_path / name)
    assert load(name, target_rate=RATE).waveform.shape[1] == 2


@needs_ffmpeg
def test_variable_rate_mp3_without_header_is_read_whole(tmp_path):
    # libsndfile estimates the length from the first frames' bit rate, here too short by half.
    loud_first = noise(1, 3 * 44_100).numpy()
    loud_first[:, 44_100:] *= 1e-6
    source, path = tmp_path / "a.wav", tmp_path / "a.mp3"
    source.write_bytes(file_bytes(loud_first, 44_100))
    ffmpeg("-i", source, "-q:a", 2, "-write_xing", 0, path)
    assert soundfile.info(path).frames < 2 * 44_100
    assert load(path, target_rate=44_100).lengths.item() >= 3 * 44_100


@needs_ffmpeg
def test_constant_rate_mp3_without_header_needs_no_ffmpeg(tmp_path, monkeypatch):
    source, path = tmp_path / "a.wav", tmp_path / "a.mp3"
    source.write_bytes(file_bytes(tone(44_100, rate=44_100), 44_100))
    ffmpeg("-i", source, "-b:a", "128k", "-write_xing", 0, path)
    monkeypatch.setenv("PATH", "")
    assert load(path, target_rate=44_100).lengths.item() >= 44_100


@needs_ffmpeg
def test_streamed_files_of_no_stated_length(tmp_path):
    source = tmp_path / "a.wav"
    source.write_bytes(file_bytes(tone()))
    for container in ("wav", "flac"):
        command = ["ffmpeg", "-v", "error", "-i", source, "-f", container, "-"]
        stream = subprocess.run(command, check=True, capture_output=True).stdout
        audio = load(io.BytesIO(stream), target_rate=RATE)
        assert torch.equal(audio.waveform, load(source, target_rate=RATE).waveform)


# Files that cannot be used


def test_missing_file_names_the_path(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.wav.*there is no such file"):
        load(tmp_path / "nothing.wav", target_rate=RATE)


def test_directory(tmp_path):
    with pytest.raises(InputError, match="got a directory"):
        load(tmp_path, target_rate=RATE)


def test_empty_file(tmp_path):
    (tmp_path / "a.wav").touch()
    with pytest.raises(InputError, match=r"a\.wav.*the file is empty"):
        load(tmp_path / "a.wav", target_rate=RATE)


def test_file_object_read_before():
    file = io.BytesIO(file_bytes(tone()))
    load(file, target_rate=RATE)
    with pytest.raises(InputError, match="was a file object read before"):
        load(file, target_rate=RATE)


def test_text_file_object():
    with pytest.raises(InputError, match="text mode"):
        load(io.StringIO("RIFF"), target_rate=RATE)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", ["notes.txt", "notes.wav", "notes.raw"])
def test_not_audio(tmp_path, monkeypatch, name):
    path = tmp_path / name
    path.write_text("no music here\n" * 100)
    if shutil.which("ffmpeg") is not None:
        with pytest.raises(InputError, match=r"notes.*neither soundfile nor ffmpeg.*is it audio"):
            load(path, target_rate=RATE)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="ffmpeg would be needed"):
        load(path, target_rate=RATE)


def test_wav_of_no_samples():
    with pytest.raises(InputError, match="is empty"):
        load(io.BytesIO(file_bytes(tone(0))), target_rate=RATE)


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("RF64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_file_cut_short(tmp_path, container, subtype, share):
    content = file_bytes(noise(2, 48_000).numpy(), container=container, subtype=subtype)
    path = tmp_path / "cut"
    path.write_bytes(content)
    assert load(path, target_rate=RATE).lengths.item() == 48_000
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"'.*cut': the file is (damaged or )?cut short"):
        load(path, target_rate=RATE)


def test_cut_short_message_counts_bytes():
    content = file_bytes(tone(), subtype="PCM_16")
    with pytest.raises(InputError, match=r"declares 48044 bytes and holds 48000"):
        load(io.BytesIO(content[:48_000]), target_rate=RATE)


def test_cut_short_behind_a_chunk_of_odd_size():
    content = file_bytes(tone(), subtype="PCM_16")
    content = content[:12] + b"note" + (5).to_bytes(4, "little") + b"hello\0" + content[12:]
    assert load(io.BytesIO(content), target_rate=RATE).lengths.item() == N_TIME
    with pytest.raises(InputError, match="cut short"):
        load(io.BytesIO(content[:40_000]), target_rate=RATE)


def test_mp3_cut_short_behind_a_long_tag():
    # ID3v2 of 10 + 10 000 bytes; its size comes in bytes of 7 bits.
    tag = b"ID3\4\0\0" + bytes([0, 0, 10_000 >> 7, 10_000 & 127]) + bytes(10_000)
    content = tag + file_bytes(tone(48_000), container="MP3")
    assert load(io.BytesIO(content), target_rate=RATE).lengths.item() == 48_000
    with pytest.raises(InputError, match="cut short"):
        load(io.BytesIO(content[: -len(content) // 8]), target_rate=RATE)


def test_damaged_flac():
    content = bytearray(file_bytes(noise(2, 48_000).numpy(), container="FLAC"))
    content[len(content) // 2 : len(content) // 2 + 2000] = bytes(2000)
    with pytest.raises(InputError, match="damaged or cut short"):
        load(io.BytesIO(bytes(content)), target_rate=RATE)


@needs_ffmpeg
def test_m4a_cut_short(tmp_path):
    source, path = tmp_path / "a.wav", tmp_path / "a.m4a"
    source.write_bytes(file_bytes(noise(1, 48_000).numpy()))
    ffmpeg("-i", source, "-movflags", "+faststart", path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="ffmpeg says"):
        load(path, target_rate=RATE)


def test_file_of_another_rate_than_given():
    with pytest.raises(InputError, match="sample_rate=44100 was given, but the file says 24000 Hz"):
        load(io.BytesIO(file_bytes(tone())), sample_rate=44_100, target_rate=RATE)


def test_file_of_six_channels_names_the_path(tmp_path):
    path = tmp_path / "surround.wav"
    path.write_bytes(file_bytes(tone(n_channels=6)))
    with pytest.raises(InputError, match=r"surround\.wav.*got 6 in shape .*downmix"):
        load(path, target_rate=RATE)


def test_file_takes_no_lengths():
    with pytest.raises(InputError, match="a file has its own length"):
        load(io.BytesIO(file_bytes(tone())), target_rate=RATE, lengths=[100])


# The input check


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


# Arrays, tensors, batches


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


# Resampling and gradients


@pytest.mark.parametrize("rates", [(44_100, 24_000), (24_000, 48_000), (48_000, 24_000)])
def test_resample_agrees_with_julius_away_from_the_ends(rates):
    samples = noise(2, 3, 9_999)
    ours = resample(samples, *rates)
    theirs = resample_frac(samples, *rates, zeros=64, rolloff=0.956, full=True)
    assert ours.shape == theirs.shape
    assert (ours - theirs)[..., 500:-500].abs().max() < 1e-6  # float32 rounding


@pytest.mark.parametrize("rates", [(44_100, 44_101), (24_001, 16_000), (11_025, 24_001)])
def test_resample_between_awkward_rates(rates):
    old, new = rates
    n_time = 12_345
    out = resample(torch.from_numpy(tone(n_time, rate=old, n_channels=1)), old, new)
    expected = torch.from_numpy(tone(-(-n_time * new // old), rate=new, n_channels=1))
    assert out.shape == expected.shape
    # The filter's ripple, the same as at other rates.
    assert (out - expected)[:, 500:-500].abs().max() < 1e-4


@pytest.mark.parametrize("new_rate", [24_000, 24_001])
def test_resample_removes_what_would_alias(new_rate):
    high = torch.from_numpy(tone(24_000, rate=48_000, frequency=13_000.0))
    assert resample(high, 48_000, new_rate)[:, 200:-200].abs().max() < 1e-3  # -54 dB of 0.5


def test_resample_ignores_autocast():
    samples = noise(1, 9_999)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = resample(samples, 44_100, 24_000)
    exact = resample(samples.double(), 44_100, 24_000)
    assert (under_autocast - exact).abs().max() < 1e-6  # float32 rounding; bfloat16: 1e-3


def test_gradient_after_inference_mode_at_the_same_rate():
    with torch.inference_mode():
        resample(noise(4_000), 32_000, 24_000)
    samples = noise(4_000).requires_grad_()
    resample(samples, 32_000, 24_000).square().sum().backward()
    assert samples.grad is not None


@pytest.mark.parametrize("rates", [(12, 7), (7, 12), (2, 1), (4_001, 4_000)])
def test_resample_gradient_is_its_adjoint(rates):
    samples = noise(2, 400, dtype=torch.float64).requires_grad_()
    out = resample(samples, *rates)
    projection = (out * noise(*out.shape, seed=1, dtype=torch.float64)).sum()
    projection.backward()
    # A linear map A: <A x, v> = <x, A' v>, where A' v is the gradient. float64 rounding.
    assert samples.grad is not None
    assert torch.isclose((samples.grad * samples).sum(), projection, rtol=1e-10, atol=0)


@pytest.mark.parametrize("rate", [RATE, 44_100, 48_000, 24_001])
def test_gradient_reaches_the_tensor_and_stops_at_its_length(rate):
    samples = noise(2, 2, N_TIME)
    samples[0, :, 9_000:] = float("nan")
    samples.requires_grad_()
    audio = load(samples, sample_rate=rate, target_rate=RATE, lengths=[9_000, N_TIME])
    audio.waveform.square().sum().backward()
    assert samples.grad is not None
    assert samples.grad.isfinite().all()
    assert samples.grad[0, :, 9_000:].count_nonzero() == 0
    assert samples.grad[0, :, :9_000].abs().amax(-1).min() > 0
    assert samples.grad[1].abs().amax(-1).min() > 0
