"""Stage 3 alone: perceptual alignment of the head, from where stage 2 ended.

    python -m training align --encoder DIR --data ROOT --work DIR [--start DIR/contrast]

Human ratings within a study, degradation ladders as orders, the hinge at the masked threshold, and
the gate between the two regimes. Resumes from WORK.
"""

import logging
from pathlib import Path

from training.head_stages import make_parser, make_trainer, read_inputs, run_folder
from training.progress import short
from training.trainer import run

_log = logging.getLogger(__name__)


def main() -> None:
    """Command line of the stage."""
    parser = make_parser("Perceptual alignment of the head.", stage="align")
    parser.add_argument(
        "--start", type=Path, help="folder of the run of stage 2; default: contrast under WORK"
    )
    arguments = parser.parse_args()
    trainer = make_trainer(read_inputs(arguments), run_folder(arguments))
    trainer.start_from(arguments.start or arguments.work / "contrast")
    run(trainer)
    _log.info("on what it was trained on: %s", short(trainer.summary()))


if __name__ == "__main__":
    main()
