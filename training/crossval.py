"""Cross-validation inside the train split: every group of studies is left out once.

    python -m training.crossval --config ... --pretrain ... --encoder DIR --data ROOT --work DIR \
        --name cv

Models are chosen by this and by nothing else. Fold k leaves out the k-th, k+6-th ... group of every
dataset. Writes `crossval.csv` under WORK/NAME: for each study that was left out its Spearman
correlation before training, with a random head and a neutral mix, and after; and `out_of_fold.csv`:
what the models say of each pair that they never heard, for `python -m benchmarks crossval`. Resumes
by fold.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.datasets import TRAIN, find_root, load
from benchmarks.datasets.table import groups
from pamt_metric.errors import ConfigError
from training.data.alignment_set import RATED_DATASETS, Study, rated_studies
from training.head_stages import Inputs, make_parser, make_trainer, read_inputs, run_folder
from training.trainer import Trainer, run

N_FOLDS = 6
RESULT_FILE = "crossval.csv"
OUT_OF_FOLD_FILE = "out_of_fold.csv"

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


def cross_validate(inputs: Inputs, table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """One row a study: fold, dataset, study, untrained and trained correlation, orderings held.

    Args:
        inputs: what training starts from.
        table: the rated pairs that the studies of `inputs` were made of.
        folder: where results and checkpoints go, each fold in a folder of its own.
    """
    found = [
        _fold(inputs, table, left_out, folder / f"fold-{number}")
        for number, left_out in enumerate(folds(inputs.material.studies))
    ]
    result, values = (pd.concat(parts, ignore_index=True) for parts in zip(*found, strict=True))
    result.to_csv(folder / RESULT_FILE, index=False)
    values.to_csv(folder / OUT_OF_FOLD_FILE, index=False)
    return result


def _fold(
    inputs: Inputs, table: pd.DataFrame, left_out: list[Study], folder: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    path = folder / RESULT_FILE
    if path.is_file():
        return pd.read_csv(path), pd.read_csv(folder / OUT_OF_FOLD_FILE)
    untrained = make_trainer(inputs, folder / "untrained", without=left_out)
    before = untrained.model.agreement(left_out)
    trainer = make_trainer(inputs, folder, without=left_out)
    run(trainer)
    columns = {
        "fold": folder.name,
        "dataset": [study.dataset for study in left_out],
        "study": [study.name for study in left_out],
        "question": [study.question for study in left_out],
        "untrained": before,
        "trained": trainer.model.agreement(left_out),
        "orderings": trainer.model.orderings_held(trainer.ladders),
    }
    values = _out_of_fold(trainer, table, left_out)
    values.to_csv(folder / OUT_OF_FOLD_FILE, index=False)
    fold = pd.DataFrame(columns)
    fold.to_csv(path, index=False)
    _log.info("left out:\n%s", fold.to_string(index=False))
    return fold, values


def _out_of_fold(trainer: Trainer, table: pd.DataFrame, left_out: list[Study]) -> pd.DataFrame:
    """Values of the pairs left out, in the columns that `benchmarks crossval` reads."""
    wanted = {(study.dataset, study.name, study.question): study for study in left_out}
    parts = []
    for (dataset, name, _, question), rows in rated_studies(table):
        study = wanted.get((dataset, name, question))
        if study is None:
            continue
        with torch.no_grad():
            values = trainer.model.parts(study)
        # Where listeners had several questions, each part may answer another.
        kept = values if question else {"distance": values["distance"]}
        parts += [
            rows.assign(metric=metric_name(part), value=value.cpu().numpy())
            for part, value in kept.items()
        ]
    columns = ["dataset", "study", "question", "reference", "test", "metric", "value"]
    return pd.DataFrame(pd.concat(parts), columns=columns).assign(split=TRAIN)


def metric_name(part: str) -> str:
    """What a part of the distance is called in results."""
    return "pamt" if part == "distance" else f"pamt-{part}"


def main() -> None:
    """Command line of the stage."""
    parser = make_parser("Cross-validation of the head inside the train split.")
    arguments = parser.parse_args()
    folder = run_folder(arguments)
    table = load(find_root(arguments.data), datasets=RATED_DATASETS, split=TRAIN)
    inputs = read_inputs(arguments)
    if inputs.accelerator.num_processes > 1:
        raise ConfigError("cross-validation runs on one process; start it without a launcher")
    result = cross_validate(inputs, table, folder)
    for (dataset, question), studies in groups(result.fillna(""), ["dataset", "question"]):
        means = {name: np.mean(studies[name]) for name in ("untrained", "trained", "orderings")}
        figures = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())
        _log.info("mean over the %d studies of %s %s: %s", len(studies), dataset, question, figures)


if __name__ == "__main__":
    main()
