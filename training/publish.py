"""Stage 5: write the model folder that `pamt_metric.load` reads.

    python -m training.publish --config ... --encoder DIR --work DIR \
        --model-name pamt-mini --model-version 0.3.0 --output src/pamt_metric/models/pamt-mini

Head, mix of evidence and calibration come from the run under WORK, the encoder from its folder. The
model before any training of its head, as a baseline: a run with `--steps 0`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from pamt_metric import checkpoint
from pamt_metric.encoders.mert import MertEncoder
from training.calibrate import CALIBRATION_FILE
from training.config import JointConfig, load_config
from training.joint import head_arguments, make_metric

TRAINING_DATA = [
    "rendered MIDI: POP909 (MIT), Nottingham (GPL-3), JSB chorales (public-domain music)",
    "recordings: Philharmonia samples (free use), Sonic Pi samples (CC0)",
    "train split of the rated audio: timbre studies, VoicePerception f2 f3 m1 m2, separated vocals",
]


def card(config: JointConfig, calibration: dict[str, float]) -> dict[str, Any]:
    """What people should know about the model; machine-readable half of the model card."""
    return {
        "licence": "CC-BY-4.0",
        "training_data": TRAINING_DATA,
        "seed": config.seed,
        "calibration": calibration,
        "command": "training/reproduce.sh",
    }


def main() -> None:
    """Command line of the stage."""
    parser = argparse.ArgumentParser(description="Write a model folder.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--name", default="joint")
    parser.add_argument("--model-name", required=True)
    parser.add_argument("--model-version", required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()

    config = load_config(arguments.config, JointConfig)
    encoder = MertEncoder.from_pretrained(arguments.encoder)
    metric = make_metric(config, encoder)
    run = arguments.work / arguments.name
    state = torch.load(run / "joint.pt", weights_only=True)
    metric.head.load_state_dict(state["head"])
    metric.pair.load_state_dict(state["pair"])
    calibration = json.loads((run / CALIBRATION_FILE).read_text(encoding="utf-8"))
    metric.pair.scale.fill_(calibration["scale"])
    sha256 = checkpoint.save(
        metric,
        arguments.output,
        name=arguments.model_name,
        version=arguments.model_version,
        head_config=head_arguments(config, encoder),
        card=card(config, calibration),
    )
    sys.stdout.write(f"{arguments.output}: sha256 {sha256}\n")


if __name__ == "__main__":
    main()
