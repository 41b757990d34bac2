"""From the values of a MERT config.json to a HuBERT module."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, Literal, NamedTuple

from pamt_metric.encoders import hubert, windows
from pamt_metric.errors import ConfigError

AttentionImplementation = Literal["sdpa", "eager"]

# Sampling rate of MERT v1 in Hz, where no file states one.
DEFAULT_SAMPLE_RATE = 24_000
# Length in seconds of the clips that MERT was pretrained on (Li et al. 2024).
WINDOW_S = 5.0

MODEL_TYPES = ("mert_model", "hubert")
# Variants of MERT that HuBERT's module cannot hold; no published checkpoint has them switched on.
UNSUPPORTED = ("feature_extractor_cqt", "deepnorm")
# The values of a checkpoint's config.json that HuBERT knows, and what it takes where one is absent.
HUBERT_DEFAULTS: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout": 0.1,
    "activation_dropout": 0.1,
    "attention_dropout": 0.1,
    "feat_proj_layer_norm": True,
    "feat_proj_dropout": 0.0,
    "final_dropout": 0.1,
    "layerdrop": 0.1,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-5,
    "feat_extract_norm": "group",
    "feat_extract_activation": "gelu",
    "conv_dim": [512] * 7,
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_bias": False,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
    "do_stable_layer_norm": False,
    "apply_spec_augment": True,
    "mask_time_prob": 0.05,
    "mask_time_length": 10,
    "mask_time_min_masks": 2,
    "mask_feature_prob": 0.0,
    "mask_feature_length": 10,
    "mask_feature_min_masks": 0,
}
PER_LAYER = ("conv_dim", "conv_stride", "conv_kernel")
# The choices of a config that change what is computed: what `hubert` holds.
CHOICES = {
    "hidden_act": ("gelu",),
    "feat_extract_activation": ("gelu",),
    "feat_extract_norm": ("group", "layer"),
}


def read_architecture(config: Mapping[str, Any]) -> dict[str, Any]:
    """Every value of HuBERT's, ready for JSON: the config's own, else HuBERT's default.

    Raises:
        ConfigError: If the values are of another model, or of a variant that `hubert` cannot hold.
    """
    _check_kind(config)
    given = {name: config[name] for name in HUBERT_DEFAULTS if name in config}
    values: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in (HUBERT_DEFAULTS | given).items()
    }
    lengths = {name: len(values[name]) for name in PER_LAYER}
    if len(set(lengths.values())) > 1:
        raise ConfigError(f"no HuBERT module has front ends of several lengths: {lengths}")
    if values["hidden_size"] % values["num_attention_heads"]:
        raise ConfigError(
            f"no HuBERT module has a width of {values['hidden_size']} and "
            f"{values['num_attention_heads']} attention heads: one must divide the other"
        )
    for name, choices in CHOICES.items():
        if values[name] not in choices:
            raise ConfigError(f"{name} must be {' or '.join(choices)}, got {values[name]!r}")
    hop, span = hubert.hop_and_span(values["conv_stride"], values["conv_kernel"])
    if (hop, span) != (windows.HOP_LENGTH, windows.MIN_SAMPLES):
        raise ConfigError(
            f"conv_stride and conv_kernel give a hop of {hop} and a span of {span} samples, "
            f"expected {windows.HOP_LENGTH} and {windows.MIN_SAMPLES}"
        )
    return values


def build_hubert(
    values: Mapping[str, Any], *, attn_implementation: AttentionImplementation
) -> hubert.Hubert:
    """Build the module with random weights.

    Args:
        values: What `read_architecture` gives.
        attn_implementation: "sdpa" or "eager".

    Raises:
        ConfigError: If no module can be built from them.
    """
    try:
        return hubert.Hubert(values, eager=attn_implementation == "eager")
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"no HuBERT module can be built from these values: {error}") from error


class Timing(NamedTuple):
    """What a config states of time, beside HuBERT's own values.

    Attributes:
        sample_rate: In Hz.
        window_s: Seconds of a clip that the encoder sees at once.
        overlap_s: Seconds that two neighbouring windows share.
    """

    sample_rate: int = DEFAULT_SAMPLE_RATE
    window_s: float = WINDOW_S
    overlap_s: float = 0.0

    @property
    def window_frames(self) -> int:
        """Hops in a window: as many frames, so that 10 s are two windows of 5 s and not three."""
        return round(self.window_s * self.sample_rate / windows.HOP_LENGTH)

    @property
    def overlap_frames(self) -> int:
        """Frames that two neighbouring windows share."""
        return round(self.overlap_s * self.sample_rate / windows.HOP_LENGTH)


def read_timing(config: Mapping[str, Any]) -> Timing:
    """Sample rate and windows of a config.

    Raises:
        ConfigError: If a value is no such number, or windows would not advance.
    """
    timing = Timing(**{name: config[name] for name in Timing._fields if name in config})
    if not isinstance(timing.sample_rate, int) or timing.sample_rate < 1:
        raise ConfigError(f"sample_rate must be a whole number of Hz, got {timing.sample_rate!r}")
    seconds = timing.window_s, timing.overlap_s
    are_numbers = all(isinstance(value, int | float) and isfinite(value) for value in seconds)
    if not are_numbers or not 0 <= timing.overlap_frames < timing.window_frames:
        raise ConfigError(
            f"window_s and overlap_s must be seconds, the window longer by a frame of "
            f"{windows.HOP_LENGTH} samples or more, got {seconds[0]!r} and {seconds[1]!r}"
        )
    return timing


def _check_kind(config: Mapping[str, Any]) -> None:
    model_type = config.get("model_type", MODEL_TYPES[0])
    if model_type not in MODEL_TYPES:
        raise ConfigError(f"model_type is {model_type!r}, expected one of {MODEL_TYPES}")
    switched_on = [name for name in UNSUPPORTED if config.get(name, False)]
    if switched_on:
        raise ConfigError(f"{' and '.join(switched_on)} is true, which is not supported")
