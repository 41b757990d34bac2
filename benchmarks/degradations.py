"""What happens to recordings in the world, as pure functions with a knob each.

All take a float32 waveform `(channel, time)` in [-1, 1] and its sample rate in Hz, and return
float32 of the same shape, aligned in time with the original (except `delay`, and `tempo`, whose
length changes). Those with chance in them take a `numpy.random.Generator`. Codecs run ffmpeg;
pitch and tempo an ffmpeg that was built with Rubber Band, as Debian's is.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage, signal

from pamt_metric.errors import ConfigError, InputError, PamtError

# A second of work on an idle machine; a busy one may need minutes.
FFMPEG_TIMEOUT_S = 600.0
# Low-pass: transition from pass band to 60 dB down, as a share of the cut-off.
TRANSITION_SHARE = 0.1
STOP_BAND_DB = 80.0
# Sound-pressure decay over the time that gives reverberation its name.
RT60_DB = 60.0
PACKET_S = 0.02


def white_noise(
    waveform: np.ndarray, sample_rate: int, *, snr_db: float, generator: np.random.Generator
) -> np.ndarray:
    """Adds Gaussian noise, independent per channel, at this ratio of total powers in dB.

    Raises:
        InputError: The waveform is silent, so no ratio exists.
    """
    power = np.mean(np.square(waveform, dtype=np.float64))
    if power == 0.0:
        raise InputError("a silent waveform has no signal-to-noise ratio")
    noise = generator.standard_normal(waveform.shape)
    noise *= np.sqrt(power / np.mean(noise**2)) * 10.0 ** (-snr_db / 20.0)
    return _float32(waveform + noise)


def low_pass(waveform: np.ndarray, sample_rate: int, *, cutoff_hz: float) -> np.ndarray:
    """Removes what lies above `cutoff_hz` (-6 dB there) with a linear-phase filter, delay removed.

    Raises:
        InputError: The cut-off is not below half the sample rate.
    """
    if not 0.0 < cutoff_hz < sample_rate / 2:
        raise InputError(
            f"cutoff_hz must lie between 0 and {sample_rate / 2} (half the rate), got {cutoff_hz}"
        )
    width = TRANSITION_SHARE * cutoff_hz / (sample_rate / 2)
    n_taps, beta = signal.kaiserord(STOP_BAND_DB, width)
    half = int(n_taps) // 2
    taps = np.sinc(2.0 * cutoff_hz / sample_rate * np.arange(-half, half + 1))
    taps *= np.kaiser(2 * half + 1, beta)
    return _filter_without_delay(waveform, taps / taps.sum())


def high_pass(waveform: np.ndarray, sample_rate: int, *, cutoff_hz: float) -> np.ndarray:
    """Removes what lies below `cutoff_hz`: all that `low_pass` leaves there."""
    return _float32(waveform - low_pass(waveform, sample_rate, cutoff_hz=cutoff_hz))


def equalise(
    waveform: np.ndarray, sample_rate: int, *, gains_db: Mapping[float, float]
) -> np.ndarray:
    """Boosts and cuts without delay or phase shift.

    Args:
        waveform: `(channel, time)`.
        sample_rate: In Hz.
        gains_db: Frequency in Hz to gain in dB; straight lines over log frequency between them, and
            the outermost gains beyond them.
    """
    frequencies = np.array(sorted(gains_db))
    # Room for the filter to ring: without it, the end would wrap round into the beginning.
    n_fft = 2 * waveform.shape[-1]
    bins = np.maximum(np.fft.rfftfreq(n_fft, 1 / sample_rate), frequencies[0])
    gain_db = np.interp(np.log(bins), np.log(frequencies), [gains_db[f] for f in frequencies])
    spectrum = np.fft.rfft(waveform, n_fft) * 10.0 ** (gain_db / 20.0)
    return _float32(np.fft.irfft(spectrum, n_fft)[:, : waveform.shape[-1]])


def clip(waveform: np.ndarray, sample_rate: int, *, fraction_of_peak: float) -> np.ndarray:
    """Cuts every sample to at most this fraction of the largest absolute sample."""
    limit = fraction_of_peak * np.abs(waveform).max()
    return _float32(np.clip(waveform, -limit, limit))


def quantise(waveform: np.ndarray, sample_rate: int, *, bits: int) -> np.ndarray:
    """Rounds to `2 ** bits` levels over [-1, 1), without dither."""
    steps = 2.0 ** (bits - 1)
    return _float32(np.clip(np.round(waveform * steps), -steps, steps - 1) / steps)


def gain(waveform: np.ndarray, sample_rate: int, *, gain_db: float) -> np.ndarray:
    """Louder or softer by this many dB; nothing is clipped."""
    return _float32(waveform * 10.0 ** (gain_db / 20.0))


def delay(waveform: np.ndarray, sample_rate: int, *, delay_ms: float) -> np.ndarray:
    """Later by `delay_ms`, to the nearest sample, or earlier if negative; zeros move in."""
    shift = round(delay_ms * sample_rate / 1000.0)
    shifted = np.zeros_like(waveform, dtype=np.float32)
    n_samples = waveform.shape[-1] - abs(shift)
    if n_samples > 0:
        target, source = max(shift, 0), max(-shift, 0)
        shifted[:, target : target + n_samples] = waveform[:, source : source + n_samples]
    return shifted


def reverb(
    waveform: np.ndarray,
    sample_rate: int,
    *,
    rt60_s: float,
    wet: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Mixes in a diffuse room: noise that decays by 60 dB within `rt60_s`, independent per channel.

    Args:
        waveform: `(channel, time)`.
        sample_rate: In Hz.
        rt60_s: Reverberation time in seconds.
        wet: Share of the room, from 0 (none) to 1 (no direct sound); the room's response has the
            energy of the direct sound.
        generator: Draws the room.
    """
    n_taps = max(1, round(rt60_s * sample_rate))
    decay = 10.0 ** (-RT60_DB / 20.0 * np.arange(n_taps) / (rt60_s * sample_rate))
    response = generator.standard_normal((len(waveform), n_taps)) * decay
    response /= np.sqrt(np.sum(response**2, axis=-1, keepdims=True))
    room = signal.fftconvolve(waveform, response, axes=-1)[:, : waveform.shape[-1]]
    return _float32((1.0 - wet) * waveform + wet * room)


def wow(waveform: np.ndarray, sample_rate: int, *, depth: float, rate_hz: float) -> np.ndarray:
    """Speed that swings sinusoidally by +-`depth` (0.01 = 1 %) `rate_hz` times a second."""
    time = np.arange(waveform.shape[-1])
    omega = 2.0 * np.pi * rate_hz / sample_rate
    position = time + depth / omega * np.sin(omega * time)
    warped = [
        ndimage.map_coordinates(channel.astype(np.float64), [position], order=3, mode="nearest")
        for channel in waveform
    ]
    return _float32(np.stack(warped))


def packet_loss(
    waveform: np.ndarray, sample_rate: int, *, loss: float, generator: np.random.Generator
) -> np.ndarray:
    """Silences this share of all packets of 20 ms, in all channels at once, without concealment."""
    n_packet = round(PACKET_S * sample_rate)
    n_packets = -(-waveform.shape[-1] // n_packet)
    lost = np.zeros(n_packets, dtype=bool)
    lost[generator.permutation(n_packets)[: round(loss * n_packets)]] = True
    kept = ~np.repeat(lost, n_packet)[: waveform.shape[-1]]
    return _float32(waveform * kept)


@dataclass(frozen=True)
class Codec:
    """How ffmpeg writes one kind of file.

    Attributes:
        encoder: ffmpeg's name of the encoder.
        container: File suffix; a container that stores the encoder's delay, so that decoding starts
            with the first original sample.
        sample_rates: Rates in Hz that it can code.
    """

    encoder: str
    container: str
    sample_rates: tuple[int, ...]


MPEG_RATES = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
CODECS = {
    "mp3": Codec("libmp3lame", "mp3", MPEG_RATES),
    "aac": Codec("aac", "m4a", MPEG_RATES),
    "opus": Codec("libopus", "opus", (48_000,)),
    "vorbis": Codec("libvorbis", "ogg", MPEG_RATES),
}


def codec(waveform: np.ndarray, sample_rate: int, *, name: str, kbps: float) -> np.ndarray:
    """Encodes and decodes at a bit rate in kbit/s for all channels together; delay removed.

    Rates that the codec cannot carry are resampled to the next one above and back.

    Raises:
        ConfigError: No codec has that name.
        PamtError: ffmpeg is not installed, or cannot do this: Vorbis has no 32 kbit/s in stereo.
    """
    if name not in CODECS:
        raise ConfigError(f"unknown codec {name!r}; there are {', '.join(CODECS)}")
    chosen = CODECS[name]
    coded_rate = next((r for r in chosen.sample_rates if r >= sample_rate), chosen.sample_rates[-1])
    with tempfile.TemporaryDirectory() as folder:
        coded = Path(folder) / f"coded.{chosen.container}"
        raw = _raw_format(waveform, sample_rate)
        encoding = ["-ar", str(coded_rate), "-c:a", chosen.encoder, "-b:a", f"{kbps}k"]
        _ffmpeg([*raw, "-i", "pipe:0", *encoding, "-map_metadata", "-1", str(coded)], waveform)
        decoded = _ffmpeg(["-i", str(coded), *raw, "pipe:1"])
    return _same_length(_from_raw(decoded, len(waveform)), waveform.shape[-1])


mp3 = partial(codec, name="mp3")


# Rubber Band keeps what happens when it happens; ffmpeg's own atempo moves it by 10 to 20 ms.
def tempo(waveform: np.ndarray, sample_rate: int, *, rate: float) -> np.ndarray:
    """Plays `rate` times as fast at the same pitch; the length changes accordingly."""
    return _ffmpeg_filter(waveform, sample_rate, f"rubberband=tempo={rate}")


def pitch_shift(waveform: np.ndarray, sample_rate: int, *, semitones: float) -> np.ndarray:
    """Higher, or lower if negative, by this many semitones at the same tempo and length."""
    shifted = _ffmpeg_filter(waveform, sample_rate, f"rubberband=pitch={2.0 ** (semitones / 12.0)}")
    return _same_length(shifted, waveform.shape[-1])


def _ffmpeg_filter(waveform: np.ndarray, sample_rate: int, chain: str) -> np.ndarray:
    raw = _raw_format(waveform, sample_rate)
    output = _ffmpeg([*raw, "-i", "pipe:0", "-af", chain, *raw, "pipe:1"], waveform)
    return _from_raw(output, len(waveform))


def _raw_format(waveform: np.ndarray, sample_rate: int) -> list[str]:
    return ["-f", "f32le", "-ar", str(sample_rate), "-ac", str(len(waveform))]


def _ffmpeg(arguments: list[str], waveform: np.ndarray | None = None) -> bytes:
    executable = shutil.which("ffmpeg")
    if executable is None:
        raise PamtError("codecs, pitch and tempo need ffmpeg: install it and put it on the PATH")
    given = None if waveform is None else _float32(waveform.T).astype("<f4").tobytes()
    command = [executable, "-nostdin", "-loglevel", "error", "-y", "-threads", "1"]
    try:
        done = subprocess.run(
            [*command, *arguments],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            timeout=FFMPEG_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PamtError(
            f"ffmpeg {' '.join(arguments)} took longer than {FFMPEG_TIMEOUT_S:g} s; is the machine "
            "busy?"
        ) from None
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise PamtError(
            f"ffmpeg {' '.join(arguments)} failed: {reason[0] if reason else done.returncode}; "
            "can this build of ffmpeg, and this codec at this bit rate, do that?"
        )
    return done.stdout


def _from_raw(output: bytes, n_channels: int) -> np.ndarray:
    return np.ascontiguousarray(np.frombuffer(output, dtype="<f4").reshape(-1, n_channels).T)


def _same_length(waveform: np.ndarray, n_samples: int) -> np.ndarray:
    missing = max(0, n_samples - waveform.shape[-1])
    return _float32(np.pad(waveform[:, :n_samples], ((0, 0), (0, missing))))


def _filter_without_delay(waveform: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Convolution with an odd, symmetric filter, centred."""
    full = signal.fftconvolve(waveform.astype(np.float64), taps[None], axes=-1)
    half = len(taps) // 2
    return _float32(full[:, half : half + waveform.shape[-1]])


def _float32(waveform: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(waveform, dtype=np.float32)
