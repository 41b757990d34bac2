"""Corpora as webdataset shards: tar files of FLAC, read from end to end, for larger machines.

`index.json` beside the shards says how many recordings each holds, so that the recording of any
step is found without reading those before it.
"""

import csv
import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from webdataset import tariterators
from webdataset.writer import ShardWriter

from pamt_metric.errors import ConfigError, InputError
from training.data.corpus import SAMPLE_RATES
from training.data.public_corpora import Recording, read_mono

INDEX_FILE = "index.json"
SKIPPED_FILE = "skipped.csv"
SAMPLE_RATE = SAMPLE_RATES[0]

_log = logging.getLogger(__name__)


def write_shards(
    found: Sequence[Recording], aside: Sequence[Recording], output: Path, *, shard_mb: float
) -> None:
    """Write recordings as shards, those held aside for validation apart from the others.

    Defective files are left out, and `skipped.csv` says why.

    Args:
        found: what is trained on, in the order in which it is written.
        aside: what is held aside.
        output: a folder that has no shards yet.
        shard_mb: size of a shard in MB.

    Raises:
        ConfigError: there are shards in the folder.
    """
    output.mkdir(parents=True, exist_ok=True)
    if (output / INDEX_FILE).is_file():
        raise ConfigError(f"{output} holds shards already; give another folder")
    index: dict[str, dict[str, int]] = {}
    skipped: list[tuple[str, str]] = []
    for side, recordings in (("train", found), ("aside", aside)):
        if recordings:
            index[side] = _write_side(side, recordings, output, shard_mb, skipped)
    with (output / SKIPPED_FILE).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("name", "reason"), *skipped])
    # Written last: its presence says that all shards are complete.
    text = json.dumps({"sample_rate": SAMPLE_RATE, **index}, indent=1)
    (output / INDEX_FILE).write_text(text + "\n", encoding="utf-8")


def _write_side(
    side: str,
    recordings: Sequence[Recording],
    output: Path,
    shard_mb: float,
    skipped: list[tuple[str, str]],
) -> dict[str, int]:
    counts: dict[str, int] = {}
    pattern = str(output / f"{side}-%06d.tar")
    with ShardWriter(pattern, maxsize=shard_mb * 1e6, verbose=0) as writer:
        for number, recording in enumerate(recordings):
            try:
                waveform = read_mono(recording.path, SAMPLE_RATE)
            except InputError as error:
                skipped.append((recording.name, str(error)))
                _log.warning("left out: %s %s", recording.name, error)
                continue
            flac = io.BytesIO()
            soundfile.write(flac, waveform.clip(-1.0, 1.0), SAMPLE_RATE, format="FLAC")
            about = {"name": recording.name, "n_samples": len(waveform)}
            writer.write({"__key__": f"{number:09d}", "flac": flac.getvalue(), "json": about})
            name = Path(str(writer.fname)).name
            counts[name] = counts.get(name, 0) + 1
    return counts


def read_index(folder: Path) -> dict[str, dict[str, int]]:
    """How many recordings are in each shard, by side: `train`, and `aside` where there is one.

    Raises:
        ConfigError: there is no complete set of shards in that folder.
    """
    path = folder / INDEX_FILE
    if not path.is_file():
        raise ConfigError(
            f"no {INDEX_FILE} in {folder}: no shards, or writing them was not finished; "
            "python -m training shards writes them"
        )
    index = json.loads(path.read_text(encoding="utf-8"))
    if index.pop("sample_rate") != SAMPLE_RATE:
        raise ConfigError(f"the shards in {folder} are not at {SAMPLE_RATE} Hz; write them again")
    return index


def read_shard(path: Path) -> list[tuple[str, bytes]]:
    """Name and FLAC of each recording of a shard, in their order."""
    # `webdataset.WebDataset` would leave the file open.
    with path.open("rb") as file:
        files = tariterators.tar_file_expander([{"url": str(path), "stream": file}])
        samples = tariterators.group_by_keys(files)
        return [(json.loads(sample["json"])["name"], sample["flac"]) for sample in samples]


def decode_part(flac: bytes, n_samples: int, position: float) -> np.ndarray:
    """A part of a recording, float32 `(time,)`; `position` as in `read_part`.

    Raises:
        InputError: it is too short.
    """
    with soundfile.SoundFile(io.BytesIO(flac)) as file:
        if file.frames < n_samples:
            raise InputError(
                f"is {file.frames / SAMPLE_RATE:.1f} s long, and {n_samples / SAMPLE_RATE:.1f} s "
                "are needed"
            )
        file.seek(int(position * (file.frames - n_samples)))
        return file.read(n_samples, dtype="float32")
