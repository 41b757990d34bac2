"""Loads broken models in a process of its own, with bounds on memory and time.

Takes a folder with a sound model and numbers `first last`; damages the model's files that often,
and answers with a line of JSON for each, as soon as it is done: number, what was done, outcome.
The last line is the growth of the peak of resident memory, in bytes.
"""

import json
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from pamt_metric import checkpoint, hub
from pamt_metric.errors import PamtError

MEMORY_BYTES = 2**30
PATIENCE_S = 20
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 3, 10**4, 10**9, 10**18, 10**30, 1.5, float("nan"), float("inf"), "",
    "gelu", "x" * 1000, "../../etc/passwd", "__import__('os').abort()", [], [1] * 7, [10**9],
    list(range(10_000)), {}, {"bundled": {}}, {"hub": "nobody/nothing", "revision": None},
)  # fmt: skip
# Sizes of a safetensors header, which is what the first eight bytes state.
HEADER_SIZES = (0, 1, 2**31, 2**40, 2**63, 2**64 - 1)
ENTRIES: tuple[Any, ...] = (
    [], [2**62], [2**32, 2**32], [0], [-1], [0, 0], [0, 2**62], [8, 0], "F64", "I64", "X",
)  # fmt: skip


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Where something could be changed in nested objects and lists."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


def put(config: Any, path: tuple, value: Any) -> None:
    for key in path[:-1]:
        config = config[key]
    config[path[-1]] = value


def damage_config(folder: Path, pick: random.Random) -> str:
    """Other values, other types, or another text."""
    file = folder / checkpoint.CONFIG_FILE
    text = file.read_text()
    kind = pick.choice(("value", "value", "value", "two values", "text", "nested"))
    if kind == "text":
        at = pick.randrange(len(text))
        file.write_text(
            text[:at] + pick.choice(("", "\0", "}", '"', "1e999", text)) + text[at + 1 :]
        )
        return f"text at {at}"
    if kind == "nested":
        file.write_text("[" * 100_000)
        return kind
    config = json.loads(text)
    told = []
    for _ in range(2 if kind == "two values" else 1):
        path, value = pick.choice(list(places(config))), pick.choice(VALUES)
        put(config, path, value)
        told.append(f"{path} = {str(value)[:40]}")
    file.write_text(json.dumps(config))
    return "; ".join(told)


def damage_weights(folder: Path, pick: random.Random) -> str:
    """A forged header, other shapes, types, places, or bytes cut off; the hash is made to fit."""
    file = folder / checkpoint.WEIGHTS_FILE
    content = bytearray(file.read_bytes())
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    kind = pick.choice(("size", "cut", "bytes", "entry", "entry", "entry"))
    if kind == "size":
        content[:8] = pick.choice(HEADER_SIZES).to_bytes(8, "little")
    elif kind == "cut":
        del content[pick.randrange(len(content)) :]
    elif kind == "bytes":
        for _ in range(8):
            content[pick.randrange(8 + size)] = pick.randrange(256)
    else:
        name = pick.choice([key for key in header if key != "__metadata__"])
        field = pick.choice(("shape", "dtype", "data_offsets", "name"))
        if field == "name":
            header[pick.choice(("x" * 10_000, "../x", "pair.scale", ""))] = header.pop(name)
        else:
            header[name][field] = pick.choice(ENTRIES)
        kind = f"{name} {field}"
        new = json.dumps(header).encode()
        content[: 8 + size] = len(new).to_bytes(8, "little") + new
    file.write_bytes(content)
    config_file = folder / checkpoint.CONFIG_FILE
    config = json.loads(config_file.read_text())
    config["weights"] = {"sha256": hub.sha256_of(file)}
    config_file.write_text(json.dumps(config))
    return kind


def outcome(folder: Path) -> str:
    """What a caller gets."""
    try:
        metric = checkpoint.load(folder)
    except PamtError as error:
        return f"refused: {error}"
    except BaseException as error:  # noqa: BLE001 (told to the test)
        return f"raised {type(error).__name__}: {error}"
    return "ok" if isinstance(metric, torch.nn.Module) else "gave something else"


if __name__ == "__main__":
    sound, numbers = Path(sys.argv[1]), range(*map(int, sys.argv[2:]))
    outcome(sound)
    with open("/proc/self/statm") as stream:  # noqa: PTH123 (no file of ours)
        address_space = int(stream.read().split()[0]) * resource.getpagesize()
    limit = address_space + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in numbers:
        pick = random.Random(number)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(shutil.copytree(sound, Path(name, "model")))
            signal.alarm(PATIENCE_S)
            done = pick.choice((damage_config, damage_config, damage_weights))(folder, pick)
            line = [number, done, outcome(folder)]
            signal.alarm(0)
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    sys.stdout.write(f"{1024 * grown}\n")
