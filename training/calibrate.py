"""Stage 4: set the scale so that 1.0 is the just-noticeable difference of a degraded copy.

    python -m training.calibrate --config ... --pretrain ... --encoder DIR --data ROOT --work DIR

Over all ladders, the median distance of a clip to its copy with noise at the masked threshold of
our own ear becomes 1. That ties the scale to a model of masking, not yet to listeners: the result
also says where noise 6 dB under and 6 and 12 dB over the threshold then lies.
"""

import json
import logging

import numpy as np
import torch

from training.data.ladders import MASKED_LEVELS_DB
from training.head_stages import make_parser, make_trainer, read_inputs, run_folder
from training.trainer import Trainer

CALIBRATION_FILE = "calibration.json"

_log = logging.getLogger(__name__)


def calibrate(trainer: Trainer) -> dict[str, float]:
    """The scale, and the median distance at each level of masked noise once it is applied."""
    medians = _median_distances(trainer)
    scale = 1.0 / medians[MASKED_LEVELS_DB.index(0.0)]
    named = zip(MASKED_LEVELS_DB, medians, strict=True)
    return {"scale": scale, **{f"at_{db:+.0f}_db": median * scale for db, median in named}}


@torch.no_grad()
def _median_distances(trainer: Trainer) -> list[float]:
    rows = [
        trainer.model.distances(x.pairs).cpu().numpy()[x.masked_noise()] for x in trainer.ladders
    ]
    return np.median(np.stack(rows), axis=0).tolist()


def write_calibration(trainer: Trainer) -> dict[str, float]:
    """Calibrate, and keep the result in the run's folder, where `publish` looks for it."""
    found = calibrate(trainer)
    path = trainer.folder / CALIBRATION_FILE
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    _log.info("%s: %s", path, found)
    return found


def main() -> None:
    """Command line of the stage."""
    arguments = make_parser("Calibration of the distance's scale.").parse_args()
    write_calibration(make_trainer(read_inputs(arguments), run_folder(arguments)))


if __name__ == "__main__":
    main()
