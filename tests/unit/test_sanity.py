"""The sanity suite: what its probes ask, on which clips, and what it says of a metric."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cache import ValueCache
from benchmarks.datasets import synthetic
from benchmarks.metrics import UndefinedError
from benchmarks.orderings import Recording
from benchmarks.sanity import clips, composed, find_clips, probes, run, summarise, trials
from benchmarks.sanity.suite import COLUMNS, run_trial
from pamt_metric.errors import InputError

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def ideal() -> dict[str, float]:
    """Values of a metric without fault: every copy near, another recording at 10 and more."""
    values = {
        name: 0.5 * step
        for ladder in probes.LADDERS.values()
        for step, name in enumerate(ladder, start=1)
    }
    values |= {
        probes.ITSELF: 0.0,
        probes.DELAYED: 0.1,
        probes.SOFTER: 0.1,
        probes.FLIPPED: 0.0,
        probes.OFFSET: 0.0,
        probes.RESAMPLED: 0.0,
        probes.HALF_RATE: 0.4,
        probes.TRUNCATED: 4.0,
        probes.WIDE: 0.0,
        probes.ONE_FLIPPED: 2.0,
        probes.COLLAPSED: 2.0,
        probes.SILENCES: 0.0,
        probes.SILENT: 8.0,
        probes.FROM_SILENCE: 8.0,
        probes.NOT_A_NUMBER: math.nan,
        "back from noise 20 dB": 1.5,
        f"back from {probes.OTHER}": 10.0,
    }
    return values | {f"{probes.OTHER} {index}": 10.0 + index for index in range(3)}


def failed(values: dict[str, float]) -> set[str]:
    return {each.probe for each in probes.judge(values) if not each.held}


class TestJudge:
    def test_a_metric_without_fault_holds_everything(self) -> None:
        found = list(probes.judge(ideal()))
        assert all(each.held for each in found)
        assert len(found) == 37
        assert len({each.probe for each in found}) == 23

    @pytest.mark.parametrize(
        ("changes", "probe"),
        [
            ({"mp3 32 kbit/s": 0.9}, "mp3 ladder"),
            ({"pitch +4 semitones": 0.9}, "pitch ladder"),
            ({"tempo x 1.3": 0.9}, "tempo ladder"),
            ({"reverb 60% wet": 0.9}, "reverb ladder"),
            ({"clipped at 0.1 of the peak": 0.9}, "clipping ladder"),
            ({probes.TRUNCATED: 0.0}, "truncation"),
            ({probes.DELAYED: 5.0}, "delay"),
            ({probes.SOFTER: 11.0}, "gain"),
            ({probes.FLIPPED: 11.0}, "polarity"),
            ({probes.ONE_FLIPPED: 1e-9}, "one channel's polarity"),
            ({probes.COLLAPSED: 1e-9}, "channel collapse"),
            ({probes.SILENCES: 1.0}, "silence twice"),
            ({probes.SILENCES: math.inf}, "silence twice"),
            ({probes.SILENT: 1.0}, "silence or music"),
            ({probes.FROM_SILENCE: math.nan}, "silence or music"),
            ({probes.OFFSET: 3.0}, "DC offset"),
            ({probes.RESAMPLED: 3.0}, "resampling"),
            ({"back from noise 20 dB": 1.4}, "symmetry"),
            ({probes.NOT_A_NUMBER: 1.0}, "NaN refused"),
            ({probes.NOT_A_NUMBER: math.inf}, "NaN refused"),
            ({"noise 60 dB": 10.0}, "inaudible noise"),
            ({f"{probes.OTHER} 1": 0.4}, "another song"),
            ({f"{probes.OTHER} 1": math.nan}, "another song"),
            ({probes.OFFSET: -0.1}, "identity"),
        ],
    )
    def test_a_fault_is_found(self, changes: dict[str, float], probe: str) -> None:
        assert probe in failed(ideal() | changes)

    def test_a_scale_that_starts_elsewhere_fails_in_one_probe_only(self) -> None:
        shifted = {name: value + 3.0 for name, value in ideal().items()}
        # Symmetry is a share of the value, so 1.5 and 1.5 stay alike.
        assert failed(shifted) == {"zero for itself"}

    def test_what_was_not_made_is_not_counted(self) -> None:
        values = ideal()
        del values[probes.TRUNCATED]
        assert len(list(probes.judge(values))) == 36


@pytest.fixture(scope="module")
def pieces() -> list[Recording]:
    return composed(3, duration_s=1.5)


@pytest.fixture(scope="module")
def trial(pieces: list[Recording]) -> probes.Trial:
    return next(trials(pieces))


class TestTrial:
    @needs_ffmpeg
    def test_has_every_pair(self, trial: probes.Trial) -> None:
        assert trial.missing == {}
        judged = {each.probe for each in probes.judge(dict.fromkeys(trial.pairs, 1.0))}
        assert judged == {each.probe for each in probes.judge(ideal())}
        assert all(a.dtype == b.dtype == np.float32 for a, b in trial.pairs.values())
        assert all(len(a) == len(b) == 2 for a, b in trial.pairs.values())
        _, cut = trial.pairs[probes.TRUNCATED]
        assert cut.shape[-1] == round(0.6 * 1.5 * 48_000)
        assert np.isnan(trial.pairs[probes.NOT_A_NUMBER][1]).sum() == 2

    def test_names_what_cannot_be_made(
        self, pieces: list[Recording], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "")
        trial = probes.make_trial(pieces[0], pieces[1:])
        assert set(trial.missing) == {
            name for kind in ("mp3", "pitch", "tempo") for name in probes.LADDERS[kind]
        }
        assert all("ffmpeg" in reason for reason in trial.missing.values())

    def test_cuts_nothing_off_that_is_silent_anyway(
        self, pieces: list[Recording], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(probes, "COPIES", {"noise 20 dB": probes.COPIES["noise 20 dB"]})
        waveform = pieces[0].waveform.copy()
        waveform[:, 36_000:] *= 1e-3
        dying = Recording("dying", waveform, 48_000)
        assert probes.TRUNCATED in probes.make_trial(dying, pieces[1:]).missing

    def test_wide_clips_keep_their_mono_sum(self, pieces: list[Recording]) -> None:
        waveform = pieces[0].waveform
        wide = probes.widened(waveform, 48_000)
        # float32 rounding of a sum of two samples of about 1.
        assert wide.mean(axis=0) == pytest.approx(waveform.mean(axis=0), abs=1e-6)
        mid, side = wide.sum(axis=0), wide[0] - wide[1]
        assert np.std(side) / np.std(mid) == pytest.approx(probes.SIDE_GAIN, rel=0.01)


class Energy:
    """Band energies over time, compared in decibels; mono, so deaf to width."""

    name, version = "energy", "1"

    def __init__(self) -> None:
        self.n_calls = 0

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        self.n_calls += 1
        if not np.isfinite(b).all():
            raise UndefinedError("not a number")
        n_samples = min(a.shape[-1], b.shape[-1])
        frames = [x.mean(axis=0)[: n_samples // 512 * 512].reshape(-1, 512) for x in (a, b)]
        bands = [np.log10(np.abs(np.fft.rfft(x)) ** 2 + 1e-6) for x in frames]
        return float(np.abs(bands[0] - bands[1]).mean())


@needs_ffmpeg
class TestRun:
    def test_judges_every_clip(self, pieces: list[Recording]) -> None:
        result = run(Energy(), pieces[:2])
        assert tuple(result.columns) == COLUMNS
        assert result.groupby("clip").size().tolist() == [37, 37]
        held = summarise(result).set_index("probe")["share"]
        assert held["noise ladder"] == held["identity"] == held["NaN refused"] == 1.0
        # It compares what both have, and it is mono.
        assert held["truncation"] == held["channel collapse"] == 0.0

    def test_says_why_a_value_is_missing(self, trial: probes.Trial) -> None:
        class DeafToSilence(Energy):
            def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
                if not b.any():
                    raise UndefinedError("silence has no spectrum")
                return super().__call__(a, b, sample_rate)

        result = run_trial(DeafToSilence(), trial)
        reasons = result[result["reason"] != ""].set_index("nearer")["reason"].to_dict()
        assert reasons == {
            probes.SILENCES: "silence has no spectrum",
            "noise 20 dB": "silence has no spectrum",
            probes.NOT_A_NUMBER: "not a number",
        }
        summary = summarise(result).set_index("probe")
        assert summary["reasons"]["silence twice"] == "1 x silence has no spectrum"
        assert summary["held"]["silence or music"] == 1

    def test_takes_known_values_from_the_cache(self, trial: probes.Trial, tmp_path: Path) -> None:
        metric = Energy()
        with ValueCache(tmp_path) as cache:
            first = run_trial(metric, trial, cache=cache)
            n_calls = metric.n_calls
            second = run_trial(metric, trial, cache=cache)
        assert n_calls > 0
        assert metric.n_calls == n_calls
        assert first.equals(second)

    def test_needs_another_recording(self, pieces: list[Recording]) -> None:
        with pytest.raises(InputError, match="at least 2 clips, got 1"):
            run(Energy(), pieces[:1])


class TestClips:
    def test_composed_are_the_same_each_time_and_differ_from_each_other(self) -> None:
        first, second = (composed(3, duration_s=1.0) for _ in range(2))
        for a, b in zip(first, second, strict=True):
            assert np.array_equal(a.waveform, b.waveform)
            assert a.waveform.shape == (2, 48_000)
            assert np.sqrt(np.mean(a.waveform**2)) == pytest.approx(0.1, rel=1e-3)
            assert not np.array_equal(*a.waveform)
        spectra = [np.abs(np.fft.rfft(clip.waveform.mean(axis=0))) for clip in first]
        assert np.corrcoef(spectra).max(initial=-1, where=~np.eye(3, dtype=bool)) < 0.9

    def test_without_data_are_composed_and_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def brief(seed: int, *, duration_s: float) -> np.ndarray:
            return np.full((2, 4), seed, dtype=np.float32)

        monkeypatch.setattr(clips.composer, "compose", brief)
        found = find_clips(None)
        assert len(found.clips) == clips.MIN_CLIPS == 20
        assert {clip.source for clip in found.clips} == {"composed"}
        assert found.missing == ["no data folder: every clip is one that the suite composes itself"]
        assert len(find_clips(None, at_most=4).clips) == 4

    def test_are_recordings_first_and_the_rest_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clips, "composed", lambda n: [Recording("p", None, 1, "composed")] * n)
        synthetic.write(tmp_path)
        found = find_clips(tmp_path)
        sources = [clip.source for clip in found.clips]
        assert (sources.count("recording"), sources.count("composed")) == (3, 17)
        assert "loop_compus is absent" in found.missing
        assert "music/pop909: its MIDI files are absent" in found.missing
