"""Make tests/golden/mert from the full MERT fixtures.

    python tests/golden/make_mert_golden.py FIXTURES      (or PAMT_MERT_FIXTURES=FIXTURES)

FIXTURES holds `mert-95m-tiny` and `mert-330m-tiny`: random weights in the published layout
(hidden size 64, 3 layers, 32 channels) and `golden.safetensors`, hidden states that MERT's own
reference code gave for them under transformers 4.47.1. Kept here, about 1.4 MB:

- one file of weights, because both models were drawn with the same ones, and both configs;
- `single.waveform` (5 s), and `padded.waveform`, the 1 s of audio at the start of the last clip of
  the batch of 3 s clips, which ends in zeros;
- every eighth frame of all hidden states of both, the second one with and without its mask.
"""

import os
import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save
from torch import Tensor

MODELS = ("mert-95m-tiny", "mert-330m-tiny")
CASES = {"single": "single", "batch_unmasked": "padded_unmasked", "batch_masked": "padded_masked"}
N_STATES = 4
FRAME_STEP = 8
GOLDEN = Path(__file__).parent / "mert"


def trim(fixtures: Path) -> None:
    """Write the trimmed copy."""
    full = {model: load_file(fixtures / model / "golden.safetensors") for model in MODELS}
    weights = {(fixtures / model / "pytorch_model.bin").read_bytes() for model in MODELS}
    waveforms = {model: trim_waveforms(values) for model, values in full.items()}
    first, second = (waveforms[model] for model in MODELS)
    if len(weights) != 1 or not all(first[name].equal(second[name]) for name in first):
        sys.exit("the models no longer share weights and waveforms: keep each model's own")
    golden = dict(first)
    for model, values in full.items():
        golden |= trim_states(values, model=model)
    GOLDEN.mkdir(exist_ok=True)
    for model in MODELS:
        shutil.copyfile(fixtures / model / "config.json", GOLDEN / f"{model}.config.json")
    for name in ("preprocessor_config.json", "pytorch_model.bin"):
        shutil.copyfile(fixtures / MODELS[0] / name, GOLDEN / name)
    (GOLDEN / "golden.safetensors").write_bytes(save(golden))


def trim_waveforms(full: dict[str, Tensor]) -> dict[str, Tensor]:
    """The single clip, and the last one of the batch without its padding."""
    padded, mask = full["batch.waveform"][-1:], full["batch.attention_mask"][-1]
    n_audio = int(mask.sum())
    if padded[:, n_audio:].any():
        sys.exit("the padding of the batch is not zero")
    return {
        "single.waveform": full["single.waveform"],
        "padded.waveform": padded[:, :n_audio].clone(),
    }


def trim_states(full: dict[str, Tensor], *, model: str) -> dict[str, Tensor]:
    """Every eighth frame of the last clip of each case."""
    return {
        f"{model}.{kept}.{layer}": full[f"{case}.hidden_states.{layer}"][-1:, ::FRAME_STEP].clone()
        for case, kept in CASES.items()
        for layer in range(N_STATES)
    }


if __name__ == "__main__":
    folder = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PAMT_MERT_FIXTURES")
    if folder is None:
        sys.exit(__doc__)
    trim(Path(folder))
