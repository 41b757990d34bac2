"""The benchmark of speed: turns, reasons, start-up, and the report's verdicts."""

import math

import numpy as np
import pandas as pd
import pytest

from benchmarks import speed, speed_model, speed_section
from benchmarks.measurement import UndefinedError


class Timed:
    """A metric that takes a given time, or has no answer for long sounds."""

    version = ""

    def __init__(self, name, *, longest_s=math.inf):
        self.name = name
        self.heard = []
        self._longest_s = longest_s

    def __call__(self, a, b, sample_rate):
        if a.shape[1] > self._longest_s * sample_rate:
            raise UndefinedError("too long for it")
        self.heard.append(a.shape)
        return 1.0


def test_every_contestant_has_its_turn_and_a_reason_where_it_has_no_time():
    ours, peer = Timed("pamt"), Timed("peer", longest_s=0.5)
    rows = speed.pairs([ours, peer], lengths_s=(0.3, 0.6), rounds=2)
    assert [(row["name"], row["audio_s"], row["note"]) for row in rows] == [
        ("pamt", 0.3, ""),
        ("peer", 0.3, ""),
        ("pamt", 0.6, ""),
        ("peer", 0.6, "too long for it"),
    ]
    assert [math.isnan(row["value"]) for row in rows] == [False, False, False, True]
    assert ours.heard == [(2, 14_400)] * 4 + [(2, 28_800)] * 4  # asked, warmed up, two rounds
    assert rows[0]["ours_over_it"] == 1.0


def test_a_slow_contestant_takes_part_in_two_rounds(monkeypatch):
    monkeypatch.setattr(speed, "seconds_of", lambda task: task())
    called = []

    def taking(name, seconds):
        return lambda: called.append(name) or seconds

    times = speed.in_turns({"fast": taking("fast", 1.0), "slow": taking("slow", 60.0)}, rounds=5)
    assert called == ["fast", "slow"] * 3 + ["fast"] * 3
    assert speed.medians(times) == {"fast": 1.0, "slow": 60.0}
    ratio = speed.medians(times.rdiv(times["fast"], axis=0))
    assert ratio == {"fast": 1.0, "slow": pytest.approx(1.0 / 60.0)}


def test_all_pairs_of_a_peer_are_extrapolated_and_said_to_be(tiny_metric):
    rows = speed.matrix(tiny_metric, Timed("peer"), n_clips=3, n_pairs=5)
    assert [row["name"] for row in rows] == [
        "all pairs of 3, pamt",
        "embeddings",
        "all pairs of 3, peer",
    ]
    assert rows[2]["note"] == "extrapolated from 2 pairs"
    assert rows[2]["ours_over_it"] == pytest.approx(rows[0]["value"] / rows[2]["value"])


def test_parts_have_operations_and_seconds(tiny_metric):
    rows = speed_model.cost(tiny_metric, "tiny", rounds=1)
    found = {(row["name"], row["unit"]): row["value"] for row in rows}
    for part in ("ear", "encoder", "head"):
        assert found[f"tiny: {part}", "GFLOP a second"] > 0.0
        assert 0.0 < found[f"tiny: {part}", "% of the peak"] < 150.0
    beside = found["tiny: ear and head beside the encoder", "%"]
    seconds = [found[f"tiny: {part}", "ms a second"] for part in ("ear", "head", "encoder")]
    assert beside == pytest.approx(100.0 * (seconds[0] + seconds[1]) / seconds[2])


def test_peak_memory_is_that_of_the_process():
    small, large = (
        int(speed._fresh(speed._TELL_PEAK + code))
        for code in ("x = bytearray(10)", "x = b'a' * 200_000_000")
    )
    assert 1.9e8 < large - small < 2.2e8


def test_files_are_as_long_as_asked(tmp_path):
    import soundfile

    for path in speed._write(tmp_path, 61.0):
        info = soundfile.info(path)
        assert (info.duration, info.channels, info.samplerate) == (61.0, 2, 48_000)


def test_the_report_says_what_is_met_missed_and_not_measured(tmp_path):
    rows = [
        speed.row("pair", "pamt", 10, 0.2, "s", ratio=1.0),
        speed.row("pair", "zimtohrli", 10, 0.25, "s", ratio=0.8),
        speed.row("pair", "visqol", 10, 0.5, "s", ratio=0.4),
        speed.row("pair", "pesq", 60, np.nan, "s", note="no utterance"),
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "speed.csv", index=False)
    text = "\n".join(speed_section.section(tmp_path))
    assert "| one 10 s pair, over Zimtohrli's time | 0.8 | 1 | met |" in text
    assert "| one 10 s pair, over ViSQOL's time | 0.4 | 0.25 | missed |" in text
    assert "| import, s | - | 0.3 | not measured |" in text
    assert "| pesq | 60 | - | s | - | no utterance |" in text


def test_the_report_names_the_command_where_nothing_was_measured(tmp_path):
    assert "python -m benchmarks speed" in "\n".join(speed_section.section(tmp_path))
