"""Make tests/golden/distances.json: what the bundled model says of 20 made-up pairs.

    python tests/golden/make_distances.py

To be run when the bundled model or what it hears changes on purpose; the changelog of that release
then says that numbers change. `tests/test_golden_distances.py` holds every other change to these.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

import pamt_metric as pamt
from tests.support import signals

GOLDEN = Path(__file__).parent / "distances.json"
RATE = 48_000


def _piece(seed: int) -> Tensor:
    return signals.piece(1.5, seed=seed, sample_rate=RATE)


def _tone(frequency: float, n_partials: int = 8) -> Tensor:
    return signals.tone(1.0, frequency=frequency, n_partials=n_partials, sample_rate=RATE)


def _noise(seed: int) -> Tensor:
    return signals.noise(1.0, seed=seed, sample_rate=RATE)


def _wide(seed: int) -> Tensor:
    return signals.stereo(_piece(seed), _piece(seed + 1))


PAIRS: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
    "noise at 60 dB": lambda: (_piece(1), signals.with_noise(_piece(1), 60.0)),
    "noise at 40 dB": lambda: (_piece(1), signals.with_noise(_piece(1), 40.0)),
    "noise at 20 dB": lambda: (_piece(1), signals.with_noise(_piece(1), 20.0)),
    "noise at 0 dB": lambda: (_piece(1), signals.with_noise(_piece(1), 0.0)),
    "low-pass at 12 kHz": lambda: (
        _noise(1),
        signals.low_passed(_noise(1), 12_000.0, sample_rate=RATE),
    ),
    "low-pass at 4 kHz": lambda: (
        _noise(1),
        signals.low_passed(_noise(1), 4_000.0, sample_rate=RATE),
    ),
    "clipped": lambda: (_piece(2), _piece(2).clamp(-0.1, 0.1)),
    "quieter by 6 dB": lambda: (_piece(2), 0.5 * _piece(2)),
    "later by 20 ms": lambda: (_piece(2), _piece(2).roll(960)),
    "second half silent": lambda: (
        _piece(2),
        torch.cat([_piece(2)[:36_000], torch.zeros(len(_piece(2)) - 36_000)]),
    ),
    "shorter by a third": lambda: (_piece(3), _piece(3)[:48_000]),
    "another piece": lambda: (_piece(1), _piece(2)),
    "a third higher": lambda: (_tone(440.0), _tone(554.37)),
    "3 Hz higher": lambda: (_tone(440.0), _tone(443.0)),
    "fewer partials": lambda: (_tone(220.0, 12), _tone(220.0, 4)),
    "tone and noise": lambda: (_tone(440.0), _noise(2)),
    "fresh noise": lambda: (_noise(3), _noise(4)),
    "clicks and their noise": lambda: (
        signals.clicks(1.0, sample_rate=RATE),
        signals.with_noise(signals.clicks(1.0, sample_rate=RATE), 20.0),
    ),
    "mono of a wide mix": lambda: (_wide(5), _wide(5).mean(0, keepdim=True).expand(2, -1)),
    "music and silence": lambda: (_piece(6), signals.silence(1.5, sample_rate=RATE)),
}


def measure() -> dict[str, float]:
    """The bundled model's distance of each pair."""
    metric = pamt.load()
    found = {}
    for name, make in PAIRS.items():
        a, b = make()
        found[name] = float(metric.distance(a, b, sample_rate=RATE))
    return found


def main() -> None:
    """Write the file."""
    distances = {name: float(f"{value:.6g}") for name, value in measure().items()}
    golden = {"sha256": pamt.load().info.sha256, "distances": distances}
    GOLDEN.write_text(json.dumps(golden, indent=2) + "\n")


if __name__ == "__main__":
    main()
