"""What each part of the recipe is worth: the head trained again without it, on the same budget.

    python -m training ablations --encoder DIR --data ROOT --work DIR [--variants NAME ...]

Each variant changes one thing of the joint stage's configuration (`VARIANTS`). All share the
features of the full model and the held-out studies, whose features are computed once. Writes
`WORK/ablations/agreement.csv`: for each variant and held-out study what the model says of every
pair, and prints means with the difference to the full model. Resumes by variant.

The held-out split is read here for reporting alone: no variant is chosen by these figures, and
every run is entered in `training/LOG.md`. Time is not aligned between the clips of a pair, which
the released metric does; its own figures are therefore not quite those of `full`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch

from benchmarks.agreement import ITEM_COLUMNS
from benchmarks.datasets import HELD_OUT, find_root, load
from benchmarks.summary import by_dataset, differences
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.errors import ConfigError
from pamt_metric.evidence import ALIGNED, EVIDENCE, POOLED
from training.data.alignment_set import AlignmentSet, Ladder, Study, rated_studies, studies_of
from training.data.features import pick_layers
from training.head_config import HeadStageConfig
from training.head_model import make_metric
from training.head_stages import (
    Inputs,
    make_parser,
    make_trainer,
    read_inputs,
    with_all_layers,
)
from training.trainer import run

FULL = "full"
RANDOM_ENCODER = "random encoder"
FROM_ENCODER = ("sequence", "own")
"""Evidence that passes through the encoder and the head; all other is the ear's."""
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    FULL: {},
    "untrained": {"n_steps": 0},
    "no conditioning": {"head": {"groups": ()}},
    "no contrast": {"loss": {"contrast": 0.0}},
    "no thresholds": {"loss": {"just_heard": 0.0}},
    "no alignment": {
        "loss": dict.fromkeys(
            (
                "rating",
                "order",
                "content_margin",
                "jnd",
                "consistency",
                "just_heard",
                "same_content",
            ),
            0.0,
        )
    },
    "no encoder": {"evidence": tuple(name for name in EVIDENCE if name not in FROM_ENCODER)},
    "no ear": {"evidence": FROM_ENCODER, "head": {"groups": ()}},
    "pooled only": {"evidence": POOLED},
    "sequence only": {"evidence": ALIGNED},
    "all layers": {"head": {"encoder_layers": ()}},
    RANDOM_ENCODER: {},
}
"""What each variant changes; one more for each layer of the encoder is made as it is asked for."""
LAYER = "layer "
RESULT_FILE = "agreement.csv"

_log = logging.getLogger(__name__)
T = TypeVar("T", Study, Ladder)


def changed(config: HeadStageConfig, variant: str) -> HeadStageConfig:
    """The configuration of a variant.

    Raises:
        ConfigError: there is no such variant.
    """
    if variant.startswith(LAYER):
        head = replace(config.head, encoder_layers=(int(variant.removeprefix(LAYER)),))
        return replace(config, head=head)
    if variant not in VARIANTS:
        raise ConfigError(f"variants are {', '.join(VARIANTS)} and '{LAYER}N'; got {variant!r}")
    changes = dict(VARIANTS[variant])
    for part in ("head", "loss"):
        if part in changes:
            changes[part] = replace(getattr(config, part), **changes[part])
    return replace(config, **changes)


def random_encoder(encoder: MertEncoder, *, seed: int) -> MertEncoder:
    """An encoder of the same layout whose weights nothing has taught."""
    torch.manual_seed(seed)
    return MertEncoder(encoder.config, normalize=encoder.normalize)


def answers(inputs: Inputs, held_out: Sequence[Study], folder: Path) -> list[torch.Tensor]:
    """Train a variant, and what it says of the held-out pairs."""
    trainer = make_trainer(inputs, folder)
    run(trainer)
    with torch.no_grad():
        return [trainer.model.distances(study.pairs).cpu() for study in held_out]


def of_layers(inputs: Inputs, studies: Sequence[Study]) -> tuple[AlignmentSet, list[Study]]:
    """Features with those layers alone that the configuration names."""
    kept = inputs.config.head.encoder_layers
    if not kept:
        return inputs.material, list(studies)
    have = list(make_metric(with_all_layers(inputs.config), inputs.encoder).head.encoder_layers)
    index = [have.index(layer) for layer in kept]
    material = inputs.material

    def slim(found: Sequence[T]) -> list[T]:
        return [replace(each, pairs=pick_layers(each.pairs, index)) for each in found]

    kept_features = AlignmentSet(
        slim(material.studies), slim(material.ladders), slim(material.just_heard)
    )
    return kept_features, slim(studies)


def held_out_studies(inputs: Inputs, root: Path, folder: Path) -> tuple[list[Study], pd.DataFrame]:
    """Features of the held-out studies, from a file of this encoder once they were computed."""
    table = load(root, split=HELD_OUT)
    metric = make_metric(with_all_layers(inputs.config), inputs.encoder)
    return studies_of(metric, table, folder / "held-out"), table


def as_items(
    variant: str, studies: Sequence[Study], found: Sequence[torch.Tensor], table: pd.DataFrame
) -> pd.DataFrame:
    """Values of a variant as the benchmark keeps them, one row a pair."""
    rows_of = dict(rated_studies(table))
    parts = []
    for study, values in zip(studies, found, strict=True):
        rows = rows_of[study.dataset, study.name, study.group, study.question]
        parts.append(rows.assign(metric=variant, value=values.numpy(), reason="", origin=""))
    return pd.DataFrame(pd.concat(parts), columns=list(ITEM_COLUMNS))


def main() -> None:
    """Command line of the stage."""
    parser = make_parser("Ablations of the joint stage.", stage="joint")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), metavar="NAME")
    arguments = parser.parse_args()
    folder = arguments.work / (arguments.name or "ablations")
    folder.mkdir(parents=True, exist_ok=True)
    root = find_root(arguments.data)
    full = read_inputs(arguments, all_layers=True)
    parts = []
    for variant in arguments.variants:
        path = folder / f"{variant.replace(' ', '-')}.csv"
        if not path.is_file():
            inputs = replace(full, config=changed(full.config, variant))
            if variant == RANDOM_ENCODER:
                encoder = random_encoder(full.encoder, seed=full.config.seed)
                inputs = read_inputs(arguments, encoder=encoder, all_layers=True)
            studies, table = held_out_studies(inputs, root, folder)
            material, studies = of_layers(inputs, studies)
            inputs = replace(inputs, material=material)
            found = answers(inputs, studies, folder / variant.replace(" ", "-"))
            as_items(variant, studies, found, table).to_csv(path, index=False)
        parts.append(pd.read_csv(path, keep_default_na=False))
    items = pd.concat(parts, ignore_index=True)
    items.to_csv(folder / RESULT_FILE, index=False)
    means = by_dataset(items)[["dataset", "metric", "spearman", "low", "high"]]
    _log.info("held out:\n%s", means.to_string(index=False))
    if FULL in arguments.variants:
        against = differences(items, metric=FULL)
        _log.info("full minus:\n%s", against.drop(columns=["split", "question"]).to_string())


if __name__ == "__main__":
    main()
