"""What an encoder costs beside transformers' own HubertModel, and what its windows change.

Three tables, by `python -m benchmarks encoder`: speed, paired with the stock module of the same
weights; memory of long clips, each in a process of its own; and how far windows are from one pass.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch
from torch import Tensor
from torch.nn import functional

import pamt_metric
from benchmarks import process_memory
from pamt_metric.encoders import mert_config
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.resample import resample

# Values of the published config of MERT-v1-95M that differ from HuBERT's defaults (hidden size 768,
# 12 layers of 12 heads).
MERT_95M = {"feat_proj_layer_norm": True, "mask_time_prob": 0.05}
RANDOM = "random-95m"
BUNDLED = "pamt-mini"
# Window and overlap in seconds, compared with one pass.
WINDOWS = ((2, 0), (5, 0), (10, 0), (30, 0), (5, 1), (5, 2.5), (10, 5))
PARTS = ("speed", "memory", "windows")


def make(name: str) -> MertEncoder:
    """An encoder by name: the bundled one, a random one of MERT's size, or a folder or Hub id."""
    if name == BUNDLED:
        return rebuild(pamt_metric.load().encoder)
    if name == RANDOM:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return MertEncoder(MERT_95M, normalize=True)
    return MertEncoder.from_pretrained(name)


def rebuild(encoder: MertEncoder, **timing: float) -> MertEncoder:
    """The same encoder with other windows."""
    with torch.random.fork_rng(devices=[]):
        other = MertEncoder(encoder.config | timing, normalize=encoder.normalize)
    other.load_state_dict(encoder.state_dict())
    return other


def stock(encoder: MertEncoder) -> Any:
    """transformers' HubertModel with the same weights."""
    from transformers import HubertConfig, HubertModel

    values = {name: encoder.config[name] for name in mert_config.HUBERT_DEFAULTS}
    module: Any = HubertModel(HubertConfig(**values)).eval().requires_grad_(False)
    module.load_state_dict(encoder.module.state_dict())
    return module.to(next(encoder.parameters()).dtype)


# Speed


def speed(encoder: MertEncoder, *, repeats: int) -> pd.DataFrame:
    """Seconds of each way to encode, and its ratio to the stock module, taken in turns.

    Normalisation is off, because the stock module has none.
    """
    encoder = rebuild(encoder)
    encoder.normalize = False
    module, top = stock(encoder), [encoder.n_layers]
    compiled = rebuild(encoder)
    compiled.compile()
    half = rebuild(encoder).to(torch.bfloat16)
    stock_half = stock(half)
    rows = []
    for seconds in (5, 30):
        clip = noise(round(seconds * encoder.sample_rate))[None]
        ways: dict[str, Callable[[], object]] = {
            "HubertModel, one pass": lambda clip=clip: module(clip),
            "ours, top layer": lambda clip=clip: encoder(clip, layers=top),
            "ours, up to the middle layer": lambda clip=clip: encoder(clip, layers=[top[0] // 2]),
            "ours, compiled": lambda clip=clip: compiled(clip, layers=top),
            "HubertModel, bfloat16": lambda clip=clip: stock_half(clip.bfloat16()),
            "ours, bfloat16": lambda clip=clip: half(clip, layers=top),
        }
        rows += _paired(ways, repeats=repeats, columns={"seconds": seconds})
    return pd.DataFrame(rows)


@torch.inference_mode()
def _paired(
    ways: Mapping[str, Callable[[], object]], *, repeats: int, columns: Mapping[str, Any]
) -> list[dict[str, Any]]:
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if turn:  # the first one warms up, and compiles
                times[name].append(time.perf_counter() - start)
    first = np.array(times[next(iter(ways))])
    return [
        {
            **columns,
            "way": name,
            "median_s": float(np.median(taken)),
            "ratio": float(np.median(np.array(taken) / first)),
            "low": float(np.quantile(np.array(taken) / first, 0.25)),
            "high": float(np.quantile(np.array(taken) / first, 0.75)),
        }
        for name, taken in times.items()
    ]


def noise(n_samples: int) -> Tensor:
    """Noise at a usual level."""
    return 0.1 * torch.randn(n_samples, generator=torch.Generator().manual_seed(0))


# Memory


def memory(name: str, minutes: Iterable[float]) -> pd.DataFrame:
    """Peak memory of `stream` on clips of these lengths, beyond the loaded encoder's."""
    rows = []
    for length in minutes:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            rows.append(pool.submit(_measure_memory, name, length).result())
    return pd.DataFrame(rows)


@torch.inference_mode()
def _measure_memory(name: str, minutes: float) -> dict[str, Any]:
    encoder = make(name)
    encoder(noise(encoder.min_samples)[None])  # loads what the first pass loads
    loaded = process_memory.resident()
    process_memory.restart_peak()
    clip = noise(round(60 * minutes * encoder.sample_rate))
    start = time.perf_counter()
    total, count = torch.zeros(encoder.width), 0
    for states in encoder.stream(clip, layers=[-1]):
        total += states[0].sum(0)
        count += states.shape[1]
    return {
        "encoder": name,
        "minutes": minutes,
        "frames": count,
        "waveform_mib": clip.nbytes / process_memory.MIB,
        "peak_mib": (process_memory.peak() - loaded) / process_memory.MIB,
        "seconds": time.perf_counter() - start,
    }


# Windows


@torch.inference_mode()
def windows(
    name: str, clips: Mapping[str, tuple[Tensor, int]], *, seconds: Iterable[int]
) -> pd.DataFrame:
    """How near the hidden states of windows are to those of one pass, for each clip and length.

    Of the bundled encoder also the embeddings that its metric makes of them.
    """
    encoder = make(name)
    rows = []
    for length, (title, (samples, sample_rate)) in itertools.product(seconds, clips.items()):
        cut_clip = samples[: length * sample_rate]
        if len(cut_clip) < length * sample_rate:
            continue
        clip = resample(cut_clip, sample_rate, encoder.sample_rate)[None]
        embed = _embedder(cut_clip, sample_rate) if name == BUNDLED else None
        whole = rebuild(encoder, window_s=length + 1)(clip)
        for window_s, overlap_s in WINDOWS:
            if window_s < length:
                states = rebuild(encoder, window_s=window_s, overlap_s=overlap_s)(clip)
                row = {"encoder": name, "clip": title, "seconds": length}
                row |= {"window_s": window_s, "overlap_s": overlap_s}
                row |= nearness(states[0], whole[0])
                rows.append(row | (_embedding_nearness(embed, states, whole) if embed else {}))
    return pd.DataFrame(rows)


def read_mono(path: Path) -> tuple[Tensor, int]:
    """The mean of a file's channels, and its sample rate."""
    samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    return torch.from_numpy(samples.mean(1)), sample_rate


Embed = Callable[[Tensor], tuple[Tensor, Tensor]]


def _embedder(samples: Tensor, sample_rate: int) -> Embed:
    """What the bundled metric's head makes of hidden states of this clip: pooled, and by frame."""
    metric = pamt_metric.load()
    ear_rate = 2 * metric.encoder.sample_rate
    waveform = resample(samples, sample_rate, ear_rate)[None, None]
    tokens = metric.ear(waveform, torch.tensor([waveform.shape[-1]]))
    layers = metric.head.encoder_layers

    def embed(states: Tensor) -> tuple[Tensor, Tensor]:
        missing = tokens.mask.shape[1] - states.shape[2]
        embedding = metric.head(functional.pad(states[:, layers], (0, 0, 0, missing)), tokens)
        return embedding.pooled, embedding.sequence[0]

    return embed


def _embedding_nearness(embed: Embed, states: Tensor, whole: Tensor) -> dict[str, float]:
    (pooled, frames), (pooled_whole, frames_whole) = embed(states), embed(whole)
    frame = functional.cosine_similarity(frames, frames_whole, dim=-1)
    return {
        "embedding_frame": float(frame.mean()),
        "embedding_pooled": float(functional.cosine_similarity(pooled, pooled_whole, dim=-1)),
    }


def nearness(cut: Tensor, whole: Tensor) -> dict[str, float]:
    """Cosines of (layer, frame, width), and the error relative to what frames differ by.

    Means over layers, and the layer where it is worst.
    """
    frame = functional.cosine_similarity(cut, whole, dim=-1).mean(1)
    pooled = functional.cosine_similarity(cut.mean(1), whole.mean(1), dim=-1)
    spread = (whole - whole.mean(1, keepdim=True)).square().sum((1, 2))
    error = ((cut - whole).square().sum((1, 2)) / spread).sqrt()
    return {
        "frame": float(frame.mean()),
        "frame_worst": float(frame.min()),
        "pooled": float(pooled.mean()),
        "pooled_worst": float(pooled.min()),
        "error": float(error.mean()),
        "error_worst": float(error.max()),
    }
