"""What no source of this project may contain: ways to run code that came with a checkpoint."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What these read is what their own processes write, to a pipe or within a cluster.
OWN_PIPES = {
    "benchmarks/guard.py",
    "benchmarks/worker.py",
    "src/pamt_metric/batch/ray_engine.py",
}
FOLDERS = ("src", "training", "benchmarks", "examples")
# `pickle` may be imported for the error it raises, and for nothing else.
LOADERS = {"pickle": {"load", "loads", "Unpickler"}}
FORBIDDEN_MODULES = {"nnAudio", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
FORBIDDEN_ARGUMENTS = {"trust_remote_code", "allow_pickle"}


def faults(source):
    """One line about each thing that a source must not do."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.partition(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {alias.name for alias in node.names}
            if node.module.partition(".")[0] in FORBIDDEN_MODULES:
                found.append(node.module)
            found += sorted(names & LOADERS.get(node.module, set()))
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            module, _, name = called.rpartition(".")
            found += [called] * (name in LOADERS.get(module, set()))
            arguments = {k.arg: k.value for k in node.keywords if k.arg}
            found += sorted(FORBIDDEN_ARGUMENTS & arguments.keys())
            only = arguments.get("weights_only")
            is_safe = isinstance(only, ast.Constant) and only.value is True
            if called == "torch.load" and not is_safe:
                found.append("torch.load without weights_only=True")
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_runs_code_from_a_checkpoint(folder):
    paths = sorted((ROOT / folder).rglob("*.py"))
    found = {str(path.relative_to(ROOT)): faults(path.read_text()) for path in paths}
    assert found
    assert {path for path, lines in found.items() if lines} <= OWN_PIPES, found


@pytest.mark.parametrize(
    "source",
    [
        "AutoModel.from_pretrained(x, trust_remote_code=True)",
        "import torch\ntorch.load(x)",
        "import torch\ntorch.load(x, weights_only=False)",
        "import pickle\npickle.load(x)",
        "from pickle import loads",
        "import nnAudio.features",
        "from nnAudio import features",
        "np.load(x, allow_pickle=True)",
    ],
)
def test_the_check_finds_what_it_is_for(source):
    assert faults(source)
