"""What an installed package must do, offline: `python smoke.py CHECKOUT` in an empty folder.

Needs nothing but the package. `scripts/smoke` runs it in a new environment with every socket
blocked; `tests/test_release.py` on the files of the wheel.
"""

import json
import math
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import soundfile

import pamt_metric

RATE = 24_000
PAMT = Path(sys.executable).with_name("pamt")
# A score of the command has four digits.
TOLERANCE = 1e-3


def main(checkout: Path) -> None:
    """Each check in turn; the first that fails ends it."""
    check_that_sockets_are_blocked()
    check_what_is_installed(checkout)
    write_sounds()
    check_library(check_command())
    sys.stdout.write(f"pamt-metric {pamt_metric.__version__} works offline\n")


def check_that_sockets_are_blocked() -> None:
    """In this process, and in those that it starts."""
    attempt = "import socket; socket.create_connection(('127.0.0.1', 9), timeout=1)"
    try:
        exec(attempt)  # noqa: S102
    except PermissionError:
        pass
    else:
        raise AssertionError("a socket was opened")
    assert "PermissionError: offline: " in run(sys.executable, "-c", attempt, expected=1)


def check_what_is_installed(checkout: Path) -> None:
    """The package comes from elsewhere than the checkout, with its metadata and its types."""
    package = Path(pamt_metric.__file__).parent
    assert not package.is_relative_to(checkout), f"{package} is the checkout's"
    assert (package / "py.typed").is_file()
    assert metadata.version("pamt-metric") == pamt_metric.__version__
    files = {path.name for path in metadata.files("pamt-metric") or ()}
    assert {"LICENSE", "LICENSE-WEIGHTS", "MODEL_CARD.md", "model.safetensors"} <= files


def write_sounds() -> None:
    """Half a second of a chord, the same with noise, and another one with a beat."""
    rng = np.random.default_rng(0)
    time = np.arange(RATE // 2) / RATE
    chord = sum(np.sin(2 * np.pi * hz * time) for hz in (220, 277, 330)) / 10
    beat = np.sin(2 * np.pi * 1000 * time) * (time % 0.1 < 0.02) / 3
    noise = rng.standard_normal(len(time)) / 100
    for name, sound in {"chord": chord, "noisy": chord + noise, "beat": beat}.items():
        soundfile.write(f"{name}.wav", sound, RATE)


def check_command() -> dict[str, float]:
    """`pamt` knows its model, and orders the sounds; returns its distances."""
    assert f"pamt-mini  {pamt_metric.load().info.version}" in run(PAMT, "info")
    told = json.loads(
        run(PAMT, "score", "chord.wav", "chord.wav", "noisy.wav", "beat.wav", "--json")
    )
    found = {Path(row["test"]).stem: row["distance"] for row in told["results"]}
    assert found["chord"] == 0.0
    assert 1.0 < found["noisy"] < found["beat"]
    assert "missing.wav" in run(PAMT, "score", "chord.wav", "missing.wav", expected=2)
    return found


def check_library(told: dict[str, float]) -> None:
    """The functions give what the command gives."""
    for name, value in told.items():
        assert math.isclose(
            pamt_metric.distance("chord.wav", f"{name}.wav"), value, abs_tol=TOLERANCE
        )
    comparison = pamt_metric.compare("chord.wav", "noisy.wav")
    assert math.isclose(comparison.distance, told["noisy"], abs_tol=TOLERANCE)
    chord, noisy, beat = (pamt_metric.embed(f"{name}.wav") for name in ("chord", "noisy", "beat"))
    assert 0.0 < (chord - noisy).norm() < (chord - beat).norm()


def run(*command: object, expected: int = 0) -> str:
    """Everything that a command prints."""
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == expected, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]))
