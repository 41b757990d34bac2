"""Finding, checking and reading the files of a MERT checkpoint, without remote code.

A checkpoint is a folder with `config.json`, perhaps `preprocessor_config.json`, and
`model.safetensors` or `pytorch_model.bin`; or a Hub repository of that layout, of which only
these files are downloaded. transformers is not needed here.
"""

import json
import pickle
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor

from pamt_metric import hub
from pamt_metric.encoders import mert_config
from pamt_metric.errors import CheckpointError

CONFIG_FILE = "config.json"
PREPROCESSOR_FILE = "preprocessor_config.json"
SAFETENSORS_FILE = "model.safetensors"
PICKLE_FILE = "pytorch_model.bin"

FILES = (
    hub.Wanted((CONFIG_FILE,)),
    hub.Wanted((PREPROCESSOR_FILE,), required=False),
    hub.Wanted((SAFETENSORS_FILE, PICKLE_FILE)),
)
"""What is downloaded of a repository."""

# Sample rate in Hz and `do_normalize` where a checkpoint's files state none: of MERT v0, by the
# name of its repository or folder, and of all others.
V0_NAMES = ("MERT-v0", "MERT-v0-public")
V0_DEFAULTS = (16_000, False)
DEFAULTS = (mert_config.DEFAULT_SAMPLE_RATE, True)

# The two names under which torch has kept the magnitude and the direction of a weight-normalised
# convolution: torch.nn.utils.weight_norm, and torch.nn.utils.parametrizations.weight_norm. torch
# itself reads the first into the second; renaming before that lets the check name what is wrong.
WEIGHT_NORM_SUFFIXES = (
    ("weight_g", "parametrizations.weight.original0"),
    ("weight_v", "parametrizations.weight.original1"),
)
# Stood in for masked frames in pretraining. Hidden states do not depend on it, and whether the
# module has it follows from the mask probabilities of the config.
MASK_EMBEDDING = "masked_spec_embed"

# A config of more bytes than this is none; the largest published one has 2 kB.
MAX_CONFIG_BYTES = 2**24

# A head may list the layers of an encoder whose tensors lie in another file.
ALWAYS_ALLOWED_PARTS = 64

# Errors name at most this many keys.
MAX_KEYS_NAMED = 4


class Source(NamedTuple):
    """Where weights came from.

    Attributes:
        name: Hub id, or the name of the folder.
        revision: Commit of the Hub repository; None for a folder.
        sha256: Hash of the file of weights, in hexadecimal.
    """

    name: str
    revision: str | None
    sha256: str


class CheckpointFiles(NamedTuple):
    """The files of one checkpoint on this machine; `preprocessor` may be absent."""

    config: Path
    preprocessor: Path | None
    weights: Path
    source: Source


def find_checkpoint(
    folder_or_hub_id: str | PathLike[str], *, revision: str | None = None
) -> CheckpointFiles:
    """Find a checkpoint's files in a folder, or download them from the Hub.

    Args:
        folder_or_hub_id: A folder, or a Hub id such as "m-a-p/MERT-v1-95M" where no folder of
            that name exists.
        revision: Hub commit, tag or branch. Defaults to the pinned one, else to the newest.

    Raises:
        CheckpointError: If a file is missing, cannot be downloaded, or is not the pinned one.
    """
    folder = Path(folder_or_hub_id)
    name = str(folder_or_hub_id)
    if folder.is_dir():
        if revision is not None:
            raise CheckpointError(f"{folder} is a local folder and has no revision {revision!r}")
        return _collect(folder, name=folder.resolve().name, revision=None)
    if isinstance(folder_or_hub_id, PathLike) or hub.HUB_ID.fullmatch(name) is None:
        raise CheckpointError(
            f"no folder {name!r}; give a folder with {CONFIG_FILE} and {SAFETENSORS_FILE}, "
            "or a Hub id of the form 'owner/name'"
        )
    snapshot = hub.fetch(name, FILES, revision=revision)
    files = _collect(snapshot.folder, name=name, revision=snapshot.revision)
    hub.check_sha256(name, snapshot.revision, files.weights, files.source.sha256)
    return files


def _collect(folder: Path, *, name: str, revision: str | None) -> CheckpointFiles:
    config, preprocessor = folder / CONFIG_FILE, folder / PREPROCESSOR_FILE
    candidates = [folder / SAFETENSORS_FILE, folder / PICKLE_FILE]
    weights = next((path for path in candidates if path.is_file()), None)
    if not config.is_file():
        raise CheckpointError(f"{config} is missing; is {folder} the folder of an encoder?")
    if weights is None:
        raise CheckpointError(
            f"{folder} has neither {SAFETENSORS_FILE} nor {PICKLE_FILE}; "
            "a *_fairseq.pt file is of another layout and is not read"
        )
    found = preprocessor if preprocessor.is_file() else None
    return CheckpointFiles(config, found, weights, Source(name, revision, hub.sha256_of(weights)))


def read_configs(files: CheckpointFiles) -> tuple[dict[str, Any], bool]:
    """Values of config.json with the sample rate that both files agree on; `do_normalize`."""
    config = read_json(files.config)
    preprocessor = {} if files.preprocessor is None else read_json(files.preprocessor)
    rates = {config.get("sample_rate"), preprocessor.get("sampling_rate")} - {None}
    if len(rates) > 1:
        raise CheckpointError(
            f"{files.config} and {files.preprocessor} state different sample rates: "
            f"{config['sample_rate']} and {preprocessor['sampling_rate']} Hz"
        )
    is_v0 = files.source.name.rpartition("/")[2] in V0_NAMES
    default_rate, default_normalize = V0_DEFAULTS if is_v0 else DEFAULTS
    sample_rate = rates.pop() if rates else default_rate
    do_normalize = preprocessor.get("do_normalize", default_normalize)
    if not isinstance(do_normalize, bool):
        raise CheckpointError(
            f"{files.preprocessor}: do_normalize is {do_normalize!r}, expected true or false"
        )
    return config | {"sample_rate": sample_rate}, do_normalize


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: If the file holds anything else.
    """
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise CheckpointError(f"{path} has over {MAX_CONFIG_BYTES} bytes; is it a config?")
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # RecursionError: nested too deep
        raise CheckpointError(f"{path} is not readable JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds a {type(values).__name__}, expected an object")
    return values


def read_weights(path: Path) -> dict[str, Shaped[Tensor, "..."]]:
    """Read named tensors from safetensors or from a pickle that holds nothing else.

    Raises:
        CheckpointError: If the file is damaged, or a pickle with more in it than tensors; such a
            pickle is refused before any of it runs.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged or holds more than tensors, which is refused "
            f"(a pickle can run code): {str(error).splitlines()[0]}"
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{path} holds a {type(state).__name__}, expected named tensors")
    return dict(state)


def write_checkpoint(
    folder: Path,
    *,
    config: Mapping[str, Any],
    normalize: bool,
    state: dict[str, Shaped[Tensor, "..."]],
) -> None:
    """Write the three files of a checkpoint; the config states the sample rate."""
    from safetensors.torch import save

    preprocessor = {
        "do_normalize": normalize,
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "padding_value": 0.0,
        "return_attention_mask": True,
        "sampling_rate": config["sample_rate"],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in ((CONFIG_FILE, config), (PREPROCESSOR_FILE, preprocessor)):
        (folder / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    # Not `save_file`: its files are readable by their owner alone, whatever the umask.
    (folder / SAFETENSORS_FILE).write_bytes(save(state, metadata={"format": "pt"}))


def match_keys(
    state: Mapping[str, Shaped[Tensor, "..."]], *, wanted: Mapping[str, Shaped[Tensor, "..."]]
) -> dict[str, Shaped[Tensor, "..."]]:
    """Rename weight-norm keys to the spelling of `wanted`; drop a mask embedding it has not."""
    renamed = {}
    for key, value in state.items():
        if key not in wanted and key.rpartition(".")[2] == MASK_EMBEDDING:
            continue
        renamed[_spelling(key, wanted=wanted)] = value
    return renamed


def _spelling(key: str, *, wanted: Mapping[str, Any]) -> str:
    if key in wanted:
        return key
    for names in WEIGHT_NORM_SUFFIXES:
        for old, new in (names, names[::-1]):
            other = key.removesuffix(old) + new
            if key.endswith("." + old) and other in wanted:
                return other
    return key


def check_state(
    state: Mapping[str, Shaped[Tensor, "..."]],
    *,
    wanted: Mapping[str, Shaped[Tensor, "..."]],
    path: Path,
) -> None:
    """Compare the names and shapes of a file's tensors with those that a module wants.

    Raises:
        CheckpointError: If a tensor is missing, unexpected, of another shape, or not of floats.
    """
    both = [key for key in wanted if key in state]
    faults = {
        "lacks": [key for key in wanted if key not in state],
        "has unexpected": [key for key in state if key not in wanted],
        "has other shapes than its config asks for": [
            f"{key} {tuple(state[key].shape)} for {tuple(wanted[key].shape)}"
            for key in both
            if state[key].shape != wanted[key].shape
        ],
        "has other numbers than floats in": [
            f"{key} ({state[key].dtype})" for key in both if not state[key].is_floating_point()
        ],
    }
    found = [f"{fault} {_name_keys(keys)}" for fault, keys in faults.items() if keys]
    if found:
        raise CheckpointError(
            f"{path} {'; '.join(found)}; do its config and weights belong together?"
        )


def check_depth(
    config: Mapping[str, Any], *, state: Mapping[str, Shaped[Tensor, "..."]], path: Path
) -> None:
    """Refuse a config that asks for more parts than its weights hold, before any is built.

    Each layer, block or entry of a list has a tensor of its own, and each head a number.

    Raises:
        CheckpointError: It asks for more.
    """
    n_tensors, n_numbers = len(state), sum(value.numel() for value in state.values())
    n_parts = max(n_tensors, ALWAYS_ALLOWED_PARTS)
    most = {"num_hidden_layers": n_parts, "n_blocks": n_parts, "n_heads": n_numbers}
    for name, value in config.items():
        count = len(value) if isinstance(value, list) else value if name in most else 0
        if isinstance(count, int | float) and count > most.get(name, n_parts):
            raise CheckpointError(
                f"{path}: {name} asks for {count} parts, and its weights hold {n_tensors} "
                "tensors; do they belong together?"
            )


def _name_keys(keys: list[str]) -> str:
    rest = len(keys) - MAX_KEYS_NAMED
    return ", ".join(keys[:MAX_KEYS_NAMED]) + (f" and {rest} more" if rest > 0 else "")
