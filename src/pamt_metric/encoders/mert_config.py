"""From the values of a MERT config.json to transformers' HuBERT module."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pamt_metric.encoders import windows
from pamt_metric.errors import ConfigError

if TYPE_CHECKING:
    import transformers

AttentionImplementation = Literal["sdpa", "eager"]

# Sampling rate of MERT v1 in Hz, where no file states one.
DEFAULT_SAMPLE_RATE = 24_000
# Length in seconds of the clips that MERT was pretrained on (Li et al. 2024).
WINDOW_S = 5.0

MODEL_TYPES = ("mert_model", "hubert")
# Variants of MERT that HuBERT's module cannot hold; no published checkpoint has them switched on.
UNSUPPORTED = ("feature_extractor_cqt", "deepnorm")
# The values of a checkpoint's config.json that HuBERT knows; absent ones take HuBERT's defaults.
HUBERT_FIELDS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "hidden_dropout",
    "activation_dropout",
    "attention_dropout",
    "feat_proj_layer_norm",
    "feat_proj_dropout",
    "final_dropout",
    "layerdrop",
    "initializer_range",
    "layer_norm_eps",
    "feat_extract_norm",
    "feat_extract_activation",
    "conv_dim",
    "conv_stride",
    "conv_kernel",
    "conv_bias",
    "num_conv_pos_embeddings",
    "num_conv_pos_embedding_groups",
    "do_stable_layer_norm",
    "apply_spec_augment",
    "mask_time_prob",
    "mask_time_length",
    "mask_time_min_masks",
    "mask_feature_prob",
    "mask_feature_length",
    "mask_feature_min_masks",
)


def build_hubert(
    config: Mapping[str, Any], *, attn_implementation: AttentionImplementation
) -> "transformers.HubertModel":
    """Build the stock module with random weights.

    Args:
        config: Values of a config.json; those that HuBERT does not know are ignored.
        attn_implementation: "sdpa" or "eager".

    Raises:
        ConfigError: If the values are of another model, or of a variant that HuBERT cannot hold.
    """
    from transformers import HubertConfig, HubertModel  # here: it takes seconds to import

    _check_kind(config)
    values = {name: config[name] for name in HUBERT_FIELDS if name in config}
    values["attn_implementation"] = attn_implementation
    try:
        hubert_config = HubertConfig(**values)
        _check_front_end(hubert_config.conv_stride, hubert_config.conv_kernel)
        return HubertModel(hubert_config)
    except ConfigError:
        raise
    # Bad values surface as various errors, from transformers or torch, by version.
    except Exception as error:
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


def _check_front_end(strides: Sequence[int], kernels: Sequence[int]) -> None:
    hop, span = 1, 1
    for stride, kernel in zip(strides, kernels, strict=True):
        span += (kernel - 1) * hop
        hop *= stride
    if (hop, span) != (windows.HOP_LENGTH, windows.MIN_SAMPLES):
        raise ConfigError(
            f"conv_stride and conv_kernel give a hop of {hop} and a span of {span} samples, "
            f"expected {windows.HOP_LENGTH} and {windows.MIN_SAMPLES}"
        )


def values_used(module: "transformers.HubertModel") -> dict[str, Any]:
    """The values that rebuild this module, ready for JSON."""
    values = {name: getattr(module.config, name) for name in HUBERT_FIELDS}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
