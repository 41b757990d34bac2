"""Cross-validation inside the train split: every group of studies is left out once.

    python -m training.crossval --config ... --pretrain ... --encoder DIR --data ROOT --work DIR \
        --name cv

Models are chosen by this and by nothing else. Fold k leaves out the k-th, k+6-th ... group of every
dataset. Writes `crossval.csv` under WORK/NAME: for each study that was left out its Spearman
correlation before training, with a random head and a neutral mix, and after. Resumes by fold.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.datasets.table import groups
from training.data.alignment_set import Study
from training.joint import Inputs, make_trainer, parse_arguments, read_inputs, run

N_FOLDS = 6
RESULT_FILE = "crossval.csv"

_log = logging.getLogger(__name__)


def folds(studies: list[Study]) -> list[list[Study]]:
    """Studies to leave out, fold by fold; a group is never divided."""
    number: dict[tuple[str, str], int] = {}
    per_dataset: dict[str, int] = {}
    for study in studies:
        if (study.dataset, study.group) not in number:
            number[study.dataset, study.group] = per_dataset.get(study.dataset, 0)
            per_dataset[study.dataset] = number[study.dataset, study.group] + 1
    found: list[list[Study]] = [[] for _ in range(N_FOLDS)]
    for study in studies:
        found[number[study.dataset, study.group] % N_FOLDS].append(study)
    return [fold for fold in found if fold]


def cross_validate(inputs: Inputs, folder: Path) -> pd.DataFrame:
    """One row a study: fold, dataset, study, untrained and trained correlation, orderings held."""
    rows = [
        _fold(inputs, left_out, folder / f"fold-{number}")
        for number, left_out in enumerate(folds(inputs.material.studies))
    ]
    return pd.concat(rows, ignore_index=True)


def _fold(inputs: Inputs, left_out: list[Study], folder: Path) -> pd.DataFrame:
    path = folder / RESULT_FILE
    if path.is_file():
        return pd.read_csv(path)
    untrained = make_trainer(inputs, folder / "untrained", without=left_out).agreement(left_out)
    trainer = make_trainer(inputs, folder, without=left_out)
    run(trainer)
    columns = {
        "fold": folder.name,
        "dataset": [study.dataset for study in left_out],
        "study": [study.name for study in left_out],
        "untrained": untrained,
        "trained": trainer.agreement(left_out),
        "orderings": trainer.orderings_held(),
    }
    fold = pd.DataFrame(columns)
    fold.to_csv(path, index=False)
    _log.info("left out:\n%s", fold.to_string(index=False))
    return fold


def main() -> None:
    """Command line of the stage."""
    arguments = parse_arguments("Cross-validation of the head inside the train split.")
    folder = arguments.work / arguments.name
    result = cross_validate(read_inputs(arguments), folder)
    result.to_csv(folder / RESULT_FILE, index=False)
    for (dataset,), studies in groups(result, ["dataset"]):
        means = {name: np.mean(studies[name]) for name in ("untrained", "trained", "orderings")}
        figures = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())
        _log.info("mean over the %d studies of %s: %s", len(studies), dataset, figures)


if __name__ == "__main__":
    main()
