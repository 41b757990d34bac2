"""Train a head on any encoder: stages 2 to 5 (joint, calibrate, publish) in one command.

    python -m training head --encoder m-a-p/MERT-v1-95M --data ROOT --work DIR --output DIR \
        --model-name pamt-95m --model-version 0.1.0 [--push OWNER/NAME]

Layers, width and sample rate are read from the encoder, and the configuration is `head.yaml`, not
that of pamt-mini, whose head reads one layer. Resumes from WORK.
"""

import argparse

from training.calibrate import write_calibration
from training.head_stages import CONFIGS, make_parser, make_trainer, read_inputs, run_folder
from training.publish import add_release_arguments, load_trained, publish
from training.trainer import run


def make_head_parser() -> argparse.ArgumentParser:
    """Arguments of these stages."""
    parser = make_parser(
        "Train a head on an encoder, and write the model's repository.", stage="joint"
    )
    parser.set_defaults(config=CONFIGS / "head.yaml")
    add_release_arguments(parser)
    return parser


def main() -> None:
    """Command line of these stages."""
    arguments = make_head_parser().parse_args()
    inputs = read_inputs(arguments)
    trainer = make_trainer(inputs, run_folder(arguments))
    run(trainer)
    if not trainer.accelerator.is_main_process:
        return
    write_calibration(trainer)
    metric = load_trained(inputs.config, inputs.encoder, trainer.folder)
    publish(metric, inputs.config, arguments)


if __name__ == "__main__":
    main()
