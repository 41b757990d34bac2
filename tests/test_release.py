"""What would be released: files, sizes, the same bytes each time, and that they work by themselves.

`scripts/smoke` does the last in a new environment, which takes a package index.
"""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import pamt_metric

ROOT = Path(__file__).parents[1]
NAME = f"pamt_metric-{pamt_metric.__version__}"
MEBIBYTE = 2**20
AUDIO = {".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff", ".au", ".m4a", ".mid"}
# Sounds and weights that the project made itself; nobody else's may come along.
OWN_AUDIO = {f"examples/{name}.flac" for name in ("reference", "degraded", "other")}
OWN_WEIGHTS = {
    "src/pamt_metric/models/pamt-mini/model.safetensors",
    "tests/golden/mert/golden.safetensors",
    "tests/golden/mert/pytorch_model.bin",
}

pytestmark = pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="a release is built from a git repository"
)


def release(repository, folder):
    return subprocess.run(
        [repository / "scripts/release", folder], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The files of a release of the commit that is checked out."""
    folder = tmp_path_factory.mktemp("built")
    done = release(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built, tmp_path_factory):
    """What lies in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as file:
        file.extractall(folder)  # noqa: S202 (our own file)
    return folder


@pytest.fixture(scope="module")
def sdist(built, tmp_path_factory):
    """What lies in the sdist."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built / f"{NAME}.tar.gz") as file:
        file.extractall(folder, filter="data")
    return folder / NAME


def files(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_is_a_wheel_and_an_sdist_of_bearable_size(built):
    assert files(built) == {f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"}
    for path in built.iterdir():
        assert path.stat().st_size <= 25 * MEBIBYTE


def test_wheel_holds_the_package_and_no_more(wheel):
    tracked = subprocess.run(
        ["git", "ls-files", "src"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    package = {line.removeprefix("src/") for line in tracked.stdout.splitlines()}
    assert {
        "pamt_metric/py.typed",
        "pamt_metric/models/pamt-mini/MODEL_CARD.md",
        "pamt_metric/models/pamt-mini/model.safetensors",
    } <= package
    assert {name for name in files(wheel) if name.startswith("pamt_metric/")} == package
    rest = files(wheel) - package
    info = f"{NAME}.dist-info"
    assert rest == {
        f"{info}/{name}"
        for name in (
            "METADATA",
            "RECORD",
            "WHEEL",
            "entry_points.txt",
            "licenses/LICENSE",
            "licenses/LICENSE-WEIGHTS",
        )
    }
    for name in ("LICENSE", "LICENSE-WEIGHTS"):
        assert (wheel / info / "licenses" / name).read_bytes() == (ROOT / name).read_bytes()


def test_sdist_holds_nothing_of_strangers(sdist):
    found = files(sdist)
    assert {name for name in found if PurePosixPath(name).suffix.lower() in AUDIO} == OWN_AUDIO
    weights = {name for name in found if name.endswith((".safetensors", ".bin", ".pt", ".npz"))}
    assert weights == OWN_WEIGHTS
    tables = {name for name in found if name.endswith((".csv", ".parquet", ".json"))}
    assert not {name for name in tables if name.startswith("benchmarks/results/")}
    assert {"LICENSE", "LICENSE-WEIGHTS", "CITATION.cff", "CHANGELOG.md", "uv.lock"} <= found
    assert "tests/test_release.py" in found


def test_sdist_gives_the_wheel(sdist, built, tmp_path):
    time = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path],
        cwd=sdist,
        env=os.environ | {"SOURCE_DATE_EPOCH": time.stdout.strip()},
        capture_output=True,
        check=True,
    )
    (found,) = tmp_path.iterdir()
    assert found.read_bytes() == (built / found.name).read_bytes()


def test_wheel_works_offline(wheel, tmp_path):
    paths = (wheel, ROOT / "tests/support/offline")
    done = subprocess.run(
        [sys.executable, ROOT / "tests/support/smoke.py", ROOT],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "works offline" in done.stdout


class TestOtherBuild:
    """A release whose two builds differ is none."""

    HOOK = """
import time
from pathlib import Path
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Hook(BuildHookInterface):
    PLUGIN_NAME = "custom"
    def initialize(self, version, build_data):
        Path(self.root, "src/pamt_metric/stamp.py").write_text(f"BUILT = {time.time_ns()}")
"""

    @pytest.fixture
    def repository(self, tmp_path):
        """A clone whose build writes the time into the package."""
        folder = tmp_path / "clone"
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
        (folder / "hatch_build.py").write_text(self.HOOK)
        with (folder / "pyproject.toml").open("a") as file:
            file.write("\n[tool.hatch.build.hooks.custom]\n")
        who = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
        for command in (["add", "."], [*who, "commit", "--quiet", "-m", "stamp"]):
            subprocess.run(["git", *command], cwd=folder, check=True)
        # What the script sets up is there already.
        (folder / "scripts/setup").write_text("#!/bin/sh\n")
        (folder / ".venv/bin").mkdir(parents=True)
        python = folder / ".venv/bin/python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        return folder

    def test_is_refused(self, repository, tmp_path):
        done = release(repository, tmp_path / "built")
        assert done.returncode == 1
        assert f"release: two builds of {NAME}" in done.stderr
        assert files(tmp_path / "built") == set()
