"""Stage 5: write a complete repository folder, which `pamt_metric.load` reads, and push it.

    python -m training publish --config ... --encoder DIR_OR_HUB_ID --work DIR \
        --model-name pamt-mini --model-version 0.4.0 --output DIR [--push OWNER/NAME]

Head, mix of evidence and calibration come from the run under WORK. An encoder from the Hub is
referenced by id, commit and hash, and never copied: its licence is its publisher's. One of our own
goes into the file of weights. The model before any training of its head, as a baseline: a run with
`--steps 0`.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pamt_metric import checkpoint, hub
from pamt_metric.encoders import mert_files
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.errors import ConfigError
from pamt_metric.hub_client import LOG_IN, client
from pamt_metric.metric import Metric
from training.calibrate import CALIBRATION_FILE
from training.head_config import HeadStageConfig
from training.head_model import head_arguments, make_metric
from training.head_stages import add_stage_argument, read_stage_config, run_folder
from training.model_card import CARD_FILE, model_card
from training.run_state import read_state
from training.trainer import CHECKPOINT_FILE

DEFAULT_LICENCE = "CC-BY-4.0"
TRAINING_DATA = [
    "rendered MIDI: POP909 (MIT), Nottingham (GPL-3), JSB chorales (public-domain music)",
    "recordings: Philharmonia samples (free use), Sonic Pi samples (CC0)",
    "train split of the rated audio: timbre studies, VoicePerception f2 f3 m1 m2, separated vocals",
]


@dataclass(frozen=True)
class Release:
    """What a published model is called, and the licence of what is in its repository."""

    name: str
    version: str
    licence: str = DEFAULT_LICENCE
    command: str = "training/reproduce.sh"


def load_trained(config: HeadStageConfig, encoder: MertEncoder, run: Path) -> Metric:
    """The metric at the end of a run, with its calibration."""
    metric = make_metric(config, encoder)
    state = read_state(run / CHECKPOINT_FILE)
    metric.head.load_state_dict(state["head"])
    metric.pair.load_state_dict(state["pair"])
    metric.pair.scale.fill_(read_calibration(run)["scale"])
    return metric


def read_calibration(run: Path) -> dict[str, float]:
    """What stage 4 found."""
    return json.loads((run / CALIBRATION_FILE).read_text(encoding="utf-8"))


def encoder_reference(encoder: MertEncoder, place: str) -> dict[str, Any] | None:
    """Where the Hub has this encoder; None where it is our own, and goes into the file of weights.

    Args:
        encoder: As loaded.
        place: The folder or Hub id that it was loaded from.

    Raises:
        ConfigError: It is a copy of a published encoder, and nothing says of which.
    """
    source = encoder.source
    if source is None:
        return None
    reference = {"sha256": source.sha256, "normalize": encoder.normalize}
    if source.revision is not None:
        return {"hub": source.name, "revision": source.revision, **reference}
    for hub_id, known in hub.PUBLISHED.items():
        if known.sha256 == source.sha256:
            return {"hub": hub_id, "revision": known.revision, **reference}
    config = mert_files.read_json(Path(place) / mert_files.CONFIG_FILE)
    if config.get("model_type") == "mert_model":
        raise ConfigError(
            f"{place} looks like a copy of a published MERT (model_type 'mert_model'), whose "
            "weights are not ours to publish; give its Hub id to --encoder, and it is referenced"
        )
    return None


def write_release(
    metric: Metric,
    config: HeadStageConfig,
    release: Release,
    *,
    run: Path,
    place: str,
    output: Path,
) -> str:
    """Write config, weights and model card; returns the hash of the weights.

    Args:
        metric: With its calibration.
        config: What it was trained with.
        release: Its name, version and licence.
        run: The folder of its run.
        place: The folder or Hub id that its encoder was loaded from.
        output: The repository's folder.
    """
    card = {
        "licence": release.licence,
        "training_data": TRAINING_DATA,
        "seed": config.seed,
        "calibration": read_calibration(run),
        "command": release.command,
    }
    sha256 = checkpoint.save(
        metric,
        output,
        name=release.name,
        version=release.version,
        encoder_hub=encoder_reference(metric.encoder, place),
        head_config=head_arguments(config, metric.encoder),
        card=card,
    )
    (output / CARD_FILE).write_text(model_card(output), encoding="utf-8")
    return sha256


def push(folder: Path, hub_id: str, *, private: bool) -> str:
    """Upload a repository folder to the Hub; returns the address of the commit.

    Raises:
        ConfigError: No token, or the Hub client is offline.
        CheckpointError: The Hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi, constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise ConfigError(f"cannot push to {hub_id}: HF_HUB_OFFLINE is set; unset it")
    if get_token() is None:
        raise ConfigError(f"cannot push to {hub_id}: there is no token that may write; {LOG_IN}")
    with client(f"cannot push to {hub_id}", hub_id):
        api = HfApi()
        api.create_repo(hub_id, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=hub_id,
            folder_path=folder,
            allow_patterns=[checkpoint.CONFIG_FILE, checkpoint.WEIGHTS_FILE, CARD_FILE],
            commit_message="Publish",
        )
    return done.commit_url


def add_release_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `publish` that `head` has too."""
    parser.add_argument("--model-name", required=True)
    parser.add_argument("--model-version", required=True)
    parser.add_argument("--licence", default=DEFAULT_LICENCE, help="of what is published")
    parser.add_argument("--output", type=Path, required=True, help="folder of the repository")
    parser.add_argument("--push", metavar="OWNER/NAME", help="upload it to the Hub too")
    parser.add_argument("--command", help="that makes the model, for its card; default: `head`")
    parser.add_argument("--private", action="store_true", help="where --push makes a repository")


def _public(encoder: str) -> str:
    """What may stand in a card: a Hub id, but nobody's folders."""
    return "ENCODER" if Path(encoder).is_dir() else encoder


def publish(metric: Metric, config: HeadStageConfig, arguments: argparse.Namespace) -> None:
    """Write the folder, and push it where that is asked for."""
    release = Release(
        arguments.model_name,
        arguments.model_version,
        arguments.licence,
        arguments.command or f"python -m training head --encoder {_public(arguments.encoder)}",
    )
    sha256 = write_release(
        metric,
        config,
        release,
        run=run_folder(arguments),
        place=arguments.encoder,
        output=arguments.output,
    )
    sys.stdout.write(f"{arguments.output}: sha256 {sha256}\n")
    if arguments.push:
        url = push(arguments.output, arguments.push, private=arguments.private)
        sys.stdout.write(f"{url}\n")


def main() -> None:
    """Command line of the stage."""
    parser = argparse.ArgumentParser(description="Write a model's repository; push it.")
    add_stage_argument(parser)
    parser.add_argument("--config", type=Path, help="default: the shipped one of the stage")
    parser.add_argument("--encoder", required=True, help="folder or Hub id")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--name", help="folder of the run under WORK; default: the stage")
    add_release_arguments(parser)
    arguments = parser.parse_args()
    config = read_stage_config(arguments)
    encoder = MertEncoder.from_pretrained(arguments.encoder)
    metric = load_trained(config, encoder, run_folder(arguments))
    publish(metric, config, arguments)


if __name__ == "__main__":
    main()
