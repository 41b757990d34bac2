"""The models on this machine: every file, whether it is sound, and how to get what is not.

Nothing here loads a model or, but for `download`, asks the Hub for anything.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pamt_metric import checkpoint, hub
from pamt_metric.encoders import mert_config, mert_files
from pamt_metric.errors import CheckpointError
from pamt_metric.hub_client import cache_folder

Condition = Literal["ok", "damaged", "missing", "broken off"]


class FileState(NamedTuple):
    """One file of a model.

    Attributes:
        path: Where it lies, or would lie.
        condition: "ok" where its hash is the stated one or none is stated. "broken off" is a part
            that came before a download ended early; the next one goes on from there.
        size: In bytes.
        sha256: Of its content.
    """

    path: Path
    condition: Condition
    size: int = 0
    sha256: str = ""


class ModelState(NamedTuple):
    """One model, at one revision.

    Attributes:
        name: Of a bundled model, or a Hub id.
        revision: Version of a bundled model, or commit.
        licence: Of the weights.
        files: What it needs; empty where nothing of it was ever downloaded.
        command: Gets what is missing or damaged; None where nothing is.
    """

    name: str
    revision: str
    licence: str
    files: list[FileState]
    command: str | None


def download(name: str, *, revision: str | None = None) -> list[Path]:
    """Get every file that a model needs, its encoder's too; damaged ones are downloaded anew.

    Args:
        name: A bundled model, or the Hub id of a metric or of an encoder.
        revision: Commit, tag or branch; the pinned commit by default, else the main branch.

    Returns:
        The folders that hold them, the model's own first.

    Raises:
        CheckpointError: It cannot be got, or is of no kind that this package knows.
    """
    if name in checkpoint.bundled_models():
        return [checkpoint.find(name)]
    if hub.HUB_ID.fullmatch(name) is None:
        raise CheckpointError(
            f"no bundled model and no Hub id 'owner/name': {name!r}; "
            "a folder on this machine needs no download"
        )
    first = hub.fetch(name, checkpoint.FILES[:1], revision=revision, repair=True)
    config = mert_files.read_json(first.folder / checkpoint.CONFIG_FILE)
    kind = _kind(config)
    if kind is None:
        raise CheckpointError(
            f"{name} is neither a metric of this package nor an encoder of the MERT family: its "
            f"config.json states model_type {config.get('model_type')!r}"
        )
    if kind == "encoder":
        return [_download_encoder(name, first.revision)]
    source = config["encoder"]
    folder = hub.fetch(name, checkpoint.FILES, revision=first.revision, repair=True).folder
    if hub.HUB_ID.fullmatch(str(source.get("hub"))) is None:
        return [folder]
    return [folder, _download_encoder(source["hub"], source["revision"])]


def _download_encoder(name: str, revision: str | None) -> Path:
    hub.fetch(name, mert_files.FILES, revision=revision, repair=True)
    return mert_files.find_checkpoint(name, revision=revision).config.parent


def inspect() -> list[ModelState]:
    """Bundled models, then what of the Hub is cached, then encoders that we know and are not."""
    cached = list(_cached())
    names = {state.name for state in cached}
    absent = [
        ModelState(name, known.revision or "newest", known.licence, [], f"pamt download {name}")
        for name, known in hub.PUBLISHED.items()
        if name not in names
    ]
    return [*map(_bundled, checkpoint.bundled_models()), *cached, *absent]


def _bundled(name: str) -> ModelState:
    folder = checkpoint.bundled_models()[name]
    config = mert_files.read_json(folder / checkpoint.CONFIG_FILE)
    weights = _state(folder / checkpoint.WEIGHTS_FILE, expected=config["weights"]["sha256"])
    files = [_state(folder / checkpoint.CONFIG_FILE), weights]
    command = None if weights.condition == "ok" else "pip install --force-reinstall pamt-metric"
    return ModelState(name, config["version"], config["card"]["licence"], files, command)


def _cached() -> Iterator[ModelState]:
    """Metrics, encoders of the MERT family, and what those metrics need."""
    repositories = sorted(cache_folder().glob("models--*--*"))
    snapshots = [path for folder in repositories for path in sorted(folder.glob("snapshots/*"))]
    configs = {path: _config(path) for path in snapshots}
    needed = {
        (config["encoder"]["hub"], config["encoder"]["revision"])
        for config in configs.values()
        if _kind(config) == "metric" and "hub" in config["encoder"]
    }
    found = set()
    for snapshot, config in configs.items():
        name = snapshot.parent.parent.name.removeprefix("models--").replace("--", "/", 1)
        is_ours = _kind(config) == "metric" or config.get("model_type") == "mert_model"
        if is_ours or name in hub.PUBLISHED or (name, snapshot.name) in needed:
            found.add((name, snapshot.name))
            yield _downloaded(name, snapshot, config)
    for name, revision in sorted(needed - found):
        yield ModelState(name, revision, _licence(name, {}), [], _command(name, revision))


def _downloaded(name: str, snapshot: Path, config: dict[str, Any]) -> ModelState:
    commit = snapshot.name
    is_metric = _kind(config) == "metric"
    expected = config["weights"]["sha256"] if is_metric else None
    pin = hub.PUBLISHED.get(name)
    if pin is not None and pin.revision == commit:
        expected = pin.sha256
    files = []
    for wanted in checkpoint.FILES if is_metric else mert_files.FILES:
        paths = [snapshot / file for file in wanted.names]
        path = next((path for path in paths if path.is_file()), None)
        is_weights = wanted.required and wanted.names != (mert_files.CONFIG_FILE,)
        if path is not None:
            files.append(_state(path, expected=expected if is_weights else None))
        elif wanted.required or not hub.is_known_absent(name, wanted.names[0], commit):
            files.append(FileState(paths[-1], "missing"))
    is_sound = all(file.condition == "ok" for file in files)
    command = None if is_sound else _command(name, commit)
    blobs = snapshot.parent.parent / "blobs"
    files += [
        FileState(path, "broken off", path.stat().st_size)
        for path in sorted(blobs.glob("*.incomplete"))
    ]
    return ModelState(name, commit, _licence(name, config), files, command)


def _state(path: Path, *, expected: str | None = None) -> FileState:
    if not path.is_file():
        return FileState(path, "missing")
    sha256 = hub.sha256_of(path)
    is_sound = sha256 == expected if expected is not None else hub.is_intact(path) is not False
    return FileState(path, "ok" if is_sound else "damaged", path.stat().st_size, sha256)


def _config(snapshot: Path) -> dict[str, Any]:
    """Values of a snapshot's config.json; none where there is no readable one."""
    try:
        return mert_files.read_json(snapshot / checkpoint.CONFIG_FILE)
    except CheckpointError:
        return {}


def _kind(config: dict[str, Any]) -> Literal["metric", "encoder"] | None:
    if {"format", "head", "encoder", "weights"} <= config.keys():
        return "metric"
    return "encoder" if config.get("model_type") in mert_config.MODEL_TYPES else None


def _licence(name: str, config: dict[str, Any]) -> str:
    if name in hub.PUBLISHED:
        return hub.PUBLISHED[name].licence
    return config.get("card", {}).get("licence") or "licence: see its page on the Hub"


def _command(name: str, commit: str) -> str:
    is_default = commit == hub.pinned_revision(name)
    return f"pamt download {name}" + ("" if is_default else f" --revision {commit}")
