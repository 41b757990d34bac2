"""Our NMR and 2f-model-style baselines against BS.1387's own numbers, formulas and definitions."""

import numpy as np
import pytest

from benchmarks.baselines.bs1387 import bands, ear
from benchmarks.baselines.bs1387.distortion import (
    average_distorted_block,
    detection,
    detection_step,
)
from benchmarks.baselines.bs1387.excitation import smeared, spread, unsmeared
from benchmarks.baselines.bs1387.metric import Bs1387Metric
from benchmarks.baselines.bs1387.modulation import (
    AVERAGING_DELAY,
    average_modulation_difference,
    modulation,
)
from benchmarks.baselines.bs1387.noise_to_mask import masking_offset, noise_to_mask, total_nmr
from benchmarks.baselines.nmr import make_nmr
from benchmarks.baselines.two_f import make_two_f, mean_mushra_score
from benchmarks.metrics import UndefinedError, measure

SAMPLE_RATE = ear.SAMPLE_RATE


def sine(frequency: float, *, level: float = -20.0, duration: float = 1.0) -> np.ndarray:
    """(time,), `level` in dB re a full-scale sine."""
    time = np.arange(round(duration * SAMPLE_RATE)) / SAMPLE_RATE
    return 10.0 ** (level / 20.0) * np.sin(2.0 * np.pi * frequency * time)


def noise(n_samples: int = SAMPLE_RATE, *, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(n_samples)


def excitation(waveform: np.ndarray) -> np.ndarray:
    return smeared(unsmeared(ear.magnitudes(waveform)))


def db(power: np.ndarray) -> np.ndarray:
    return 10.0 * np.log10(power)


class TestBands:
    def test_are_those_of_the_standards_table(self) -> None:
        assert bands.N_BANDS == 109
        # Lower edge, centre, upper edge of bands spread over the table, which is exact to 3 mHz.
        printed = {
            0: (80.0, 91.708, 103.445),
            1: (103.445, 115.216, 127.023),
            30: (974.336, 995.408, 1016.797),
            60: (3098.350, 3155.379, 3213.415),
            90: (9132.688, 9297.648, 9465.574),
            108: (17385.420, 17690.045, 18000.0),
        }
        for band, frequencies in printed.items():
            ours = (bands.EDGES[band], bands.CENTERS[band], bands.EDGES[band + 1])
            assert ours == pytest.approx(frequencies, abs=3e-3)

    def test_bark_scale_is_inverted(self) -> None:
        frequency = np.array([80.0, 1000.0, 18_000.0])
        assert bands.bark_to_hz(bands.hz_to_bark(frequency)) == pytest.approx(frequency)

    def test_grouping_keeps_the_power_between_the_outer_edges(self) -> None:
        grouped = bands.group(np.ones((1, 1025)), ear.BIN_WIDTH)[0]
        # A flat spectrum of 1 a bin puts as much into a band as it is bins wide.
        assert grouped == pytest.approx(np.diff(bands.EDGES) / ear.BIN_WIDTH)
        assert (bands.group(np.zeros((1, 1025)), ear.BIN_WIDTH) == 1e-12).all()

    def test_internal_noise_and_filters_follow_their_formulas(self) -> None:
        near_1_khz = int(np.argmin(np.abs(bands.CENTERS - 1000.0)))
        khz = bands.CENTERS[near_1_khz] / 1000.0
        assert db(bands.INTERNAL_NOISE)[near_1_khz] == pytest.approx(1.456 * khz**-0.8)
        # [BS] writes the exponent as -4 / (187.5 tau).
        tau = 0.008 + 0.022 * 100.0 / bands.CENTERS
        assert bands.decay(0.030, 0.008, ear.FRAME_RATE) == pytest.approx(np.exp(-4 / 187.5 / tau))


class TestEar:
    def test_full_scale_sine_is_92_db_spl_in_its_highest_bin(self) -> None:
        unweighted = ear.magnitudes(sine(ear.CALIBRATION_FREQUENCY, level=0.0))[:10, 1:]
        unweighted = unweighted / ear.ear_weighting()[1:]
        # Frames meet the sine at other phases, and the window's image at -f adds a little.
        assert 20.0 * np.log10(unweighted.max()) == pytest.approx(92.0, abs=1e-3)

    def test_weighting_has_its_published_shape(self) -> None:
        level = 20.0 * np.log10(ear.ear_weighting()[1:])
        frequency = ear.BIN_WIDTH * np.arange(1, 1025)
        # Kabal 2002 names -1.9 dB at 1 kHz and a peak of 5.6 dB near 3.3 kHz.
        assert np.interp(1000.0, frequency, level) == pytest.approx(-1.9, abs=0.05)
        assert level.max() == pytest.approx(5.6, abs=0.05)
        assert frequency[level.argmax()] == pytest.approx(3300.0, abs=100.0)

    def test_last_frame_is_the_last_with_half_its_samples(self) -> None:
        assert [len(ear.magnitudes(noise(n))) for n in (1024, 2047, 2048, 4095)] == [1, 1, 2, 3]

    def test_frames_begin_and_end_with_the_references_sound(self) -> None:
        silence = np.zeros(10_000)
        sound = np.concatenate([silence, noise(20_000), silence])
        # 10 000 lies in hop 9; 30 000 = 29 hops and 304 samples.
        assert ear.active_frames(sound) == slice(9, 29)

    @pytest.mark.parametrize(
        ("amplitude", "counts"),
        [(41.0 / 32_768.0, True), (39.0 / 32_768.0, False)],
    )
    def test_boundary_is_a_sum_of_200_over_5_samples_of_16_bits(
        self, amplitude: float, counts: bool
    ) -> None:
        quiet = np.full(4096, amplitude)
        if counts:
            assert ear.active_frames(quiet) == slice(0, 4)
        else:
            with pytest.raises(UndefinedError, match="silent"):
                ear.active_frames(quiet)

    @pytest.mark.parametrize("n_samples", [1, 4, 1023])
    def test_less_than_a_frame_is_refused(self, n_samples: int) -> None:
        with pytest.raises(UndefinedError, match="less than one frame"):
            ear.active_frames(np.ones(n_samples))


class TestSpreading:
    def test_is_the_standards_sum_over_lines(self) -> None:
        power = 10.0 ** (np.random.default_rng(0).uniform(0.0, 8.0, bands.N_BANDS))

        def spread_sum(pattern: np.ndarray) -> np.ndarray:
            band = np.arange(bands.N_BANDS)
            total = np.zeros(bands.N_BANDS)
            for j, level in enumerate(db(pattern)):
                upper = -24.0 - 230.0 / bands.CENTERS[j] + 0.2 * level
                slope = np.where(band < j, 27.0, upper)
                line = 10.0 ** (slope * 0.25 * (band - j) / 10.0)
                total += (pattern[j] * line / line.sum()) ** 0.4
            return total**2.5

        expected = spread_sum(power) / spread_sum(np.ones(bands.N_BANDS))
        assert spread(power[None])[0] == pytest.approx(expected)

    def test_of_0_db_everywhere_is_0_db_everywhere(self) -> None:
        assert spread(np.ones((2, bands.N_BANDS))) == pytest.approx(1.0)

    def test_of_a_line_reaches_further_up_the_louder_it_is(self) -> None:
        # One line among bands 300 dB below it. 10 dB more make 0.2 * 10 dB a Bark less of the upper
        # slope and nothing of the lower one; the normalisation is the same for both.
        pattern = np.full((2, bands.N_BANDS), 1e-24)
        pattern[:, 50] = 1e6, 1e7
        softer, louder = db(spread(pattern))
        gained = np.diff(louder - softer)
        assert gained[40:50] == pytest.approx(0.0, abs=1e-6)
        assert gained[50:60] == pytest.approx(0.25 * 0.2 * 10.0, abs=1e-6)


class TestSmearing:
    def test_of_silence_is_the_internal_noise(self) -> None:
        silent = unsmeared(np.zeros((2, 1025)))
        assert silent == pytest.approx(spread(np.tile(bands.INTERNAL_NOISE, (2, 1))))

    def test_follows_rises_at_once_and_decays_by_its_constant(self) -> None:
        pattern = np.ones((4, bands.N_BANDS))
        pattern[1] = 1000.0
        smear = smeared(pattern)
        a = bands.decay(0.030, 0.008, ear.FRAME_RATE)
        rise = a * (1.0 - a) + (1.0 - a) * 1000.0
        assert (smear[1] == 1000.0).all()
        assert smear[2] == pytest.approx(np.maximum(1.0, a * rise + (1.0 - a)))


class TestNoiseToMask:
    def test_mask_lies_3_db_under_up_to_12_bark_then_a_quarter_db_a_bark(self) -> None:
        offset = masking_offset()
        assert (offset[:49] == 3.0).all()
        assert offset[49:] == pytest.approx(0.25 * 0.25 * np.arange(49, 109))

    def test_of_known_noise_under_a_known_masker(self) -> None:
        # Error of 1 a bin, so as many as a band is bins wide; masker of 60 dB SPL everywhere.
        reference, masker = np.full((1, 1025), 5.0), np.full((1, bands.N_BANDS), 1e6)
        ratios = db(noise_to_mask(reference, reference - 1.0, masker))[0]
        width = np.diff(bands.EDGES) / ear.BIN_WIDTH
        assert ratios == pytest.approx(db(width) - 60.0 + masking_offset())

    def test_total_is_the_mean_of_powers_in_db(self) -> None:
        assert total_nmr(np.array([[1.0, 19.0], [0.0, 0.0]])) == pytest.approx(db(np.array(5.0)))

    def test_of_noise_ten_times_as_strong_is_20_db_more(self) -> None:
        reference, masker = ear.magnitudes(noise()), excitation(noise())
        soft, loud = (
            total_nmr(noise_to_mask(reference, (1.0 + gain) * reference, masker))
            for gain in (0.01, 0.1)
        )
        assert loud - soft == pytest.approx(20.0)

    def test_of_a_tone_in_noise_turns_from_masked_to_heard(self) -> None:
        masker = noise()
        # The noise's power in the band of 1 kHz: -20 dB over 24 kHz, 85 Hz of it in two bands.
        in_band = 20.0 * np.log10(0.1) + db(np.array(85.0 / 24_000.0)) + 3.0
        reference, pattern = ear.magnitudes(masker), excitation(masker)
        worst, heard = [], []
        for level in (-30.0, 20.0):
            test = masker + sine(1000.0, level=float(in_band) + level)
            ratios = noise_to_mask(reference, ear.magnitudes(test), pattern)
            worst.append(db(ratios.max(axis=-1)).mean())
            heard.append(detection(pattern, excitation(test))[0].mean())
        assert worst[0] < 0.0 < worst[1]
        assert heard[0] < 0.5 < heard[1]


class TestModulation:
    def test_difference_is_the_standards_recursion(self) -> None:
        generator = np.random.default_rng(0)
        patterns = 10.0 ** generator.uniform(0.0, 6.0, (2, 40, bands.N_BANDS))
        a = np.exp(-4 / 187.5 / (0.008 + 0.042 * 100.0 / bands.CENTERS))
        derivative, average, previous = np.zeros((3, 2, bands.N_BANDS))
        weighted, total = 0.0, 0.0
        for frame in range(35):
            loudness = patterns[:, frame] ** 0.3
            derivative = a * derivative + (1.0 - a) * 46.875 * np.abs(loudness - previous)
            average = a * average + (1.0 - a) * loudness
            previous = loudness
            mod = derivative / (1.0 + average / 0.3)
            threshold = (10.0 ** (0.1456 * (bands.CENTERS / 1000.0) ** -0.8)) ** 0.3
            weight = np.sum(average[0] / (average[0] + 100.0 * threshold))
            if frame >= 24:
                weighted += weight * np.mean(100.0 * np.abs(mod[1] - mod[0]) / (1.0 + mod[0]))
                total += weight
        ours = average_modulation_difference(patterns[0], patterns[1], slice(3, 35))
        assert ours == pytest.approx(weighted / total)

    def test_of_a_steady_pattern_dies_out_and_its_loudness_settles(self) -> None:
        pattern = np.full((200, bands.N_BANDS), 1e6)
        mod, loudness = modulation(pattern)
        # The onset decays by exp(-50 ms / 50 ms) in the slowest band: 4 s leave nothing of it.
        assert mod[-1] == pytest.approx(0.0, abs=1e-9)
        assert loudness[-1] == pytest.approx(1e6**0.3)

    def test_is_the_relative_rate_of_change(self) -> None:
        # E^0.3 swings between 9 and 11 every frame: 2 * 46.875 / s over 1 + 10 / 0.3.
        pattern = np.where(np.arange(400) % 2 == 0, 9.0, 11.0) ** (1.0 / 0.3)
        mod, _ = modulation(np.repeat(pattern[:, None], bands.N_BANDS, axis=1))
        # The loudness's own ripple of at most one part in ten.
        assert mod[-2:].mean(axis=0) == pytest.approx(2 * 46.875 / (1.0 + 10.0 / 0.3), rel=0.01)

    def test_difference_grows_with_the_depth_of_amplitude_modulation(self) -> None:
        carrier = sine(1000.0, duration=2.0)
        patterns = [
            unsmeared(ear.magnitudes(carrier * (1.0 + depth * sine(4.0, level=0.0, duration=2.0))))
            for depth in (0.0, 0.1, 0.5)
        ]
        frames = slice(0, len(patterns[0]))
        same, slight, deep = (
            average_modulation_difference(patterns[0], pattern, frames) for pattern in patterns
        )
        assert same == 0.0
        assert 0.0 < slight < deep

    def test_leaves_out_the_first_half_second(self) -> None:
        assert AVERAGING_DELAY == 24
        pattern = unsmeared(ear.magnitudes(noise()))
        changed = pattern.copy()
        changed[-1] *= 2.0
        difference = average_modulation_difference(pattern, changed, slice(0, len(pattern)))
        assert difference > 0.0
        assert average_modulation_difference(pattern, changed, slice(0, len(pattern) - 1)) == 0.0
        changed = pattern.copy()
        changed[0] *= 2.0
        early = average_modulation_difference(pattern, changed, slice(0, len(pattern)))
        # Its onset decays by exp(-1) in 56 ms at the lowest band: to exp(-9) in half a second.
        assert early < 1e-3 * average_modulation_difference(pattern, 2.0 * pattern, slice(0, 25))


class TestDetection:
    def test_of_no_difference_is_nil(self) -> None:
        pattern = np.full((3, bands.N_BANDS), 1e5)
        probability, steps = detection(pattern, pattern)
        assert (probability == 0.0).all()
        assert (steps == 0.0).all()

    @pytest.mark.parametrize("steps", [0.5, 1.0, 1.5])
    def test_rises_with_the_fourth_power_where_softer_and_the_sixth_where_louder(
        self, steps: float
    ) -> None:
        loud, soft = np.full((2, 1, bands.N_BANDS), 1e6)
        # Band 40 differs by so many steps at the level that weighs both: 0.3 and 0.7 for the
        # softer test, which is found by iteration, and the louder sound's own level otherwise.
        difference = 0.0
        for _ in range(50):
            level = 0.3 * 60.0 + 0.7 * (60.0 - difference)
            difference = steps * float(detection_step(np.array(level)))
        soft[0, 40] *= 10.0 ** (-difference / 10.0)
        assert detection(loud, soft)[0] == pytest.approx(1.0 - 0.5 ** (steps**4))
        difference = steps * float(detection_step(np.array(60.0)))
        soft[0, 40] = 10.0 ** (6.0 - difference / 10.0)
        assert detection(soft, loud)[0] == pytest.approx(1.0 - 0.5 ** (steps**6))

    def test_of_a_large_difference_is_certain(self) -> None:
        reference, test = np.full((1, bands.N_BANDS), 1e6), np.full((1, bands.N_BANDS), 1e3)
        probability, steps = detection(reference, test)
        assert probability == 1.0
        assert steps == pytest.approx(109 * 30 / detection_step(np.array(39.0)))

    def test_step_is_the_standards_polynomial(self) -> None:
        level = 40.0
        expected = (
            5.95072 * (6.39468 / level) ** 1.71332
            + 9.01033e-11 * level**4
            + 5.05622e-6 * level**3
            - 0.00102438 * level**2
            + 0.0550197 * level
            - 0.198719
        )
        assert detection_step(np.array(level)) == pytest.approx(expected)

    def test_steps_count_whole_db(self) -> None:
        reference = np.full((1, bands.N_BANDS), 1e6)
        steps = [
            detection(reference, reference * 10.0 ** (gain / 10.0))[1][0] for gain in (0.9, 1.9)
        ]
        assert steps[0] == 0.0
        assert steps[1] == pytest.approx(109 / detection_step(np.array(61.9)))

    def test_step_is_smaller_for_loud_sounds_and_none_is_heard_below_0_db(self) -> None:
        step = detection_step(np.array([-5.0, 0.0, 5.0, 20.0, 40.0, 60.0]))
        assert (step[:2] == 1e30).all()
        assert (np.diff(step[1:]) < 0.0).all()

    def test_block_is_the_logarithm_of_the_mean_over_detected_frames(self) -> None:
        probability = np.array([0.4, 0.6, 0.9])
        assert average_distorted_block(probability, np.array([1e6, 5.0, 15.0])) == pytest.approx(1)
        assert average_distorted_block(probability, np.array([1e6, 0.0, 0.0])) == -0.5
        assert average_distorted_block(probability / 2.0, np.array([1e6, 5.0, 15.0])) == 0.0


METRICS = pytest.mark.parametrize(
    "metric", [make_nmr(None), make_two_f(None)], ids=lambda metric: metric.name
)


@METRICS
class TestMetrics:
    def test_grow_with_the_level_of_added_noise(self, metric: Bs1387Metric) -> None:
        a = (sine(300.0, duration=2.0) + sine(2500.0, duration=2.0))[None]
        added = noise(a.shape[-1])[None]
        values = [metric(a, a + gain * added, SAMPLE_RATE) for gain in (0.003, 0.03, 0.3)]
        assert values == sorted(values)
        assert values[2] - values[0] > 10.0

    def test_hear_neither_polarity_nor_level(self, metric: Bs1387Metric) -> None:
        a, b = noise()[None], (noise() + 0.1 * noise(seed=1))[None]
        value = metric(a, b, SAMPLE_RATE)
        # float32 rounding of the two gains.
        assert metric(a, -b, SAMPLE_RATE) == pytest.approx(value, abs=1e-3)
        assert metric(0.1 * a, 0.5 * b, SAMPLE_RATE) == pytest.approx(value, abs=1e-3)

    def test_hear_the_same_at_another_rate(self, metric: Bs1387Metric) -> None:
        a, b = (x[None].astype(np.float32) for x in (sine(440.0), sine(440.0) + sine(1900.0)))
        half = metric(a[:, ::2], b[:, ::2], SAMPLE_RATE // 2)
        # The resampler's transients at both ends of one second.
        assert half == pytest.approx(metric(a, b, SAMPLE_RATE), abs=1.0)

    def test_have_no_value_without_a_reference(self, metric: Bs1387Metric) -> None:
        sound = noise()[None].astype(np.float32)
        silence, nothing = np.zeros_like(sound), sound[:, :0]
        assert measure(metric, silence, sound, SAMPLE_RATE).reason == "the reference is silent"
        assert measure(metric, nothing, sound, SAMPLE_RATE).reason == "a sound has no samples"
        assert "less than one frame" in measure(metric, sound[:, :900], sound, SAMPLE_RATE).reason

    def test_have_one_for_a_silent_test_and_for_unequal_lengths(self, metric: Bs1387Metric) -> None:
        sound = noise()[None]
        for test in (0.0 * sound, sound[:, :30_000], np.concatenate([sound, sound], axis=-1)):
            assert np.isfinite(metric(sound, test, SAMPLE_RATE))
        whole = metric(sound, np.concatenate([sound, sound], axis=-1), SAMPLE_RATE)
        assert metric(sound, sound[:, :24_000], SAMPLE_RATE) > whole

    @pytest.mark.parametrize("n_samples", [1024, 12_000, 25_599, 25_600])
    def test_hear_short_sounds(self, metric: Bs1387Metric, n_samples: int) -> None:
        a, b = noise(n_samples)[None], noise(n_samples, seed=1)[None]
        near, far = (metric(a, a + gain * b, SAMPLE_RATE) for gain in (0.01, 1.0))
        assert near < far


class TestRegression:
    def test_is_the_published_one(self) -> None:
        # 56.1345 / (1 + 0.8628^2) + 86.3515, and its bend at AvgModDiff1 = 40.
        assert mean_mushra_score(0.0, 0.0) == pytest.approx(118.530, abs=1e-3)
        assert mean_mushra_score(40.0, 2.0) == pytest.approx(
            56.1345 / (1.0 + 1.9908**2) - 54.2902 + 86.3515
        )

    def test_of_identical_sounds_is_its_constant(self) -> None:
        a = noise()[None]
        assert make_two_f(None)(a, a, SAMPLE_RATE) == pytest.approx(
            100.0 - mean_mushra_score(0.0, 0.0)
        )


def test_identical_sounds_come_out_120_db_under_a_noise_of_0_db_spl() -> None:
    a = noise()[None]
    same = make_nmr(None)(a, a, SAMPLE_RATE)
    waveform, _ = ear.at_48_khz(a, a, SAMPLE_RATE)
    quiet = 1.0 / (excitation(waveform) / 10.0 ** (masking_offset() / 10.0))
    assert same == pytest.approx(total_nmr(quiet) - 120.0)


def test_names_and_versions_are_their_own() -> None:
    nmr, two_f = make_nmr(None), make_two_f(None)
    assert (nmr.name, two_f.name) == ("nmr", "two-f")
    assert nmr.version != two_f.version
