"""The sounds of the listening experiments: levels, spectra, ramps, fresh and frozen noise."""

import numpy as np
import pytest

from benchmarks.psychophysics import stimuli
from benchmarks.psychophysics.detection import Condition, Detection
from benchmarks.psychophysics.experiments import EXPERIMENTS, intensity, masking, pitch, temporal

# Levels of long sounds, dB: rounding only.
EXACT_DB = 0.01
# A noise of 1000 Hz by 1 s has 2000 degrees of freedom: its level scatters by 0.14 dB.
NOISE_DB = 0.6


def spectrum(waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies, and power in each bin."""
    power = np.abs(np.fft.rfft(waveform)) ** 2
    return np.fft.rfftfreq(len(waveform), 1.0 / stimuli.SAMPLE_RATE), power


def share_inside(waveform: np.ndarray, low: float, high: float) -> float:
    frequency, power = spectrum(waveform)
    return power[(frequency >= low) & (frequency <= high)].sum() / power.sum()


class TestLevels:
    def test_a_full_scale_sine_is_100_db_spl(self) -> None:
        at = stimuli.times(1.0)
        assert stimuli.level(np.sin(2.0 * np.pi * 1000.0 * at)) == pytest.approx(
            100.0, abs=EXACT_DB
        )

    @pytest.mark.parametrize("level", [0.0, 40.0, 62.4, 110.0])
    def test_a_tone_has_its_level(self, level: float) -> None:
        tone = stimuli.tone(1000.0, level, 1.0, ramp_s=0.0)
        assert stimuli.level(tone) == pytest.approx(level, abs=EXACT_DB)

    @pytest.mark.parametrize(("low", "high"), [(20.0, 16_000.0), (500.0, 1500.0)])
    def test_noise_has_its_overall_level_on_average(self, low: float, high: float) -> None:
        noise = stimuli.noise(low, high, 60.0, 1.0, seed=1)
        assert stimuli.level(noise) == pytest.approx(60.0, abs=NOISE_DB)

    def test_narrow_noise_fluctuates_from_token_to_token(self) -> None:
        levels = [stimuli.level(stimuli.noise(998.0, 1002.0, 60.0, 0.4, seed=i)) for i in range(20)]
        assert np.std(levels) > 1.0

    def test_spectrum_level(self) -> None:
        noise = stimuli.noise(100.0, 10_100.0, stimuli.overall_level(40.0, 10_000.0), 1.0, seed=2)
        frequency, power = spectrum(noise)
        inside = (frequency > 1000.0) & (frequency <= 2000.0)
        # Parseval: the mean square of what lies in 1000 bins of 1 Hz.
        mean_square = 2.0 * power[inside].sum() / len(noise) ** 2
        per_hertz = 100.0 + 10.0 * np.log10(2.0 * mean_square / 1000.0)
        assert per_hertz == pytest.approx(40.0, abs=NOISE_DB)

    def test_modulation_leaves_the_power(self) -> None:
        carrier = stimuli.tone(1000.0, 60.0, 1.0, ramp_s=0.0)
        assert stimuli.level(stimuli.modulated(carrier, 8.0, 1.0)) == pytest.approx(60.0, abs=0.05)


class TestSpectra:
    def test_noise_stays_in_its_band(self) -> None:
        assert share_inside(stimuli.noise(900.0, 1100.0, 60.0, 1.0, seed=3), 880.0, 1120.0) > 0.99

    def test_complex_tone_has_its_components_only(self) -> None:
        wave = stimuli.complex_tone(
            np.array([200.0, 400.0]), np.array([60.0, 40.0]), 1.0, ramp_s=0.0
        )
        _, power = spectrum(wave)
        assert 10.0 * np.log10(power[200] / power[400]) == pytest.approx(20.0, abs=EXACT_DB)
        assert power[[200, 400]].sum() / power.sum() > 0.999

    def test_modulated_tone_has_two_sidebands(self) -> None:
        wave = stimuli.modulated(stimuli.tone(1000.0, 60.0, 1.0, ramp_s=0.0), 50.0, 0.5)
        _, power = spectrum(wave)
        assert 10.0 * np.log10(power[950] / power[1000]) == pytest.approx(
            20.0 * np.log10(0.25), abs=EXACT_DB
        )

    def test_mistuning_moves_one_harmonic(self) -> None:
        condition = pitch.mistuned("", 4.0, f0=200.0, harmonic=4, duration_s=1.0)
        _, before = spectrum(condition.standard(10.0, 0))
        _, after = spectrum(condition.signal(10.0, 0))
        assert np.argmax(before[700:950]) == 100
        assert np.argmax(after[700:950]) == 180
        # Ramps leak a little of the neighbours.
        assert after[600] == pytest.approx(before[600], rel=0.02)

    def test_harmonic_band_falls_outside_its_edges(self) -> None:
        band = pitch.harmonic_band(100.0, 2500.0, 3500.0, random_phase=False)
        _, power = spectrum(band)  # bins of 2 Hz
        octaves = np.log2(2500.0 / 1200.0)
        drop = 10.0 * np.log10(power[1500] / power[600])
        assert drop == pytest.approx(24.0 * octaves, abs=0.1)
        # Eleven components of 48.3 dB between the edges, and half as much beyond them.
        assert stimuli.level(band) == pytest.approx(48.3 + 10.0 * np.log10(17.0), abs=1.0)

    def test_low_pass(self) -> None:
        wave = stimuli.low_passed(stimuli.noise(20.0, 16_000.0, 60.0, 1.0, seed=4), 8000.0)
        assert share_inside(wave, 0.0, 8000.0) == pytest.approx(1.0, abs=1e-9)


class TestTime:
    def test_ramps_are_raised_cosines(self) -> None:
        ramped = stimuli.ramped(np.ones(stimuli.count(0.1)), 0.02)
        n_ramp = stimuli.count(0.02)
        half = 0.5 * (ramped[n_ramp // 2 - 1] + ramped[n_ramp // 2])
        assert half == pytest.approx(0.5, abs=1e-6)
        assert ramped[0] < 1e-4
        assert np.all(ramped[n_ramp:-n_ramp] == 1.0)
        assert np.allclose(ramped, ramped[::-1])

    def test_a_gap_is_measured_at_half_amplitude(self) -> None:
        gated = stimuli.with_gap(np.ones(stimuli.count(0.4)), 0.2, 0.005, edge_s=0.0005)
        # Half a sample at each edge.
        assert (gated < 0.5).sum() == pytest.approx(stimuli.count(0.005), abs=1)
        assert gated[stimuli.count(0.2)] == 0.0
        assert gated[0] == gated[-1] == 1.0

    def test_the_other_gap_begins_60_ms_after_the_onset(self) -> None:
        gated = temporal.gap_after_onset().signal(20.0, 1)
        quiet = np.flatnonzero(np.abs(gated) < 1e-12) / stimuli.SAMPLE_RATE
        assert quiet[quiet > 0.01].min() == pytest.approx(0.0605, abs=0.0005)

    def test_clicks_come_at_their_onsets(self) -> None:
        wave = stimuli.clicks([0.0, 0.3], 0.5, 80.0)
        assert np.abs(wave[stimuli.count(0.0011) : stimuli.count(0.3)]).max() == 0.0
        assert np.abs(wave[stimuli.count(0.3) : stimuli.count(0.301)]).max() > 0.05

    def test_tempo_stretches_the_last_onset_six_times_as_much(self) -> None:
        wave = temporal.tempo(100.0).signal(10.0, 0)
        onset = np.flatnonzero(wave)[0] / stimuli.SAMPLE_RATE
        last = np.flatnonzero(np.abs(wave) > 0)[-1] / stimuli.SAMPLE_RATE
        assert onset < 0.001
        assert last == pytest.approx(0.66, abs=0.0015)

    def test_an_interval_begins_and_ends_in_silence(self) -> None:
        heard = stimuli.interval(np.ones(100))
        assert heard.dtype == np.float32
        assert heard.shape == (1, 100 + 2 * stimuli.count(stimuli.PAD_S))
        assert heard[0, 0] == heard[0, -1] == 0.0


class TestConditions:
    def test_equal_seeds_share_a_masker_and_others_do_not(self) -> None:
        one, again, other = (stimuli.noise(900.0, 1100.0, 60.0, 0.2, seed=i) for i in (5, 5, 6))
        assert np.array_equal(one, again)
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.5

    def test_no_interval_shares_its_noise_where_noise_is_fresh(self) -> None:
        own, others = masking.tone_in_white_noise(40.0, 1000.0, fresh=True).seeds
        assert not set(own) & set(others)
        assert len(own) > 1

    def test_the_tone_lies_in_the_middle_of_its_noise(self) -> None:
        condition = masking.tone_in_white_noise(40.0, 1000.0, fresh=False)
        added = condition.signal(60.0, 0) - condition.standard(60.0, 0)
        heard = np.flatnonzero(np.abs(added) > 1e-12) / stimuli.SAMPLE_RATE
        assert heard[0] == pytest.approx(0.05, abs=0.001)
        assert heard[-1] == pytest.approx(0.45, abs=0.001)
        # 100 dB SPL for 400 of 500 ms, less the ramps.
        assert stimuli.level(added) == pytest.approx(99.0, abs=0.3)

    def test_an_increment_is_one_of_level(self) -> None:
        condition = intensity.tone_increment("1 kHz", 60.0)
        difference = stimuli.level(condition.signal(0.69, 0)) - stimuli.level(
            condition.standard(0.69, 0)
        )
        assert difference == pytest.approx(0.69, abs=1e-6)
        assert np.abs(condition.standard(0.0, 0)).max() == pytest.approx(
            stimuli.amplitude(62.4), rel=1e-3
        )

    @pytest.mark.parametrize("name", sorted(EXPERIMENTS))
    def test_both_kinds_of_interval_are_as_long_and_differ(self, name: str) -> None:
        task = EXPERIMENTS[name].task
        inner = getattr(task, "detection", task)
        if not isinstance(inner, Detection):
            pytest.skip("no adaptive task with fixed conditions")
        for condition in (inner.conditions[0], inner.conditions[-1]):
            check(condition)


def check(condition: Condition) -> None:
    own, others = condition.seeds
    standard = condition.standard(condition.axis.easy, own[0])
    signal = condition.signal(condition.axis.easy, others[0])
    assert standard.shape == signal.shape
    assert np.isfinite(signal).all()
    assert not np.array_equal(standard, signal)
