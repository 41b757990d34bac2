"""Stages 2 and 3 together: sequential contrast and perceptual alignment of the head.

    python -m training joint --config training/configs/joint-mini.yaml \
        --pretrain training/configs/pretrain-mini-further.yaml --encoder DIR --data ROOT --work DIR

The encoder and the ear are frozen, so everything up to the head is computed once and cached under
WORK. `training/objective.py` says what is minimised, `training/trainer.py` how. Resumes from WORK;
the same seed gives the same weights.

The held-out split is never read here; `training.crossval` leaves studies of the train split out.
"""

import logging

from training.head_stages import make_parser, make_trainer, read_inputs, run_folder
from training.progress import short
from training.trainer import run

_log = logging.getLogger(__name__)


def main() -> None:
    """Command line of the stage."""
    arguments = make_parser("Contrast and alignment of the head.", stage="joint").parse_args()
    trainer = make_trainer(read_inputs(arguments), run_folder(arguments))
    run(trainer)
    _log.info("on what it was trained on: %s", short(trainer.summary()))


if __name__ == "__main__":
    main()
