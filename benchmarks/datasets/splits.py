"""Reads splits.toml: which study, singer or song may be trained on, and which only reported."""

import functools
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from pamt_metric.errors import ConfigError

TRAIN = "train"
HELD_OUT = "held-out"
SPLITS = (TRAIN, HELD_OUT)
SPLITS_FILE = Path(__file__).with_name("splits.toml")


@dataclass(frozen=True)
class DatasetSplit:
    """One dataset's part of splits.toml.

    Attributes:
        unit: What an entry names: a study, a singer or a song.
        split: Entry to 'train' or 'held-out'.
        groups: Entries that stay together, to the name of what they share.
        excluded: Entries that exist in public but are not used, each with its reason.
    """

    unit: str
    split: dict[str, str]
    groups: dict[str, str] = field(default_factory=dict)
    excluded: dict[str, str] = field(default_factory=dict)

    def group(self, entry: str) -> str:
        """What may not be divided between train and held out, nor between two folds."""
        return self.groups.get(entry, entry)


def read_splits(path: Path = SPLITS_FILE) -> dict[str, DatasetSplit]:
    """Reads and checks a splits file.

    Raises:
        ConfigError: An entry is listed twice, is both used and excluded, or a group is divided.
    """
    with path.open("rb") as file:
        sections = tomllib.load(file)
    return {name: _checked(name, section) for name, section in sections.items()}


@functools.cache
def splits() -> dict[str, DatasetSplit]:
    """The project's own splits, by name of the dataset."""
    return read_splits()


def _checked(name: str, section: dict) -> DatasetSplit:
    listed = [(entry, split) for split in SPLITS for entry in section.get(split, [])]
    dataset = DatasetSplit(
        unit=section["unit"],
        split=dict(listed),
        groups=section.get("group", {}),
        excluded=section.get("excluded", {}),
    )
    if len(dataset.split) != len(listed):
        raise ConfigError(f"splits.toml lists an entry of {name!r} twice")
    both = sorted(set(dataset.split) & set(dataset.excluded))
    if both:
        raise ConfigError(f"splits.toml both uses and excludes {both} of {name!r}")
    sides: dict[str, str] = {}
    for entry, split in listed:
        if sides.setdefault(dataset.group(entry), split) != split:
            raise ConfigError(f"splits.toml divides {dataset.group(entry)!r} of {name!r}")
    return dataset
