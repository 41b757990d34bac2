"""`Metric` and `Comparison`: arguments, batches, what a comparison says."""

import json

import pytest
import torch

from pamt_metric import comparison
from pamt_metric.errors import InputError
from pamt_metric.psychoacoustics.harmony import N_HARMONY
from pamt_metric.psychoacoustics.statistics import N_STATISTICS
from tests.support import signals

RATE = signals.SAMPLE_RATE
TONE = signals.tone(0.4)
NOISY = signals.with_noise(TONE, 15.0)
# float32 sums over some thousand frames and bands
SUM_TOLERANCE = 1e-4
# Padding changes the order of sums, and the routine that torch picks for a convolution.
BATCH_TOLERANCE = 1e-4


def distance(metric, a, b, **options):
    return metric.distance(a, b, sample_rate=RATE, **options)


def compare(metric, a, b, **options):
    return metric.compare(a, b, sample_rate=RATE, **options)


class TestArguments:
    @pytest.mark.parametrize(
        ("option", "value", "choices"),
        [("level", "loud", "'match' or 'absolute'"), ("align", "dtw2", "'auto', 'none' or 'dtw'")],
    )
    def test_unknown_choice(self, tiny_metric, option, value, choices):
        with pytest.raises(InputError, match=f"{option} must be {choices}, got '{value}'"):
            distance(tiny_metric, TONE, NOISY, **{option: value})

    def test_embed_checks_its_level_too(self, tiny_metric):
        with pytest.raises(InputError, match="level must be"):
            tiny_metric.embed(TONE, sample_rate=RATE, level="loud")

    def test_embed_names_the_kinds_there_are(self, tiny_metric):
        with pytest.raises(InputError, match="kind must be 'sound' or 'harmony', got 'chroma'"):
            tiny_metric.embed(TONE, sample_rate=RATE, kind="chroma")

    def test_a_harmony_has_no_sequence(self, tiny_metric):
        with pytest.raises(InputError, match="needs kind='sound'"):
            tiny_metric.embed(TONE, sample_rate=RATE, kind="harmony", sequence=True)

    def test_batches_of_different_sizes(self, tiny_metric):
        a, b = TONE.expand(2, 1, -1), TONE.expand(3, 1, -1)
        with pytest.raises(InputError, match=r"same number of clips.*got 2 and 3"):
            distance(tiny_metric, a, b)

    def test_missing_rate(self, tiny_metric):
        with pytest.raises(InputError, match="sample_rate="):
            tiny_metric.distance(TONE, NOISY)


class TestBatches:
    def test_one_pair_gives_a_float_and_a_batch_a_tensor(self, tiny_metric):
        assert type(distance(tiny_metric, TONE, NOISY)) is float
        batch = distance(tiny_metric, TONE[None, None], NOISY[None, None])
        assert isinstance(batch, torch.Tensor)
        assert batch.shape == (1,)
        assert not batch.requires_grad

    def test_one_reference_against_a_batch(self, tiny_metric):
        tests = torch.stack([TONE, NOISY])[:, None]
        found = distance(tiny_metric, TONE, tests)
        alone = [distance(tiny_metric, TONE, test) for test in tests]
        assert found.shape == (2,)
        assert found[0].item() == 0.0
        assert found.tolist() == pytest.approx(alone, rel=BATCH_TOLERANCE)
        assert distance(tiny_metric, tests, TONE).tolist() == found.tolist()

    def test_lists_of_clips_of_different_lengths(self, tiny_metric):
        references = [TONE, signals.noise(0.9), signals.clicks(0.25)]
        tests = [NOISY, signals.noise(0.9, seed=1), signals.tone(0.6)]
        found = distance(tiny_metric, references, tests)
        alone = [distance(tiny_metric, a, b) for a, b in zip(references, tests, strict=True)]
        assert found.tolist() == pytest.approx(alone, rel=BATCH_TOLERANCE)

    def test_padded_batch_with_lengths(self, tiny_metric):
        padded = torch.stack([NOISY, NOISY])[:, None].clone()
        padded[1, :, 12_000:] = float("nan")
        found = distance(tiny_metric, TONE, padded, lengths=(None, [len(NOISY), 12_000]))
        alone = distance(tiny_metric, TONE, NOISY[:12_000])
        assert found[1].item() == pytest.approx(alone, rel=BATCH_TOLERANCE)

    def test_mono_and_its_stereo_copy_are_the_same(self, tiny_metric):
        assert distance(tiny_metric, TONE, signals.stereo(TONE, TONE)) < 1e-3

    def test_compare_gives_a_list_for_a_batch(self, tiny_metric):
        rows = compare(tiny_metric, TONE, [NOISY, TONE])
        assert [row.distance == 0.0 for row in rows] == [False, True]


class TestEmbed:
    def test_shapes(self, tiny_metric):
        pooled, sequence = tiny_metric.embed(TONE, sample_rate=RATE, sequence=True)
        assert pooled.shape == (16 + N_STATISTICS,)
        assert sequence.shape == (29, 16)  # (9600 - 400) // 320 + 1 frames of the 24 kHz clip
        batch = tiny_metric.embed([TONE, NOISY], sample_rate=RATE)
        torch.testing.assert_close(batch[0], pooled, atol=1e-5, rtol=1e-4)

    def test_harmony_of_a_clip_and_of_a_batch(self, tiny_metric):
        one = tiny_metric.embed(TONE, sample_rate=RATE, kind="harmony")
        assert one.shape == (N_HARMONY,)
        louder = tiny_metric.embed([TONE, 0.3 * TONE], sample_rate=RATE, kind="harmony")
        assert louder.shape == (2, N_HARMONY)
        torch.testing.assert_close(louder, one.expand(2, -1), atol=1e-4, rtol=0.0)

    @pytest.mark.parametrize("kind", ["sound", "harmony"])
    def test_gradient_reaches_the_waveform(self, tiny_metric, kind):
        waveform = TONE.clone().requires_grad_()
        tiny_metric.embed(waveform, sample_rate=RATE, kind=kind).square().sum().backward()
        assert waveform.grad is not None
        assert torch.isfinite(waveform.grad).all()
        assert waveform.grad.abs().max() > 0.0


class TestComparison:
    def test_maps_sum_to_the_distance(self, tiny_metric):
        for a, b in ((TONE, NOISY), (TONE, signals.noise(0.6)), (TONE, signals.silence(0.4))):
            found = compare(tiny_metric, a, b)
            assert found.distance > 0.0
            assert found.time_map.sum().item() == pytest.approx(found.distance, rel=SUM_TOLERANCE)
            assert found.band_map.sum().item() == pytest.approx(found.distance, rel=SUM_TOLERANCE)
            assert found.band_map.shape == (len(found.time_map), 75)
            assert found.band_map.min() >= 0.0

    def test_maps_point_at_the_difference(self, tiny_metric):
        burst = signals.low_passed(signals.noise(0.4), 400.0)
        burst[: len(burst) // 2] = 0.0
        found = compare(tiny_metric, TONE, TONE + burst, level="absolute", align="none")
        n_frame = len(found.time_map)
        assert found.time_map[n_frame // 2 :].sum() > 2.0 * found.time_map[: n_frame // 2].sum()

    def test_is_the_distance(self, tiny_metric):
        found = compare(tiny_metric, TONE, NOISY)
        expected = distance(tiny_metric, TONE, NOISY)
        assert found.distance == pytest.approx(expected, rel=1e-6)

    def test_added_and_missing(self, tiny_metric):
        more = TONE + signals.low_passed(signals.noise(0.4, rms=0.05), 6000.0)
        there = compare(tiny_metric, TONE, more, level="absolute")
        back = compare(tiny_metric, more, TONE, level="absolute")
        assert there.added > 3.0 * there.missing
        assert (back.added, back.missing) == (there.missing, there.added)

    def test_gain_is_what_the_test_needed(self, tiny_metric):
        quieter = TONE * 10.0 ** (-6.0 / 20.0)
        assert compare(tiny_metric, TONE, quieter).gain_db == pytest.approx(6.0, abs=0.01)
        assert compare(tiny_metric, quieter, TONE).gain_db == pytest.approx(-6.0, abs=0.01)
        assert compare(tiny_metric, TONE, quieter, level="absolute").gain_db == 0.0

    def test_same_content_tells_copies_from_other_sounds(self, tiny_metric):
        assert compare(tiny_metric, TONE, TONE).same_content == 1.0
        other = compare(tiny_metric, TONE, signals.noise(0.4))
        assert 0.0 <= other.same_content < 0.5

    def test_summary_is_plain_json(self, tiny_metric):
        summary = compare(tiny_metric, TONE, NOISY).summary()
        assert json.loads(json.dumps(summary, allow_nan=False)) == summary
        assert not {"time_map", "band_map"} & set(summary)
        assert summary["model"] == {"name": "untrained", "version": "", "sha256": ""}
        assert summary["warnings"] == []

    def test_the_distance_is_fidelity_and_content_in_the_proportion_given(self, tiny_metric):
        for other in (signals.with_noise(TONE, 20.0), signals.noise(0.4)):
            found = compare(tiny_metric, TONE, other)
            same = found.same_content
            mixed = same * found.fidelity + (1.0 - same) * found.content
            assert found.distance == pytest.approx(mixed, rel=1e-5)

    def test_warns_of_silence(self, tiny_metric):
        found = compare(tiny_metric, TONE, signals.silence(0.4))
        assert found.warnings == ("the test is inaudible: it was compared as silence",)
        both = compare(tiny_metric, signals.silence(0.4), signals.silence(0.4))
        assert len(both.warnings) == 2
        assert both.distance == 0.0

    def test_silence_has_no_loudness_to_match(self, tiny_metric):
        assert compare(tiny_metric, TONE, signals.silence(0.4)).gain_db == 0.0

    def test_a_truncated_copy_is_different_and_coverage_says_so(self, tiny_metric):
        found = compare(tiny_metric, TONE, TONE[: len(TONE) // 2])
        assert found.coverage == pytest.approx(2.0 / 3.0, abs=1e-3)
        assert found.distance > 0.0
        assert found.warnings[0].startswith("only 67 % of both clips had a counterpart")


class TestLag:
    @pytest.mark.parametrize("lag_ms", [10.0, -10.0])
    def test_is_found_and_reported(self, tiny_metric, lag_ms):
        source = signals.piece(0.7, seed=3)
        late = round(lag_ms * RATE / 1000.0)
        first = 4800
        a, b = source[first:24_000], source[first - late : 24_000 - late]
        found = compare(tiny_metric, a, b)
        assert found.lag_ms == pytest.approx(lag_ms, abs=0.1)
        unaligned = compare(tiny_metric, a, b, align="none")
        assert unaligned.lag_ms == 0.0
        assert found.distance < 0.5 * unaligned.distance

    def test_swapping_flips_its_sign(self, tiny_metric):
        source = signals.noise(0.5)
        a, b = source[480:], source[:-480]
        there, back = compare(tiny_metric, a, b), compare(tiny_metric, b, a)
        assert there.lag_ms == -back.lag_ms == 10.0
        assert there.distance == back.distance

    def test_two_clicks_far_apart_leave_something_to_compare(self, tiny_metric):
        """The best lag leaves 10 ms in common, too short for the encoder."""
        a, b = signals.silence(0.3), signals.silence(0.3)
        a[10], b[14_000] = 0.9, 0.9
        assert distance(tiny_metric, a, b) > 0.0


@pytest.mark.parametrize(
    ("value", "probability"), [(0.0, 0.0), (0.5, 0.1591036), (1.0, 0.5), (2.0, 0.9375), (9.0, 1.0)]
)
def test_p_audible_is_a_half_at_1_and_grows_from_0_to_1(value, probability):
    assert comparison.p_audible(value) == pytest.approx(probability, abs=1e-6)


@pytest.mark.parametrize(
    ("value", "different"), [(0.0, False), (0.5, False), (3.0, True), (1e6, True)]
)
def test_describe_has_words_for_every_distance(value, different):
    words = comparison.describe(value)
    assert words
    assert (words != comparison.describe(0.0)) >= different


class TestChunkInterval:
    def test_an_even_map_has_no_width(self):
        low, high = comparison.chunk_interval(torch.full((760,), 2.0 / 760))
        assert low == pytest.approx(2.0, rel=1e-6)
        assert high == pytest.approx(2.0, rel=1e-6)

    def test_one_bad_place_of_ten(self):
        time_map = torch.zeros(750)
        time_map[100:110] = 0.1
        # It is drawn 0 times in 10 with a chance of 0.35, 4 times or more with one of 0.013.
        assert comparison.chunk_interval(time_map) == pytest.approx((0.0, 3.0))
        assert comparison.chunk_interval(time_map) == comparison.chunk_interval(time_map)

    def test_short_clips_have_none(self):
        assert comparison.chunk_interval(torch.ones(299)) is None
        assert comparison.chunk_interval(torch.ones(300)) is not None
