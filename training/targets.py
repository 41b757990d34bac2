"""Targets of masked pretraining: kept for a cached corpus, computed on the fly for streams.

For a cached corpus both teachers' targets are computed once. A window of a stream gets its own, by
the teachers that were fitted on the cached corpus, or on windows of the streams if there is none.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.data.corpus import Corpus
from training.pretrain_config import TeacherConfig
from training.teachers import (
    CQT_N_BINS,
    N_MELS,
    SAMPLE_RATE,
    ConstantQ,
    LogMel,
    ResidualKMeans,
    unit_rms,
)

_FORMAT = 1
_log = logging.getLogger(__name__)

LEAST_STD_DB = 0.1
"""A bin in which nothing ever sounds has none, and is to stay a number."""
CENTROIDS_FILE = "centroids.npy"


class Targets:
    """Cached targets of a corpus, addressed by the corpus's global frame index."""

    def __init__(self, folder: Path) -> None:
        self.codes = np.load(folder / "codes.npy", mmap_mode="r")
        self.cqt = np.load(folder / "cqt.npy", mmap_mode="r")
        self.cqt_mean, self.cqt_std = _read_statistics(folder)


class Teacher:
    """Both teachers, fitted, for audio whose targets are not cached."""

    def __init__(self, folder: Path) -> None:
        self._mel, self._constant_q = LogMel(), ConstantQ()
        centroids = torch.from_numpy(np.load(folder / CENTROIDS_FILE))
        self._quantiser = ResidualKMeans(*centroids.shape)
        self._quantiser.centroids.copy_(centroids)
        self.cqt_mean, self.cqt_std = _read_statistics(folder)

    @torch.inference_mode()
    def targets(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Codes (frame, codebook) and constant-Q spectrum (frame, bin) of a clip at 24 kHz."""
        scaled = unit_rms(torch.from_numpy(waveform))
        codes = self._quantiser(self._mel(scaled).half().float())
        return codes.numpy(), self._constant_q(scaled).numpy()


def _read_statistics(folder: Path) -> tuple[Tensor, Tensor]:
    statistics = json.loads((folder / "statistics.json").read_text())
    std = torch.tensor(statistics["cqt_std"]).clamp(min=LEAST_STD_DB)
    return torch.tensor(statistics["cqt_mean"]), std


def fit_teacher(
    windows: Iterable[np.ndarray], corpora: Sequence[str], config: TeacherConfig, work: Path
) -> Teacher:
    """Fit both teachers on windows of corpora of these names, or open what was fitted on them."""
    folder = work / f"teacher-{_identity(config, *corpora)}"
    if (folder / "statistics.json").is_file():
        return Teacher(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mel, constant_q = LogMel(), ConstantQ()
    features, cqt = [], []
    with torch.inference_mode():
        for window in windows:
            scaled = unit_rms(torch.from_numpy(window))
            features.append(mel(scaled).numpy().astype(np.float16))
            cqt.append(constant_q(scaled).numpy().astype(np.float16))
        quantiser = _fit_quantiser(np.concatenate(features), config)
    _write_teacher(folder, quantiser, _sample_frames(np.concatenate(cqt), config))
    return Teacher(folder)


def _write_teacher(folder: Path, quantiser: ResidualKMeans, cqt: Tensor) -> None:
    np.save(folder / CENTROIDS_FILE, quantiser.centroids.numpy())
    statistics = {"cqt_mean": cqt.mean(0).tolist(), "cqt_std": cqt.std(0).tolist()}
    # Written last: its presence says that the folder is complete.
    (folder / "statistics.json.tmp").write_text(json.dumps(statistics))
    (folder / "statistics.json.tmp").replace(folder / "statistics.json")


def targets_folder(corpus: Corpus, config: TeacherConfig) -> Path:
    """Where a corpus's targets are, and the teachers that were fitted for them."""
    return corpus.folder / f"targets-{_identity(config)}"


def _identity(config: TeacherConfig, *corpora: str) -> str:
    text = json.dumps({"format": _FORMAT, **asdict(config)}, sort_keys=True) + "".join(corpora)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def build_targets(corpus: Corpus, config: TeacherConfig, *, with_teacher: bool = False) -> Targets:
    """Compute both teachers' targets for a corpus, or open them if that was done before.

    Args:
        corpus: the corpus.
        config: of the teachers.
        with_teacher: compute them again where the quantiser was not kept, as by earlier versions.
    """
    folder = targets_folder(corpus, config)
    kept = (folder / CENTROIDS_FILE).is_file()
    if (folder / "statistics.json").is_file() and (kept or not with_teacher):
        return Targets(folder)
    folder.mkdir(exist_ok=True)
    mel, constant_q = LogMel(), ConstantQ()
    features = np.empty((corpus.n_frames, N_MELS), np.float16)
    cqt = np.lib.format.open_memmap(
        folder / "cqt.npy", "w+", np.float16, shape=(corpus.n_frames, CQT_N_BINS)
    )
    with torch.inference_mode():
        for number, clip in enumerate(corpus.clips, 1):
            span = slice(clip.start_frame, clip.start_frame + clip.n_frames)
            waveform = unit_rms(torch.from_numpy(corpus.waveform(clip, sample_rate=SAMPLE_RATE)))
            features[span] = mel(waveform).numpy()
            cqt[span] = constant_q(waveform).numpy()
            if number % 100 == 0:
                _log.info("targets of %d of %d clips", number, len(corpus.clips))
        quantiser = _fit_quantiser(features, config)
        codes = _quantise(quantiser, features)
    np.save(folder / "codes.npy", codes)
    cqt.flush()
    _write_teacher(folder, quantiser, _sample_frames(cqt, config))
    return Targets(folder)


def _sample_frames(values: np.ndarray, config: TeacherConfig) -> Tensor:
    rng = np.random.default_rng(config.seed)
    size = min(config.n_fit_frames, len(values))
    rows = np.sort(rng.choice(len(values), size, replace=False))
    return torch.from_numpy(values[rows].astype(np.float32))


def _fit_quantiser(features: np.ndarray, config: TeacherConfig) -> ResidualKMeans:
    quantiser = ResidualKMeans(config.n_codebooks, config.n_centroids, N_MELS)
    quantiser.fit(
        _sample_frames(features, config), n_iterations=config.n_iterations, seed=config.seed
    )
    return quantiser


def _quantise(quantiser: ResidualKMeans, features: np.ndarray) -> np.ndarray:
    codes = [
        quantiser(torch.from_numpy(part.astype(np.float32))).numpy()
        for part in np.array_split(features, max(1, len(features) // 65536))
    ]
    return np.concatenate(codes).astype(np.int16)
