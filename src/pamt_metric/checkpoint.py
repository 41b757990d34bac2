"""A whole metric as two files: `config.json` and `model.safetensors`.

```
config.json
├── format          layout of this file; 1
├── name, version   which model this is
├── encoder         {"bundled": {config values}, "normalize": ...}   weights in model.safetensors
│                or {"hub": id or folder, "revision": ..., "sha256": ..., "normalize": ...}
├── head            arguments of SequenceHead
├── weights         {"sha256": hash of model.safetensors}
└── card            licences, training data, figures; for people, not read by code
```

Weights may be stored in half precision; they are used in single precision.
"""

import json
from collections.abc import Mapping
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from pamt_metric import hub
from pamt_metric.comparison import ModelInfo
from pamt_metric.encoders import mert_files
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.errors import CheckpointError
from pamt_metric.head import SequenceHead
from pamt_metric.metric import Metric
from pamt_metric.threads import one_thread

DEFAULT_MODEL = "pamt-mini"
FORMAT = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
ENCODER_PREFIX, HEAD_PREFIX = "encoder.", "head."
FILES = (hub.Wanted((CONFIG_FILE,)), hub.Wanted((WEIGHTS_FILE,)))
"""What is downloaded of a repository."""


def load(
    name_or_path: str | PathLike[str] = DEFAULT_MODEL,
    *,
    revision: str | None = None,
    device: str | torch.device = "cpu",
) -> Metric:
    """Load a metric, ready for use: in eval mode, no parameter taking a gradient.

    Args:
        name_or_path: a bundled model (`"pamt-mini"`), a folder, or a Hub id `"owner/name"`.
        revision: commit, tag or branch of a Hub id.
        device: where to put it.

    Raises:
        CheckpointError: the files are missing, damaged or of another layout; the message names
            the file and what to do.
    """
    folder = find(name_or_path, revision=revision)
    config = _read_config(folder / CONFIG_FILE)
    weights = folder / WEIGHTS_FILE
    sha256 = _verify_hash(weights, config["weights"])
    info = ModelInfo(name=config["name"], version=config["version"], sha256=sha256)
    # Tensors made in inference mode could never meet autograd.
    with one_thread(), torch.inference_mode(mode=False):
        state = mert_files.read_weights(weights)
        # Random weights come before the real ones: the caller's generator must not notice.
        with torch.random.fork_rng(devices=[]):
            metric = _build(config, folder / CONFIG_FILE, info, state)
        wanted = _own_state(metric, config)
        mert_files.check_state(state, wanted=wanted, path=weights)
        metric.load_state_dict(metric.state_dict() | state)
        return metric.requires_grad_(False).eval().to(device)


def save(
    metric: Metric,
    folder: str | PathLike[str],
    *,
    name: str,
    version: str,
    encoder_hub: dict[str, Any] | None = None,
    head_config: dict[str, Any],
    card: dict[str, Any],
    dtype: torch.dtype = torch.float16,
) -> str:
    """Write a folder that `load` reads; returns the hash of its weights.

    Args:
        metric: what to save.
        folder: made if it is not there.
        name: the model's name.
        version: release of the weights.
        encoder_hub: `{"hub": id, "revision": commit, "sha256": of its weights, "normalize": bool}`
            where the encoder's weights are not ours to ship; None puts them into the file.
        head_config: the arguments that `metric.head` was built with.
        card: licences, training data and figures.
        dtype: of stored weights; scalars and statistics stay in single precision.
    """
    from safetensors.torch import save as to_bytes

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    own = {"bundled": metric.encoder.config, "normalize": metric.encoder.normalize}
    config = {
        "format": FORMAT,
        "name": name,
        "version": version,
        "encoder": own if encoder_hub is None else encoder_hub,
        "head": head_config,
    }
    state = _own_state(metric, config)
    stored = {key: _stored(value, dtype) for key, value in state.items()}
    # Not `save_file`: its files are readable by their owner alone, whatever the umask.
    (folder / WEIGHTS_FILE).write_bytes(to_bytes(stored, metadata={"format": "pt"}))
    sha256 = hub.sha256_of(folder / WEIGHTS_FILE)
    config |= {"weights": {"sha256": sha256}, "card": card}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return sha256


def find(name_or_path: str | PathLike[str], *, revision: str | None = None) -> Path:
    """Folder that holds a model: a bundled one, one on disk, or one from the Hub's cache.

    Raises:
        CheckpointError: there is no such model.
    """
    bundled = bundled_models()
    if str(name_or_path) in bundled:
        return bundled[str(name_or_path)]
    path = Path(name_or_path)
    if path.is_dir():
        return path
    name = str(name_or_path)
    if hub.HUB_ID.fullmatch(name) is None:
        listed = ", ".join(repr(known) for known in bundled) or "none"
        raise CheckpointError(
            f"no model {name!r}: expected a bundled one ({listed}), a folder with {CONFIG_FILE} "
            "and model.safetensors, or a Hub id 'owner/name'"
        )
    return hub.fetch(name, FILES, revision=revision).folder


def bundled_models() -> dict[str, Path]:
    """Name and folder of every model that came with the package."""
    root = Path(str(resources.files("pamt_metric"))) / "models"
    return {path.parent.name: path.parent for path in sorted(root.glob(f"*/{CONFIG_FILE}"))}


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; is its folder a saved metric?")
    config = mert_files.read_json(path)
    wanted = ("format", "name", "version", "encoder", "head", "weights")
    absent = [key for key in wanted if key not in config]
    if absent:
        raise CheckpointError(
            f"{path} lacks {', '.join(absent)}; is it the config of an encoder alone? "
            "Load that with MertEncoder.from_pretrained"
        )
    if config["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has format {config['format']!r}, this version reads {FORMAT}; "
            "update pamt-metric"
        )
    for key in ("name", "version"):
        if not isinstance(config[key], str):
            raise CheckpointError(f"{path}: {key} must be text, got {config[key]!r}")
    return config


def _build(
    config: dict[str, Any],
    path: Path,
    info: ModelInfo,
    state: Mapping[str, Shaped[Tensor, "..."]],
) -> Metric:
    source = config["encoder"]
    try:
        _check_size(config, path, state)
        if "bundled" in source:
            encoder = MertEncoder(source["bundled"], normalize=source["normalize"])
        else:
            encoder = MertEncoder.from_pretrained(
                source["hub"], revision=source["revision"], normalize=source["normalize"]
            )
            _check_encoder(encoder, source, path)
        head = SequenceHead(**config["head"])
        _check_fit(encoder, head, path)
        return Metric(encoder, head, info=info)
    except CheckpointError:
        raise
    except Exception as error:  # bad values surface as errors of many kinds
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path}: no model can be built from it: {reason}") from error


def _check_fit(encoder: MertEncoder, head: SequenceHead, path: Path) -> None:
    """The head must read what the encoder gives."""
    width, layers = head.projection.in_features, head.encoder_layers
    if width != encoder.width or max(layers) > encoder.n_layers or min(layers) < 0:
        raise CheckpointError(
            f"{path}: its head reads layers {min(layers)} to {max(layers)} of width {width}, the "
            f"encoder has 0 to {encoder.n_layers} of width {encoder.width}; was another one meant?"
        )


def _check_size(
    config: dict[str, Any], path: Path, state: Mapping[str, Shaped[Tensor, "..."]]
) -> None:
    """Refuse a config that asks for more than the weights hold, before memory is taken for it."""
    source, head = config["encoder"], config["head"]
    mert_files.check_depth(head, state=state, path=path)
    parts: dict[str, nn.Module] = {}
    if "bundled" in source:
        mert_files.check_depth(source["bundled"], state=state, path=path)
    with torch.device("meta"):
        parts[HEAD_PREFIX] = SequenceHead(**head)
        if "bundled" in source:
            parts[ENCODER_PREFIX] = MertEncoder(source["bundled"], normalize=source["normalize"])
    for prefix, part in parts.items():
        wanted = {f"{prefix}{key}": value for key, value in part.state_dict().items()}
        held = {key: value for key, value in state.items() if key.startswith(prefix)}
        mert_files.check_state(held, wanted=wanted, path=path.with_name(WEIGHTS_FILE))


def _check_encoder(encoder: MertEncoder, source: dict[str, Any], path: Path) -> None:
    """An encoder that lives elsewhere must be the one that the head was trained on."""
    expected = source.get("sha256")
    if expected is not None and encoder.source is not None and encoder.source.sha256 != expected:
        raise CheckpointError(
            f"{path} was made for an encoder whose weights have sha256 {expected}, but those of "
            f"{source['hub']} have {encoder.source.sha256}; are they of another revision?"
        )


def _own_state(metric: Metric, config: dict[str, Any]) -> dict[str, Tensor]:
    """What belongs into the file: all but the weights of an encoder that lives elsewhere."""
    keep_encoder = "bundled" in config["encoder"]
    return {
        key: value
        for key, value in metric.state_dict().items()
        if keep_encoder or not key.startswith(ENCODER_PREFIX)
    }


def _stored(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.detach().cpu().to(dtype if value.dim() > 1 else torch.float32).contiguous()


def _verify_hash(path: Path, stated: Any) -> str:
    expected = stated.get("sha256") if isinstance(stated, dict) else None
    if not isinstance(expected, str):
        raise CheckpointError(f"{path.with_name(CONFIG_FILE)} states no sha256 under 'weights'")
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; download or copy the whole folder again")
    found = hub.sha256_of(path)
    if found != expected:
        raise CheckpointError(
            f"{path} has sha256 {found}, its config.json says {expected}; the file is damaged or "
            "belongs to another release: get both files again"
        )
    return found
