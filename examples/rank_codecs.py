"""Rank codec settings by how far a decoded copy sounds from its original. Needs ffmpeg.

    python examples/rank_codecs.py [FILE]

Encodes the file (the shipped reference clip by default) with each setting, decodes it again, and
prints the settings from the nearest to the farthest. `pamt.distance` takes out the codec's delay.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import pamt_metric as pamt

SETTINGS = {
    "opus 96 kbit/s": ("opus", "libopus", "96k"),
    "opus 16 kbit/s": ("opus", "libopus", "16k"),
    "mp3 192 kbit/s": ("mp3", "libmp3lame", "192k"),
    "mp3 64 kbit/s": ("mp3", "libmp3lame", "64k"),
    "mp3 32 kbit/s": ("mp3", "libmp3lame", "32k"),
}


def available() -> dict[str, tuple[str, str, str]]:
    """Settings whose encoder this ffmpeg has; none without ffmpeg."""
    if shutil.which("ffmpeg") is None:
        return {}
    listed = subprocess.run(
        ["ffmpeg", "-hide_banner", "-encoders"], capture_output=True, text=True, check=True
    ).stdout.split()
    return {name: setting for name, setting in SETTINGS.items() if setting[1] in listed}


def coded(source: Path, setting: tuple[str, str, str], folder: Path) -> Path:
    """A copy that went through the codec, as a wav file."""
    suffix, encoder, bit_rate = setting
    packed, decoded = (folder / f"{encoder}-{bit_rate}.{end}" for end in (suffix, "wav"))
    convert = ["ffmpeg", "-loglevel", "error", "-y", "-i"]
    subprocess.run([*convert, source, "-c:a", encoder, "-b:a", bit_rate, packed], check=True)
    subprocess.run([*convert, packed, decoded], check=True)
    return decoded


def rank(source: Path) -> list[tuple[str, float]]:
    """Settings with their distance to the original, nearest first."""
    with tempfile.TemporaryDirectory() as folder:
        distances = {
            name: float(pamt.distance(source, coded(source, setting, Path(folder))))
            for name, setting in available().items()
        }
    return sorted(distances.items(), key=lambda item: item[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    default = Path(__file__).with_name("reference.flac")
    parser.add_argument("file", nargs="?", type=Path, default=default)
    if not available():
        parser.exit(2, "ffmpeg with libmp3lame or libopus is not on this machine\n")
    for name, distance in rank(parser.parse_args().file):
        print(f"{distance:6.2f}  {name}")
