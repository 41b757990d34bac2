"""The command line that stages 2 and 3 and those after them share, and what they start from.

Every one of these stages reads the same frozen features, computed once under WORK by the first
process; with processes on several machines, WORK is a folder that all of them see.
"""

import argparse
import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate import Accelerator

from benchmarks.datasets import find_root
from pamt_metric.encoders.mert import MertEncoder
from training.config import load_config
from training.data.alignment_set import AlignmentSet, Study, build_alignment_set
from training.data.just_heard import just_heard_studies
from training.head_config import AlignConfig, ContrastConfig, HeadStageConfig, JointConfig
from training.head_model import make_metric
from training.pretrain_config import PretrainConfig
from training.processes import make_accelerator
from training.progress import set_up_logging
from training.trainer import Trainer

CONFIGS = Path(__file__).parent / "configs"
STAGES: dict[str, type[HeadStageConfig]] = {
    "contrast": ContrastConfig,
    "align": AlignConfig,
    "joint": JointConfig,
}
"""Stages that train the head, with their configurations."""


def make_parser(description: str, *, stage: str | None = None) -> argparse.ArgumentParser:
    """Arguments that these stages share; without a stage of its own, a command asks for one."""
    parser = argparse.ArgumentParser(description=description)
    if stage is None:
        add_stage_argument(parser)
    else:
        parser.set_defaults(stage=stage)
    parser.add_argument("--config", type=Path, help="default: the shipped one of the stage")
    corpus = CONFIGS / "pretrain-mini-further.yaml"
    parser.add_argument("--pretrain", type=Path, default=corpus, help="names the corpus")
    parser.add_argument("--encoder", required=True, help="folder or Hub id")
    parser.add_argument("--data", type=Path, default=os.environ.get("PAMT_DATA"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--name", help="folder of this run under WORK; default: the stage")
    parser.add_argument("--steps", type=int, help="end here instead of the configured step")
    set_up_logging()
    return parser


def add_stage_argument(parser: argparse.ArgumentParser) -> None:
    """Which of the stages that train the head was the last."""
    parser.add_argument("--stage", choices=STAGES, default="joint", help="that trained the head")


def read_stage_config(arguments: argparse.Namespace) -> HeadStageConfig:
    """The configuration of the stage that the arguments name."""
    path = arguments.config or CONFIGS / f"{arguments.stage}-mini.yaml"
    return load_config(path, STAGES[arguments.stage])


def run_folder(arguments: argparse.Namespace) -> Path:
    """The folder of the run."""
    return arguments.work / (arguments.name or arguments.stage)


@dataclass(frozen=True)
class Inputs:
    """What training of the head starts from."""

    config: HeadStageConfig
    encoder: MertEncoder
    material: AlignmentSet
    accelerator: Accelerator


def read_inputs(
    arguments: argparse.Namespace, *, encoder: MertEncoder | None = None, all_layers: bool = False
) -> Inputs:
    """The configuration, the encoder and the features, from the cache where they are known.

    Another encoder than the arguments name may be given. With `all_layers` the features hold every
    layer that a head could read, whatever the configuration names.
    """
    root = find_root(arguments.data)
    config = read_stage_config(arguments)
    if arguments.steps is not None:
        config = replace(config, n_steps=arguments.steps)
    corpus = load_config(arguments.pretrain, PretrainConfig).corpus
    accelerator = make_accelerator(config.mixed_precision)
    encoder = encoder or MertEncoder.from_pretrained(arguments.encoder)
    metric = make_metric(with_all_layers(config) if all_layers else config, encoder)
    with accelerator.main_process_first():
        material = build_alignment_set(metric, config.ladders, corpus, root, arguments.work)
    wanted = config.experiments if config.all_losses().just_heard else ()
    just_heard = just_heard_studies(metric, wanted)
    return Inputs(config, metric.encoder, replace(material, just_heard=just_heard), accelerator)


def with_all_layers(config: HeadStageConfig) -> HeadStageConfig:
    """The same, the head reading as many layers as a configuration that names none."""
    return replace(config, head=replace(config.head, encoder_layers=()))


def make_trainer(inputs: Inputs, folder: Path, *, without: Collection[Study] = ()) -> Trainer:
    """A trainer at its last checkpoint, or at step 0; `without` some of the studies."""
    metric = make_metric(inputs.config, inputs.encoder)
    left_out = {id(study) for study in without}
    kept = [study for study in inputs.material.studies if id(study) not in left_out]
    material = replace(inputs.material, studies=kept)
    trainer = Trainer(inputs.config, metric, material, folder, accelerator=inputs.accelerator)
    trainer.resume()
    return trainer
