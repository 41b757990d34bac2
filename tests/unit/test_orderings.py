"""Orderings on recordings: how they are counted, and the command that runs them."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy import signal

from benchmarks import orderings
from benchmarks.__main__ import main
from benchmarks.datasets import recordings, synthetic
from benchmarks.metrics import REGISTRY, UndefinedError
from tests.support.audio_files import needs_ffmpeg

SAMPLE_RATE = 44_100


def rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


class TestOrderings:
    def ideal(self) -> tuple[dict[str, float], dict[str, float]]:
        copies = {
            name: float(step)
            for ladder in orderings.LADDERS.values()
            for step, name in enumerate(ladder, start=1)
        }
        return copies | {orderings.CLIPPED: 5.0}, {"x": 10.0, "y": 11.0}

    def held(self, copies: dict[str, float], others: dict[str, float]) -> dict[str, list[bool]]:
        kinds: dict[str, list[bool]] = {}
        for kind, _, _, (near, far) in orderings.orderings(copies, others):
            kinds.setdefault(kind, []).append(near < far)
        return kinds

    def test_are_counted_as_described(self) -> None:
        kinds = self.held(*self.ideal())
        assert {kind: len(held) for kind, held in kinds.items()} == {
            "noise ladder": 3,
            "low-pass ladder": 2,
            "mp3 ladder": 2,
            orderings.NEAREST_OTHER: 9,
            orderings.EACH_OTHER: 18,
            "clipping": 1,
        }
        assert all(all(held) for held in kinds.values())

    def test_a_tie_does_not_hold(self) -> None:
        copies, others = self.ideal()
        copies["noise 40 dB"] = copies["noise 60 dB"]
        assert self.held(copies, others)["noise ladder"] == [False, True, True]

    def test_an_undefined_value_does_not_hold(self) -> None:
        copies, others = self.ideal()
        copies["mp3 64 kbit/s"] = math.nan
        assert self.held(copies, others)["mp3 ladder"] == [False, False]
        others["y"] = math.nan
        kinds = self.held(*self.ideal()[:1], others)
        assert not any(kinds[orderings.NEAREST_OTHER])
        assert sum(kinds[orderings.EACH_OTHER]) == 9

    def test_the_nearest_other_decides_but_0_db_noise_is_free(self) -> None:
        copies, others = self.ideal()
        copies["noise 0 dB"] = 100.0
        others["y"] = 2.5
        kinds = self.held(copies, others)
        # The third rungs of three ladders (3.0) are beyond it.
        assert sum(kinds[orderings.NEAREST_OTHER]) == 6
        assert sum(kinds[orderings.EACH_OTHER]) == 9 + 6


class SpectralDistance:
    """Enough for synthetic recordings: rms difference of log spectra over frames."""

    name, version = "spectral", "1"

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        n_samples = min(a.shape[-1], b.shape[-1])
        spectra = [
            np.log(np.abs(signal.stft(x[:, :n_samples], nperseg=1024)[2]) ** 2 + 1e-10)
            for x in (a, b)
        ]
        return float(np.sqrt(np.mean((spectra[0] - spectra[1]) ** 2)))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    synthetic.write(folder)
    return folder


@needs_ffmpeg
class TestRun:
    def test_takes_every_value_and_ordering_of_every_recording(self, root: Path) -> None:
        paths = recordings.read(root).paths
        excerpts = [orderings.read_excerpt(name, path) for name, path in paths.items()]
        seen = []
        result = orderings.run(SpectralDistance(), excerpts, on_value=lambda: seen.append(1))
        assert tuple(result.columns) == orderings.COLUMNS
        assert len(seen) == orderings.n_values(3) == 3 * (11 + 2)
        assert len(result) == 3 * (3 + 2 + 2 + 9 + 18 + 1)
        assert set(result["recording"]) == set(paths)
        noise = result[result["kind"] == "noise ladder"]
        assert noise["held"].all()
        held, counted = orderings.share_held(result)
        assert counted == 3 * 17
        assert held == result[result["kind"] != orderings.EACH_OTHER]["held"].sum()
        assert orderings.share_held(result, others=orderings.EACH_OTHER)[1] == 3 * 26
        summary = orderings.summarise(result)
        assert summary["counted"].sum() == len(result)

    def test_command_writes_and_judges(
        self,
        root: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        class Oracle:
            """Knows every copy by how it differs; another recording is farthest."""

            name, version = "oracle", "1"

            def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
                error = rms(a - b) / rms(a) if a.shape == b.shape else 10.0
                return error if error < 0.9 else 10.0

        monkeypatch.setattr(orderings, "COPIES", _NOISY_COPIES)
        monkeypatch.setattr(orderings, "LADDERS", _NOISY_LADDERS)
        monkeypatch.setitem(REGISTRY, "oracle", lambda _argument: Oracle())
        monkeypatch.setitem(REGISTRY, "flat", lambda _argument: _Flat())
        monkeypatch.setitem(REGISTRY, "mute", lambda _argument: _Mute())
        path = tmp_path / "orderings.csv"
        options = ["orderings", "--data", str(root), "--results", str(path), "--metric"]
        codes = {}
        for name in ("oracle", "flat", "mute", "oracle"):
            with pytest.raises(SystemExit) as stopped:
                main([*options, name])
            codes[name] = stopped.value.code
        assert codes == {"oracle": 0, "flat": 1, "mute": 1}
        output = capsys.readouterr().out
        assert "oracle: 21 of 21 orderings held (100.0%)" in output
        assert "flat: 0 of 21 orderings held (0.0%)" in output
        assert "mute: 0 of 21 orderings held (0.0%)" in output
        written = pd.read_csv(path)
        assert tuple(written.columns) == orderings.COLUMNS
        assert written["metric"].value_counts().to_dict() == {
            "oracle": 39,
            "flat": 39,
            "mute": 39,
        }

    def test_command_needs_recordings(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as stopped:
            main(["orderings", "--data", str(tmp_path)])
        assert stopped.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: orderings need at least 2 recordings")


class _Flat:
    name, version = "flat", "1"

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        return 1.0


class _Mute:
    name, version = "mute", "1"

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        raise UndefinedError("never has an answer")


_NOISY_LADDERS = {"noise": orderings.LADDERS["noise"]}
_NOISY_COPIES = {
    **orderings.LADDERS["noise"],
    orderings.CLIPPED: orderings.COPIES[orderings.CLIPPED],
}


def test_excerpt_is_the_middle_ten_seconds(tmp_path: Path) -> None:
    path = tmp_path / "ramp.wav"
    ramp = np.linspace(-1, 1, 12_000)
    soundfile.write(path, ramp, 1000, subtype="FLOAT")
    excerpt = orderings.read_excerpt("ramp", path)
    assert excerpt.waveform.shape == (1, 10_000)
    assert excerpt.waveform[0, 0] == pytest.approx(ramp[1000], abs=1e-6)
    assert excerpt.sample_rate == 1000
