"""How long everything takes, beside the peers on the same sounds, and what it takes of memory.

Contestants take turns within each round, so that other work on the machine slows all of them alike;
the first round warms up, medians are reported, and ratios are medians of the ratios within a round.
Contestants that take many seconds a pair take part in two rounds.
The sounds are composed pieces, stereo at 48 kHz, and the same piece with noise. Peers hear them as
everywhere (`waveforms.baseline_conditions`), ours as they are.

Start-up is that of fresh processes: what importing the package adds to importing torch, and the
command line to that. Memory is the peak of a fresh process that scores two files.
"""

import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch

from benchmarks import encoder, process_memory
from benchmarks.baselines.pamt import Pamt
from benchmarks.measurement import Metric, measure
from benchmarks.sanity.composer import SAMPLE_RATE, compose
from pamt_metric import PerceptualLoss, checkpoint, pairwise_distances
from pamt_metric.head import SequenceHead
from pamt_metric.metric import Metric as Model

FILE_NAME = "speed.csv"
COLUMNS = ("part", "name", "audio_s", "value", "unit", "ours_over_it", "note", "load")
PEERS = ("zimtohrli", "visqol", "pesq", "mr-stft", "haaqi")
OURS, OURS_MERT = "pamt", "pamt, MERT-95M"
LENGTHS_S = (1, 10, 60)
MATRIX_CLIPS, MATRIX_PAIRS = 100, 10
NOISE_RMS = 0.01
LOSS_S = 4
SLOW_S = 5.0
"""Seconds a pair from which a contestant takes part in `SLOW_ROUNDS` only."""
SLOW_ROUNDS = 2
_IMPORT_TORCH = "import torch"
_IMPORT_OURS = "import torch, pamt_metric"
# Not `ru_maxrss`: a process inherits that of the one it was forked from.
_TELL_PEAK = (
    "import atexit; from benchmarks import process_memory\n"
    "atexit.register(lambda: print(process_memory.peak()))\n"
)
_SCORE = "import sys; from pamt_metric.cli import main; sys.argv[0] = 'pamt'; main()"


def pair(seconds: float, *, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A composed piece, and the same with noise; stereo, float32."""
    piece = compose(seed, duration_s=seconds)
    noise = np.random.default_rng(seed).standard_normal(piece.shape).astype(np.float32)
    return piece, piece + NOISE_RMS * noise


def with_mert() -> Model:
    """Ear and head around a MERT-95M of random weights."""
    mert = encoder.make(encoder.RANDOM)
    head = SequenceHead(encoder_layers=range(mert.n_layers + 1), encoder_width=mert.width)
    return Model(mert, head).requires_grad_(False).eval()


def ours() -> list[Metric]:
    """The bundled model, with MERT in its encoder's place, and on a GPU where there is one."""
    made: list[Metric] = [Pamt(checkpoint.load()), Pamt(with_mert(), name=OURS_MERT)]
    if torch.cuda.is_available():
        made.append(Pamt(checkpoint.load(device="cuda"), name="pamt, GPU"))
    return made


def pairs(
    contestants: Sequence[Metric], *, lengths_s: Sequence[float], rounds: int
) -> list[dict[str, Any]]:
    """Seconds of one pair by contestant and length; why a contestant has none."""
    rows = []
    for seconds in lengths_s:
        a, b = pair(seconds)
        refused = {each.name: measure(each, a, b, SAMPLE_RATE).reason for each in contestants}
        tasks = {
            each.name: functools.partial(each, a, b, SAMPLE_RATE)
            for each in contestants
            if not refused[each.name]
        }
        times = in_turns(tasks, rounds=rounds)
        for name, reason in refused.items():
            if reason:
                rows.append(row("pair", name, seconds, np.nan, "s", note=reason))
            else:
                taken = medians(times)[name]
                ratio = medians(times.rdiv(times[OURS], axis=0))[name] if OURS in times else np.nan
                rows.append(row("pair", name, seconds, taken, "s", ratio=ratio))
    return rows


def in_turns(tasks: Mapping[str, Callable[[], object]], *, rounds: int) -> pd.DataFrame:
    """Seconds of each task in each round, warmed up before; slow ones leave later rounds out."""
    first = {name: seconds_of(task) for name, task in tasks.items()}
    return pd.DataFrame(
        [
            {
                name: seconds_of(task)
                for name, task in tasks.items()
                if index < SLOW_ROUNDS or first[name] < SLOW_S
            }
            for index in range(rounds)
        ],
        columns=list(tasks),
    )


def medians(times: pd.DataFrame) -> dict[str, float]:
    """The median of each column, over the rounds that it took part in."""
    return {str(name): float(np.nanmedian(times[name].to_numpy())) for name in times}


def seconds_of(task: Callable[[], object]) -> float:
    """Wall-clock seconds that a task takes."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def matrix(
    model: Model, peer: Metric | None, *, n_clips: int, n_pairs: int
) -> list[dict[str, Any]]:
    """Seconds for the distances of all pairs of clips of 10 s, each encoded once."""
    clips = [compose(seed, duration_s=10.0) for seed in range(n_clips)]
    model.embed(clips[0], sample_rate=SAMPLE_RATE)
    embedding = [
        seconds_of(functools.partial(model.embed, clip, sample_rate=SAMPLE_RATE))
        for clip in clips[: n_pairs + 1]
    ]
    start = time.perf_counter()
    pairwise_distances(clips, sample_rate=SAMPLE_RATE, metric=model)
    total = time.perf_counter() - start
    name = f"all pairs of {n_clips}"
    rows = [row("matrix", f"{name}, {OURS}", 10, total, "s")]
    hours = 10.0 / statistics.median(embedding)
    rows.append(row("throughput", "embeddings", 10, hours, "hours of audio an hour"))
    if peer is not None:
        n_pairs = min(n_pairs, n_clips - 1)
        peer(clips[0], clips[1], SAMPLE_RATE)
        each = [
            seconds_of(functools.partial(peer, clips[i], clips[i + 1], SAMPLE_RATE))
            for i in range(n_pairs)
        ]
        all_of_them = statistics.median(each) * n_clips * (n_clips - 1) / 2
        note = f"extrapolated from {n_pairs} pairs"
        ratio = total / all_of_them
        rows.append(
            row("matrix", f"{name}, {peer.name}", 10, all_of_them, "s", ratio=ratio, note=note)
        )
    return rows


def start_up(*, rounds: int) -> list[dict[str, Any]]:
    """Seconds that importing the package, and `pamt score`, add to `import torch`."""
    with tempfile.TemporaryDirectory() as folder:
        files = _write(Path(folder), 10.0)
        commands = {
            "torch": [_IMPORT_TORCH],
            "import": [_IMPORT_OURS],
            "command": [_SCORE, "score", *files],
        }
        tasks = {name: functools.partial(_fresh, *command) for name, command in commands.items()}
        times = in_turns(tasks, rounds=rounds)
    added = medians(times.sub(times["torch"], axis=0))
    return [
        row("start-up", "import torch", 0, medians(times)["torch"], "s"),
        row("start-up", "import pamt_metric, beyond torch", 0, added["import"], "s"),
        row("start-up", "pamt score, beyond import torch", 10, added["command"], "s"),
    ]


def memory(lengths_s: Sequence[float]) -> list[dict[str, Any]]:
    """Peak MiB and seconds of `pamt score` of two files by their length."""
    rows = []
    for seconds in lengths_s:
        with tempfile.TemporaryDirectory() as folder:
            files = _write(Path(folder), seconds)
            start = time.perf_counter()
            peak = int(_fresh(_TELL_PEAK + _SCORE, "score", *files).splitlines()[-1])
            taken = time.perf_counter() - start
        rows.append(row("memory", "pamt score, peak", seconds, peak / process_memory.MIB, "MiB"))
        rows.append(row("memory", "pamt score, time", seconds, taken, "s"))
    return rows


def _write(folder: Path, seconds: float) -> list[str]:
    """Two files of that length; long ones repeat a minute, the tests with noise."""
    paths = []
    for name, sound in zip(("a", "b"), pair(min(seconds, 60.0)), strict=True):
        path = folder / f"{name}.wav"
        with soundfile.SoundFile(path, "w", SAMPLE_RATE, 2, subtype="PCM_16") as file:
            left = round(seconds * SAMPLE_RATE)
            while left > 0:
                file.write(sound.T[:left])
                left -= sound.shape[1]
        paths.append(str(path))
    return paths


def _fresh(code: str, *arguments: str) -> str:
    """Run Python on some code; what it prints."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def loss(*, rounds: int) -> list[dict[str, Any]]:
    """Seconds of a training step with the loss: forward and backward of one clip."""
    step = PerceptualLoss(sample_rate=SAMPLE_RATE)
    target, start = (torch.from_numpy(x)[None] for x in pair(LOSS_S))

    def run() -> None:
        step(start.clone().requires_grad_(), target).backward()

    taken = medians(in_turns({"step": run}, rounds=rounds))["step"]
    return [row("loss", "forward and backward", LOSS_S, taken, "s")]


def row(
    part: str,
    name: str,
    audio_s: float,
    value: float,
    unit: str,
    *,
    ratio: float = np.nan,
    note: str = "",
) -> dict[str, Any]:
    load = os.getloadavg()[0]
    cells = part, name, audio_s, float(value), unit, ratio, note, round(load, 1)
    return dict(zip(COLUMNS, cells, strict=True))


def run(
    peers: Sequence[Metric],
    *,
    lengths_s: Sequence[float],
    rounds: int,
    n_clips: int,
    memory_s: Sequence[float],
) -> Iterator[list[dict[str, Any]]]:
    """All parts, one after another."""
    from benchmarks import speed_model

    contestants = [*ours(), *peers]
    yield pairs(contestants, lengths_s=lengths_s, rounds=rounds)
    zimtohrli = next((peer for peer in peers if peer.name == "zimtohrli"), None)
    yield matrix(checkpoint.load(), zimtohrli, n_clips=n_clips, n_pairs=MATRIX_PAIRS)
    yield start_up(rounds=rounds)
    for name, model in ((OURS, checkpoint.load()), (OURS_MERT, with_mert())):
        yield speed_model.cost(model, name, rounds=rounds)
    yield loss(rounds=rounds)
    yield memory(memory_s)
