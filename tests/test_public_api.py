"""What `import pamt_metric` offers, and what it leaves alone."""

import inspect
import json
import subprocess
import sys
from types import ModuleType

import pytest

PUBLIC_NAMES = {
    "CheckpointError",
    "Comparison",
    "ConfigError",
    "InputError",
    "Metric",
    "ModelInfo",
    "PamtError",
    "PerceptualLoss",
    "compare",
    "distance",
    "embed",
    "load",
    "pairwise_distances",
}

# Runs in a process of its own. torch and numpy come first: what they do on import is theirs.
PROBE = """
import json, os, random, sys
import numpy, torch

def state():
    return {
        "default dtype": str(torch.get_default_dtype()),
        "default device": str(torch.get_default_device()),
        "gradients enabled": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
        "deterministic algorithms": [
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
        ],
        "matmul precision": torch.get_float32_matmul_precision(),
        "random state": [
            torch.get_rng_state().tolist(),
            repr(random.getstate()),
            repr(numpy.random.get_state()),
        ],
        "environment": dict(os.environ),
        "numpy errors": numpy.geterr(),
        "search path": list(sys.path),
    }

sockets, opened = [], []
recording = True

def listen(event, args):
    if not recording:
        return
    if event.startswith("socket."):
        sockets.append(event)
    if event == "open" and str(args[0]).endswith((".safetensors", ".bin", ".pt", ".ckpt")):
        opened.append(str(args[0]))

before = state()
sys.addaudithook(listen)
import pamt_metric
recording = False
after = state()
json.dump({
    "modules": sorted(sys.modules),
    "sockets": sockets,
    "weights": opened,
    "changed": [name for name in before if before[name] != after[name]],
}, sys.stdout)
"""


@pytest.fixture(scope="module")
def import_effects() -> dict[str, list[str]]:
    process = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=False, timeout=120
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.mark.parametrize(
    "package",
    [
        "torchaudio",
        "torchmetrics",
        "transformers",
        "huggingface_hub",
        "matplotlib",
        "torch._dynamo",
        "training",
        "benchmarks",
    ],
)
def test_import_does_not_load(import_effects, package):
    assert "pamt_metric" in import_effects["modules"]
    assert package not in import_effects["modules"]


def test_import_opens_no_socket(import_effects):
    assert import_effects["sockets"] == []


def test_import_reads_no_weights(import_effects):
    assert import_effects["weights"] == []


def test_import_changes_no_global_state(import_effects):
    assert import_effects["changed"] == []


def test_all_is_the_public_surface():
    import pamt_metric

    assert set(pamt_metric.__all__) == PUBLIC_NAMES
    assert len(pamt_metric.__all__) == len(PUBLIC_NAMES)
    assert set(dir(pamt_metric)) >= PUBLIC_NAMES


def test_no_other_name_is_visible():
    import pamt_metric

    visible = {
        name
        for name, value in vars(pamt_metric).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert visible <= PUBLIC_NAMES


@pytest.mark.parametrize("name", sorted(PUBLIC_NAMES))
def test_public_name_has_a_docstring(name):
    import pamt_metric

    value = getattr(pamt_metric, name)
    assert own_docstring(value)
    if inspect.isclass(value):
        members = {k: v for k, v in vars(value).items() if not k.startswith("_")}
        silent = [
            k
            for k, v in members.items()
            if (inspect.isroutine(v) or isinstance(v, property)) and not own_docstring(v)
        ]
        assert silent == []


def own_docstring(value: object) -> str | None:
    """Its own, not an inherited one, nor the signature that a dataclass writes for itself."""
    docstring = getattr(value, "__doc__", None)
    if inspect.isclass(value) and docstring and docstring.startswith(f"{value.__name__}("):
        return None
    return docstring


def test_version_is_the_installed_one():
    from importlib.metadata import version

    import pamt_metric

    assert pamt_metric.__version__ == version("pamt-metric")
