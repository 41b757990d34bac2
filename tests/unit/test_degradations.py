"""Degradations: as strong as asked, aligned, and the same each time."""

import math

import numpy as np
import pytest
from scipy import signal

from benchmarks import degradations
from pamt_metric.errors import ConfigError, InputError, PamtError
from tests.support.audio_files import needs_ffmpeg

SAMPLE_RATE = 44_100


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def stereo_noise(n_samples: int = SAMPLE_RATE, *, below_hz: float | None = None) -> np.ndarray:
    noise = 0.1 * np.random.default_rng(1).standard_normal((2, n_samples))
    if below_hz is not None:
        noise = signal.sosfiltfilt(
            signal.butter(4, below_hz, fs=SAMPLE_RATE, output="sos"), noise, axis=-1
        )
    return noise.astype(np.float32)


def sine(frequency: float, *, duration_s: float = 1.0, amplitude: float = 0.5) -> np.ndarray:
    time = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * frequency * time))[None].astype(np.float32)


def db(ratio: float) -> float:
    return 20.0 * math.log10(ratio)


def rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


def middle(waveform: np.ndarray) -> np.ndarray:
    """Away from the ends, where filters have not settled."""
    n_samples = waveform.shape[-1]
    return waveform[:, n_samples // 4 : -n_samples // 4]


def lag(original: np.ndarray, copy: np.ndarray) -> int:
    """Samples by which the copy is late."""
    correlation = signal.correlate(copy[0], original[0], method="fft")
    return int(np.argmax(correlation)) - (original.shape[-1] - 1)


class TestWhiteNoise:
    @pytest.mark.parametrize("snr_db", [60.0, 20.0, 0.0])
    def test_has_the_ratio_that_was_asked(
        self, snr_db: float, generator: np.random.Generator
    ) -> None:
        waveform = sine(440.0)
        noisy = degradations.white_noise(waveform, SAMPLE_RATE, snr_db=snr_db, generator=generator)
        assert db(rms(waveform) / rms(noisy - waveform)) == pytest.approx(snr_db, abs=0.1)

    def test_is_white_independent_and_seeded(self) -> None:
        waveform = np.repeat(sine(440.0), 2, axis=0)
        first, second = (
            degradations.white_noise(
                waveform, SAMPLE_RATE, snr_db=0.0, generator=np.random.default_rng(3)
            )
            for _ in range(2)
        )
        assert np.array_equal(first, second)
        noise = first - waveform
        # 44100 samples: a correlation of independent noise stays below 3 / sqrt(44100) = 0.014.
        assert abs(np.corrcoef(noise)[0, 1]) < 0.014
        spectrum = np.abs(np.fft.rfft(noise[0])) ** 2
        low, high = np.split(spectrum[1:], [len(spectrum) // 2])
        assert low.mean() == pytest.approx(high.mean(), rel=0.05)

    def test_refuses_silence(self, generator: np.random.Generator) -> None:
        with pytest.raises(InputError, match="silent"):
            degradations.white_noise(np.zeros((1, 9)), SAMPLE_RATE, snr_db=0.0, generator=generator)


class TestLowPass:
    @pytest.mark.parametrize("cutoff_hz", [3500.0, 12_000.0])
    def test_passes_below_and_stops_above_without_delay(self, cutoff_hz: float) -> None:
        low, at, high = (
            middle(degradations.low_pass(sine(f), SAMPLE_RATE, cutoff_hz=cutoff_hz))
            for f in (0.9 * cutoff_hz, cutoff_hz, 1.1 * cutoff_hz)
        )
        # In phase with the original, or the difference would not vanish.
        assert np.abs(low - middle(sine(0.9 * cutoff_hz))).max() < 1e-3
        assert db(rms(at) / rms(sine(cutoff_hz))) == pytest.approx(-6.0, abs=0.3)
        assert db(rms(high) / rms(sine(cutoff_hz))) < -60.0

    def test_refuses_a_cutoff_beyond_half_the_rate(self) -> None:
        with pytest.raises(InputError, match="between 0 and 8000"):
            degradations.low_pass(sine(100.0), 16_000, cutoff_hz=8000.0)


class TestEqualise:
    def test_has_the_gains_that_were_asked_without_phase_shift(self) -> None:
        gains = {250.0: 0.0, 1000.0: 6.0, 4000.0: -12.0}
        for frequency, gain_db in {**gains, 500.0: 3.0, 8000.0: -12.0}.items():
            waveform = sine(frequency)
            equalised = degradations.equalise(waveform, SAMPLE_RATE, gains_db=gains)
            expected = 10 ** (gain_db / 20) * middle(waveform)
            # 0.5 % of the amplitude: the sine's own sidelobes see a sloping gain.
            assert np.abs(middle(equalised) - expected).max() < 0.005

    def test_does_not_wrap_the_end_into_the_beginning(self) -> None:
        click = np.zeros((1, 4096), np.float32)
        click[0, -1] = 1.0
        equalised = degradations.equalise(click, SAMPLE_RATE, gains_db={1000.0: 0.0, 2000.0: -12.0})
        assert np.abs(equalised[0, :1000]).max() < 1e-4


class TestLevelAndTime:
    def test_clip_limits_at_a_fraction_of_the_peak(self) -> None:
        clipped = degradations.clip(sine(100.0), SAMPLE_RATE, fraction_of_peak=0.25)
        assert np.abs(clipped).max() == pytest.approx(0.125, rel=1e-3)
        unclipped = np.abs(sine(100.0)) < 0.12
        assert np.array_equal(clipped[unclipped], sine(100.0)[unclipped])

    @pytest.mark.parametrize("bits", [4, 8, 12])
    def test_quantise_has_the_textbook_noise(self, bits: int) -> None:
        # The largest sine that does not reach the missing level at +1.
        amplitude = 1.0 - 2.0 ** (1 - bits)
        waveform = sine(997.0, amplitude=amplitude)
        error = degradations.quantise(waveform, SAMPLE_RATE, bits=bits) - waveform
        expected = 6.02 * bits + 1.76 + db(amplitude)
        # Few bits leave the rounding noise less uniform than the formula takes it to be.
        assert db(rms(waveform) / rms(error)) == pytest.approx(expected, abs=0.6)

    def test_quantise_stays_in_range(self) -> None:
        quantised = degradations.quantise(np.array([[1.0, -1.0]]), SAMPLE_RATE, bits=3)
        assert quantised.tolist() == [[0.75, -1.0]]

    def test_gain_is_in_decibels(self) -> None:
        louder = degradations.gain(sine(100.0), SAMPLE_RATE, gain_db=6.0)
        assert db(rms(louder) / rms(sine(100.0))) == pytest.approx(6.0, abs=1e-3)

    @pytest.mark.parametrize(("delay_ms", "expected"), [(10.0, 441), (-10.0, -441), (0.0, 0)])
    def test_delay_moves_by_milliseconds(self, delay_ms: float, expected: int) -> None:
        waveform = stereo_noise(4410)
        delayed = degradations.delay(waveform, SAMPLE_RATE, delay_ms=delay_ms)
        assert delayed.shape == waveform.shape
        assert lag(waveform, delayed) == expected
        assert np.count_nonzero(delayed[0]) == 4410 - abs(expected)

    def test_delay_beyond_the_end_leaves_silence(self) -> None:
        assert not degradations.delay(stereo_noise(100), SAMPLE_RATE, delay_ms=1000.0).any()


class TestReverb:
    def test_decays_by_60_db_in_its_time(self, generator: np.random.Generator) -> None:
        click = np.zeros((2, SAMPLE_RATE), np.float32)
        click[:, 0] = 1.0
        room = degradations.reverb(click, SAMPLE_RATE, rt60_s=0.5, wet=1.0, generator=generator)
        # Schroeder's backward integral, read where it is straight: from -5 to -25 dB.
        energy = np.cumsum(room[0, ::-1] ** 2)[::-1]
        curve = 10 * np.log10(energy / energy[0] + 1e-30)
        at_5, at_25 = (int(np.argmax(curve < -level)) / SAMPLE_RATE for level in (5, 25))
        assert 3 * (at_25 - at_5) == pytest.approx(0.5, rel=0.05)
        assert rms(room[0]) == pytest.approx(rms(click[0]), rel=1e-3)
        assert abs(np.corrcoef(room)[0, 1]) < 0.1

    def test_keeps_the_direct_sound(self, generator: np.random.Generator) -> None:
        waveform = stereo_noise(8000)
        dry = degradations.reverb(waveform, SAMPLE_RATE, rt60_s=0.3, wet=0.0, generator=generator)
        assert np.array_equal(dry, waveform)


class TestWow:
    def test_swings_the_speed_by_its_depth(self) -> None:
        warped = degradations.wow(
            sine(1000.0, duration_s=2.0), SAMPLE_RATE, depth=0.02, rate_hz=2.0
        )
        phase = np.unwrap(np.angle(signal.hilbert(warped[0].astype(np.float64))))
        frequency = np.diff(phase)[4410:-4410] * SAMPLE_RATE / (2 * np.pi)
        # Smoothed over 5 ms: single samples of the analytic phase ripple.
        frequency = np.convolve(frequency, np.ones(220) / 220, mode="valid")
        assert frequency.max() == pytest.approx(1020.0, abs=1.0)
        assert frequency.min() == pytest.approx(980.0, abs=1.0)
        # Twice a second: four passes through the middle each second.
        crossings = np.count_nonzero(np.diff(np.sign(frequency - 1000.0)))
        assert crossings in (6, 7, 8)


class TestPacketLoss:
    def test_silences_its_share_of_whole_packets(self, generator: np.random.Generator) -> None:
        waveform = np.ones((2, SAMPLE_RATE), np.float32)
        lossy = degradations.packet_loss(waveform, SAMPLE_RATE, loss=0.1, generator=generator)
        packets = lossy.reshape(2, 50, 882)
        assert np.array_equal(packets.min(axis=-1), packets.max(axis=-1))
        assert (packets[0, :, 0] == 0).sum() == 5
        assert np.array_equal(lossy[0], lossy[1])


@needs_ffmpeg
class TestCodecs:
    @pytest.mark.parametrize("name", sorted(degradations.CODECS))
    @pytest.mark.parametrize("sample_rate", [44_100, 48_000])
    def test_are_aligned_and_of_the_same_shape(self, name: str, sample_rate: int) -> None:
        waveform = stereo_noise(12_345, below_hz=4000.0)
        coded = degradations.codec(waveform, sample_rate, name=name, kbps=96)
        assert coded.shape == waveform.shape
        assert coded.dtype == np.float32
        assert lag(waveform, coded) == 0
        # Coded, and coded well: neither the same samples nor something else.
        assert 5.0 < db(rms(waveform) / rms(coded - waveform)) < 60.0

    @pytest.mark.parametrize("name", ["mp3", "opus"])
    def test_resample_what_they_cannot_carry(self, name: str) -> None:
        waveform = stereo_noise(11_025, below_hz=2000.0)[:1]
        coded = degradations.codec(waveform, 11_025, name=name, kbps=32)
        assert coded.shape == waveform.shape
        assert lag(waveform, coded) == 0

    def test_fewer_bits_are_worse(self) -> None:
        waveform = stereo_noise(SAMPLE_RATE, below_hz=15_000.0)
        errors = [
            rms(degradations.mp3(waveform, SAMPLE_RATE, kbps=kbps) - waveform)
            for kbps in (320, 128, 32)
        ]
        assert errors[0] < errors[1] < errors[2]

    def test_give_the_same_samples_each_time(self) -> None:
        first, second = (
            degradations.mp3(stereo_noise(8000), SAMPLE_RATE, kbps=64) for _ in range(2)
        )
        assert np.array_equal(first, second)

    def test_refuse_unknown_names_and_impossible_rates(self) -> None:
        with pytest.raises(ConfigError, match="unknown codec 'mp4'; there are mp3"):
            degradations.codec(sine(100.0), SAMPLE_RATE, name="mp4", kbps=64)
        with pytest.raises(PamtError, match="at this bit rate"):
            degradations.codec(stereo_noise(), 48_000, name="vorbis", kbps=16)

    def test_say_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        with pytest.raises(PamtError, match="need ffmpeg: install it"):
            degradations.mp3(sine(100.0), SAMPLE_RATE, kbps=64)

    def test_say_when_ffmpeg_takes_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(degradations, "FFMPEG_TIMEOUT_S", 1e-4)
        with pytest.raises(PamtError, match=r"took longer than 0\.0001 s"):
            degradations.mp3(sine(100.0), SAMPLE_RATE, kbps=64)


def _has_rubber_band() -> bool:
    try:
        degradations.tempo(sine(100.0, duration_s=0.1), SAMPLE_RATE, rate=1.0)
    except PamtError:
        return False
    return True


@pytest.mark.skipif(not _has_rubber_band(), reason="this ffmpeg has no Rubber Band")
class TestPitchAndTempo:
    @staticmethod
    def peak_hz(waveform: np.ndarray) -> float:
        heard = middle(waveform)[0]
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)), 8 * SAMPLE_RATE))
        return int(np.argmax(spectrum)) / 8

    @pytest.mark.parametrize("semitones", [-2.0, 0.5, 12.0])
    def test_pitch_moves_and_length_stays(self, semitones: float) -> None:
        waveform = sine(600.0)
        shifted = degradations.pitch_shift(waveform, SAMPLE_RATE, semitones=semitones)
        assert shifted.shape == waveform.shape
        # 2 Hz at 600 Hz is 6 cents, about what a listener can just hear.
        assert self.peak_hz(shifted) == pytest.approx(600.0 * 2 ** (semitones / 12), abs=2.0)

    @pytest.mark.parametrize("rate", [0.8, 1.25])
    def test_tempo_moves_and_pitch_stays(self, rate: float) -> None:
        waveform = sine(600.0)
        faster = degradations.tempo(waveform, SAMPLE_RATE, rate=rate)
        assert faster.shape[-1] == pytest.approx(SAMPLE_RATE / rate, abs=2)
        # Rubber Band is off by up to 5 Hz in so short a sine; playing faster would be off by 120.
        assert self.peak_hz(faster) == pytest.approx(600.0, abs=6.0)

    def test_are_aligned(self) -> None:
        waveform = stereo_noise(SAMPLE_RATE, below_hz=3000.0)
        waveform[:, : SAMPLE_RATE // 2] = 0.0
        assert lag(waveform, degradations.tempo(waveform, SAMPLE_RATE, rate=1.0)) == 0
