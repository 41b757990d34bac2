"""Orderings that every listener would agree on, checked on 15 real recordings for any metric.

For each recording, an excerpt of at most 10 s from its middle, at its own rate and channels:

- each ladder grows strictly: white noise at 60, 40, 20, 0 dB SNR; low-pass at 12, 7, 3.5 kHz;
  MP3 at 128, 64, 32 kbit/s. Adjacent rungs make 3 + 2 + 2 orderings.
- another recording is farther than each of these copies, but for the one with noise at 0 dB: 9
  orderings against the nearest of the other recordings, and 9 for each of the others.
- noise at 60 dB SNR is nearer than clipping at a quarter of the peak: 1 ordering.

The share that counts takes the 7 + 9 + 1 orderings with the nearest other recording; the share over
each of the others is reported beside it. An ordering with an undefined value does not hold.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import degradations
from benchmarks.datasets.table import groups
from benchmarks.metrics import Metric, measure
from benchmarks.results_file import replace_rows
from benchmarks.waveforms import match_channels, read, resample

EXCERPT_S = 10.0
NOISE_SEED = 0
REQUIRED_SHARE = 0.95
# What counts, what is reported beside it.
NEAREST_OTHER = "nearest other recording"
EACH_OTHER = "each other recording"
COLUMNS = (
    "metric",
    "recording",
    "kind",
    "nearer",
    "farther",
    "nearer_value",
    "farther_value",
    "held",
)

Degradation = Callable[[np.ndarray, int], np.ndarray]


def _noise(snr_db: float) -> Degradation:
    def degrade(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        generator = np.random.default_rng(NOISE_SEED)
        return degradations.white_noise(waveform, sample_rate, snr_db=snr_db, generator=generator)

    return degrade


# Each ladder from the copy nearest to the original to the farthest.
LADDERS: dict[str, dict[str, Degradation]] = {
    "noise": {f"noise {snr_db} dB": _noise(snr_db) for snr_db in (60, 40, 20, 0)},
    "low-pass": {
        f"low-pass {khz} kHz": partial(degradations.low_pass, cutoff_hz=1000.0 * khz)
        for khz in (12, 7, 3.5)
    },
    "mp3": {f"mp3 {kbps} kbit/s": partial(degradations.mp3, kbps=kbps) for kbps in (128, 64, 32)},
}
CLIPPED = "clipped at a quarter of the peak"
NEARER_THAN_CLIPPED = "noise 60 dB"
# So loud that another recording need not be farther.
UNLIKE_ANY_OTHER = ("noise 0 dB",)

COPIES: dict[str, Degradation] = {
    name: degrade for ladder in LADDERS.values() for name, degrade in ladder.items()
} | {CLIPPED: partial(degradations.clip, fraction_of_peak=0.25)}


@dataclass(frozen=True)
class Recording:
    """An excerpt `(channel, time)`, its sample rate in Hz, and what kind of sound it is."""

    name: str
    waveform: np.ndarray
    sample_rate: int
    source: str = "recording"


def read_excerpt(name: str, path: Path) -> Recording:
    """At most `EXCERPT_S` seconds from the middle of a file."""
    waveform, sample_rate = read(path)
    n_samples = min(waveform.shape[-1], round(EXCERPT_S * sample_rate))
    start = (waveform.shape[-1] - n_samples) // 2
    return Recording(name, waveform[:, start : start + n_samples], sample_rate)


def run(
    metric: Metric, recordings: list[Recording], *, on_value: Callable[[], None] = lambda: None
) -> pd.DataFrame:
    """Every ordering of every recording, with both values and whether it held.

    Args:
        metric: Any contestant.
        recordings: The originals; each is also another recording for all the rest.
        on_value: Called after each value (`n_values` of them), to show progress.
    """
    rows: list[dict[str, object]] = []
    for recording in recordings:
        copies = {}
        for name, degrade in COPIES.items():
            copies[name] = _value(
                metric, recording, degrade(recording.waveform, recording.sample_rate)
            )
            on_value()
        others = {}
        for other in recordings:
            if other.name != recording.name:
                others[other.name] = _value(metric, recording, like(other, recording))
                on_value()
        for kind, nearer, farther, values in orderings(copies, others):
            rows.append(
                {
                    "metric": metric.name,
                    "recording": recording.name,
                    "kind": kind,
                    "nearer": nearer,
                    "farther": farther,
                    "nearer_value": values[0],
                    "farther_value": values[1],
                    "held": values[0] < values[1],
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def n_values(n_recordings: int) -> int:
    """How many values `run` takes."""
    return n_recordings * (len(COPIES) + n_recordings - 1)


def orderings(
    copies: Mapping[str, float], others: Mapping[str, float]
) -> Iterator[tuple[str, str, str, tuple[float, float]]]:
    """Kind, what should be nearer, what should be farther, and both values, of one recording.

    Args:
        copies: Distance of each of `COPIES` from the original.
        others: Distance of each other recording from it.
    """
    for ladder, rungs in LADDERS.items():
        for near, far in pairwise(rungs):
            yield f"{ladder} ladder", near, far, (copies[near], copies[far])
    rungs = [name for ladder in LADDERS.values() for name in ladder]
    compared = [name for name in rungs if name not in UNLIKE_ANY_OTHER]
    if others:
        # NaN first: an undefined distance to any other recording must not pass unseen.
        nearest = min(others, key=lambda name: (not np.isnan(others[name]), others[name]))
        for copy in compared:
            yield NEAREST_OTHER, copy, nearest, (copies[copy], others[nearest])
    for copy in compared:
        for other, value in others.items():
            yield EACH_OTHER, copy, other, (copies[copy], value)
    yield "clipping", NEARER_THAN_CLIPPED, CLIPPED, (copies[NEARER_THAN_CLIPPED], copies[CLIPPED])


def summarise(results: pd.DataFrame) -> pd.DataFrame:
    """Orderings held and counted for each recording and kind."""
    keys = ["metric", "recording", "kind"]
    rows = [
        (*key, int(part["held"].to_numpy().sum()), len(part)) for key, part in groups(results, keys)
    ]
    return pd.DataFrame(rows, columns=[*keys, "held", "counted"])


def share_held(results: pd.DataFrame, *, others: str = NEAREST_OTHER) -> tuple[int, int]:
    """Orderings that held, and all that count, with one of the two ways to take the others."""
    left_out = EACH_OTHER if others == NEAREST_OTHER else NEAREST_OTHER
    counted = np.asarray(results["held"])[np.asarray(results["kind"] != left_out)]
    return int(counted.sum()), len(counted)


def write(results: pd.DataFrame, path: Path) -> None:
    """Writes the orderings; rows of other metrics that are in the file already stay."""
    replace_rows(results, path, keys=["metric"], float_format="%.6g")


def like(other: Recording, recording: Recording) -> np.ndarray:
    """Another recording at the rate of this one."""
    return resample(other.waveform, other.sample_rate, recording.sample_rate)


def _value(metric: Metric, recording: Recording, test: np.ndarray) -> float:
    pair = match_channels(recording.waveform, test)
    return measure(metric, *pair, recording.sample_rate).value
