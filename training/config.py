"""Reads a stage's typed configuration from YAML.

One dataclass a stage, in `pretrain_config.py` and `head_config.py`. Every field has a value in the
YAML file or a default there; a key that no field has is an error, so a misspelt option cannot be
ignored.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from pamt_metric.errors import ConfigError

Config = TypeVar("Config")


def load_config(path: Path | str, kind: type[Config]) -> Config:
    """Read a YAML file into a configuration dataclass.

    Raises:
        ConfigError: the file is no mapping, or has a key or a type that the dataclass has not.
    """
    try:
        values = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the configuration {path}: {error}") from error
    return _build(kind, values or {}, str(path))


def _build(kind: type[Config], values: Any, where: str) -> Config:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: expected a mapping for {kind.__name__}, got {values!r}")
    hints = get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = set(values) - known
    if unknown:
        raise ConfigError(
            f"{where}: unknown keys {sorted(unknown)} for {kind.__name__}; it has {sorted(known)}"
        )
    return kind(
        **{name: _value(hints[name], value, f"{where}: {name}") for name, value in values.items()}
    )


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where)  # type: ignore[arg-type]
    if getattr(hint, "__origin__", None) is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where}: expected a list, got {value!r}")
        return tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (hint is int and value is True)):
        # YAML reads the bare words no, off, yes and on as truth values.
        fix = "; put the word in quotes" if hint is str and isinstance(value, bool) else ""
        raise ConfigError(f"{where}: expected {hint.__name__}, got {value!r}{fix}")
    return value
