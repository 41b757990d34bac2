"""Stage 2 alone: sequential contrast of the head.

    python -m training contrast --encoder DIR --data ROOT --work DIR

Frames of a clip against those of its imperceptibly changed copy, with other times and other clips
as negatives. `python -m training align` goes on from where it ends. Resumes from WORK.
"""

import logging

from training.head_stages import make_parser, make_trainer, read_inputs, run_folder
from training.trainer import run

_log = logging.getLogger(__name__)


def main() -> None:
    """Command line of the stage."""
    arguments = make_parser("Sequential contrast of the head.", stage="contrast").parse_args()
    trainer = make_trainer(read_inputs(arguments), run_folder(arguments))
    run(trainer)
    held = trainer.model.orderings_held(trainer.ladders)
    _log.info("orderings of the ladders held before any alignment: %.3f", held)


if __name__ == "__main__":
    main()
