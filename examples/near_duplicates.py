"""Find near-duplicates in a folder: files that sound the same but for their encoding or noise.

    python examples/near_duplicates.py FOLDER [--threshold 2.5]

Clusters all files by the distance of each pair; every cluster of more than one is printed.
The threshold is in just-noticeable differences: 2 is audible but slight (a lossy copy), another
recording is around 7.
"""

import argparse
from pathlib import Path

from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

import pamt_metric as pamt

SUFFIXES = (".flac", ".mp3", ".ogg", ".wav")
THRESHOLD_JND = 2.5


def near_duplicates(folder: Path, threshold: float = THRESHOLD_JND) -> list[list[Path]]:
    """Groups of files of which each has all others within the threshold."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if len(files) < 2:
        return []
    matrix = pamt.pairwise_distances(files)
    tree = linkage(squareform(matrix), method="complete")
    groups: dict[int, list[Path]] = {}
    for path, label in zip(files, fcluster(tree, threshold, criterion="distance"), strict=True):
        groups.setdefault(label, []).append(path)
    return [group for group in groups.values() if len(group) > 1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threshold", type=float, default=THRESHOLD_JND)
    arguments = parser.parse_args()
    for group in near_duplicates(arguments.folder, arguments.threshold):
        print("  ".join(path.name for path in group))
