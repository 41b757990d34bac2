"""What the stages of the head start from."""

from dataclasses import replace

import pytest

from training.config import load_config
from training.head import make_head_parser
from training.head_config import HeadConfig
from training.head_model import head_arguments
from training.head_stages import CONFIGS, STAGES, read_stage_config

ARGUMENTS = ["--encoder", "any", "--work", "w", "--output", "o"]
NAMES = ["--model-name", "mine", "--model-version", "1"]


def test_a_head_on_any_encoder_reads_more_than_the_layer_of_pamt_mini(tiny_metric):
    config = read_stage_config(make_head_parser().parse_args([*ARGUMENTS, *NAMES]))
    layers = head_arguments(config, tiny_metric.encoder)["encoder_layers"]
    assert layers == list(range(tiny_metric.encoder.n_layers + 1))
    mini = load_config(CONFIGS / "joint-mini.yaml", STAGES["joint"])
    assert config == replace(mini, head=HeadConfig())


@pytest.mark.parametrize("stage", STAGES)
def test_the_stages_of_pamt_mini_read_one_layer(stage):
    config = load_config(CONFIGS / f"{stage}-mini.yaml", STAGES[stage])
    assert config.head.encoder_layers == (0,)
