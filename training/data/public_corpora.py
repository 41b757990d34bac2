"""Audio files of corpora that users have, found by the folder layouts in which they are published.

No file of them enters the project. A file that is defective is never an end: reading it says why,
and whoever reads goes on with the next. Known ones, which decoding finds by itself: GTZAN's
`jazz.00054` is no audio, and a few of FMA's mp3s are empty or shorter than their 30 s.

Sources:
    Defferrard et al. 2017, "FMA: a dataset for music analysis", ISMIR: `000/000002.mp3`.
    Bogdanov et al. 2019, "The MTG-Jamendo dataset", ICML workshop: `14/1009614.mp3`, the folder
        named by the last two digits; `.low` before the suffix in the low-quality edition.
    Tzanetakis and Cook 2002, "Musical genre classification", IEEE TSAP 10(5):
        `genres/blues/blues.00000.au`, `.wav` in newer copies.
    Thickstun et al. 2017, "Learning features of music from scratch", ICLR: `train_data/1727.wav`;
        the test split in `test_data` stays unseen.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from pamt_metric.errors import ConfigError, InputError

LAYOUTS = {
    "folder": r"\.(wav|flac|ogg|opus|mp3|aif|aiff|au)$",
    "fma": r"(^|/)(?P<start>\d{3})/(?P=start)\d{3}\.mp3$",
    "jamendo": r"(^|/)(?P<end>\d\d)/\d*(?P=end)(\.low)?\.mp3$",
    "gtzan": r"(^|/)(?P<genre>[a-z]+)/(?P=genre)\.\d{5}\.(wav|au|mp3)$",
    "musicnet": r"(^|/)train_data/\d+\.wav$",
}
"""What ends the path of each file of a corpus, below its folder."""

_QUIETEST_PEAK = 1e-4


@dataclass(frozen=True)
class Recording:
    """A file of a corpus; its name is its path below the corpus's folder."""

    name: str
    path: Path


def recordings(kind: str, root: Path) -> list[Recording]:
    """All files of a corpus, in the order of their names; none is opened.

    Raises:
        ConfigError: there is no layout of that name, or nothing in the folder follows it.
    """
    if kind not in LAYOUTS:
        raise ConfigError(f"no corpus layout {kind!r}; there are {', '.join(LAYOUTS)}")
    if not root.is_dir():
        raise ConfigError(f"the folder of the corpus {kind}, {root}, does not exist")
    pattern = re.compile(LAYOUTS[kind], re.IGNORECASE)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.*"))
    found = [Recording(name, root / name) for name in names if pattern.search(name)]
    if not found:
        raise ConfigError(
            f"no file under {root} lies as those of {kind} do; is it the folder that the archive "
            f"unpacked to? Files in any layout: folder:{root}"
        )
    return found


def read_mono(path: Path, sample_rate: int) -> np.ndarray:
    """The whole file, float32 `(time,)`.

    Raises:
        InputError: it is defective; the message says how.
    """
    try:
        waveform, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"cannot be decoded ({error})") from error
    return _checked(soxr.resample(waveform.mean(axis=1), rate, sample_rate))


def read_part(path: Path, sample_rate: int, n_samples: int, position: float) -> np.ndarray:
    """A part of a file, float32 `(time,)`, without decoding the rest where the format allows that.

    Args:
        path: the file.
        sample_rate: in Hz, of what is returned.
        n_samples: how long.
        position: from 0, its beginning, to 1, as late as possible.

    Raises:
        InputError: it is defective or too short; the message says how.
    """
    try:
        with soundfile.SoundFile(path) as file:
            needed = -(-n_samples * file.samplerate // sample_rate) + 1
            if file.frames < needed:
                had_s, wanted_s = file.frames / file.samplerate, n_samples / sample_rate
                raise InputError(f"is {had_s:.1f} s long, and {wanted_s:.1f} s are needed")
            file.seek(int(position * (file.frames - needed)))
            waveform = file.read(needed, dtype="float32", always_2d=True)
            rate = file.samplerate
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"cannot be decoded ({error})") from error
    if len(waveform) < needed:
        raise InputError("ends before the length that its header gives")
    return _checked(soxr.resample(waveform.mean(axis=1), rate, sample_rate)[:n_samples])


def _checked(waveform: np.ndarray) -> np.ndarray:
    if not np.isfinite(waveform).all():
        raise InputError("holds values that are no numbers")
    if waveform.size == 0 or np.abs(waveform).max() < _QUIETEST_PEAK:
        raise InputError("is silent")
    return waveform


def split_spec(spec: str, root: Path) -> tuple[str, Path]:
    """`KIND:PATH` of a configuration, the path relative to the data folder.

    Raises:
        ConfigError: there is no colon.
    """
    kind, colon, path = spec.partition(":")
    if not colon or not path:
        raise ConfigError(f"a corpus is named KIND:PATH, such as fma:/data/fma_large, got {spec!r}")
    return kind, root / path
