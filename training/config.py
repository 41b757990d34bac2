"""Typed configurations of the training stages, read from YAML.

One dataclass a stage, with parts nested in it. Every field has a value in the YAML file or a
default here; a key that no field has is an error, so a misspelt option cannot be ignored.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from pamt_metric.errors import ConfigError
from pamt_metric.evidence import EVIDENCE

Config = TypeVar("Config")


@dataclass(frozen=True)
class CorpusConfig:
    """What the cached corpus holds. Durations are of the finished audio, before any repetition."""

    seed: int = 0
    excerpt_s: tuple[float, float] = (30.0, 40.0)
    """Length of a rendered excerpt or of a string of recordings, drawn uniformly."""
    pop909_h: float = 4.0
    nottingham_h: float = 2.0
    chorales_h: float = 1.5
    recordings_h: float = 1.5
    """Recordings are strung together in random orders, so this may exceed what there is."""
    drum_probability: float = 0.3
    low_pass_probability: float = 0.15
    """Share of clips that are band-limited before caching, so that the targets are so too."""
    low_pass_hz: tuple[float, float] = (2500.0, 10000.0)
    soundfonts: tuple[str, ...] = (
        "FluidR3_GM.sf2",
        "TimGM6mb.sf2",
        "MuseScore_General_Lite.sf3",
    )
    held_aside_share: float = 0.02
    """Share of pieces and recordings that serve only for validation."""


@dataclass(frozen=True)
class StreamConfig:
    """Corpora that are read as they are, beside the cached one or in its place."""

    share: float = 0.0
    """Of the windows of a batch, on average; at 1 there is no cached corpus."""
    corpora: tuple[str, ...] = ()
    """`KIND:PATH`, the path relative to the data folder. Kinds are `shards` and those of
    `training/data/public_corpora.py`. A corpus that is named twice is drawn twice as often."""
    held_aside_share: float = 0.02
    """Share of files that serve only for validation."""
    n_validation_windows: int = 64
    """Beside those of the cached corpus, of as many files."""
    n_fit_windows: int = 400
    """On which the teachers are fitted where there is no cached corpus."""


@dataclass(frozen=True)
class TeacherConfig:
    """The acoustic teacher's quantiser. The constant-Q layout is fixed in `training.teachers`."""

    seed: int = 0
    n_codebooks: int = 2
    n_centroids: int = 256
    n_fit_frames: int = 200_000
    n_iterations: int = 25


@dataclass(frozen=True)
class EncoderConfig:
    """Free dimensions of the small encoder; the rest is MERT-v1-95M's layout."""

    conv_width: int = 64
    hidden_size: int = 192
    n_layers: int = 6
    n_heads: int = 6
    intermediate_size: int = 768
    do_stable_layer_norm: bool = False
    dropout: float = 0.0


@dataclass(frozen=True)
class ObjectiveConfig:
    """Masked prediction, as in MERT (Li et al. 2024) on HuBERT (Hsu et al. 2021)."""

    mask_probability: float = 0.8
    """Expected number of masked frames if spans never overlapped, as a share of all frames."""
    mask_length: int = 10
    """Frames a span. MERT has 5; in music neighbours tell more, so the gap is wider here."""
    temperature: float = 0.1
    code_width: int = 64
    """Width of the space in which predictions meet code embeddings: MERT's `final_dim`."""
    cqt_weight: float = 1.0
    visible_weight: float = 0.5
    """Weight of the same losses on frames that are not masked. 0 in MERT; here it teaches the
    front end directly, which a short run on a CPU needs."""
    mixture_probability: float = 0.5
    mixture_level_db: tuple[float, float] = (-20.0, -3.0)
    mixture_s: tuple[float, float] = (0.5, 1.5)


@dataclass(frozen=True)
class PretrainConfig:
    """Stage 1: masked pretraining of the small encoder."""

    seed: int = 0
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    stream: StreamConfig = field(default_factory=StreamConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    batch_size: int = 8
    window_s: float = 3.0
    recordings_share: float = 0.25
    """Share of training windows that come from recordings rather than rendered music."""
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    n_steps: int = 5000
    n_warmup_steps: int = 300
    n_cooldown_steps: int = 1000
    log_every: int = 10
    validate_every: int = 250
    checkpoint_every_s: float = 180.0
    compile: bool = True
    mixed_precision: str = "no"
    """`no`, `bf16`, or on a GPU `fp16`: products and convolutions in half the bits, all else in
    single precision."""
    accumulation_steps: int = 1
    """Parts that a process computes its share of a batch in, one after the other: less memory."""
    gradient_checkpointing: bool = False
    """Compute the encoder's layers again in the backward pass: less memory, a third more time."""


@dataclass(frozen=True)
class HeadConfig:
    """Arguments of `pamt_metric.head.SequenceHead` that a release may choose."""

    width: int = 128
    n_blocks: int = 2
    n_heads: int = 4
    dim: int = 64
    groups: tuple[str, ...] = ("loudness", "threshold", "modulation", "interaural")
    encoder_layers: tuple[int, ...] = ()
    """Hidden states that are mixed, 0 being the projected front end; none named: see the next."""
    max_encoder_layers: int = 7
    """How many are mixed where none is named, evenly spaced from the first to the last; all of a
    small encoder's. Their number sets the size of the cached features."""


@dataclass(frozen=True)
class LadderConfig:
    """Clips and their degraded copies, of which the order of audibility is known."""

    seed: int = 0
    n_clips: int = 160
    clip_s: float = 4.0
    recordings_share: float = 0.4
    families_per_clip: int = 3
    """Families of degradation drawn for each clip, beside noise at the masked threshold."""
    families: tuple[str, ...] = (
        "noise",
        "low-pass",
        "mp3",
        "opus",
        "clipping",
        "quantisation",
        "reverberation",
        "leakage",
        "packet loss",
    )
    """Those that may be drawn; `training/data/families.py` has more."""
    hard_negatives: bool = False
    """Whether the same song at another place, and the same notes in another arrangement, are among
    what must be farther than any copy."""


OBJECTIVES = (
    "rating",
    "rating_head",
    "penalty",
    "order",
    "content_margin",
    "jnd",
    "consistency",
    "same_content",
    "contrast",
)
"""Names of the weights in the configurations of losses."""


@dataclass(frozen=True)
class AlignLossConfig:
    """Weight of each objective of perceptual alignment; 0 switches it off."""

    rating: float = 1.0
    """Of the human ratings on the mix of evidence and the clip statistics, all studies a step."""
    separation: float = 0.5
    """Of the separation study's ratings, of the part that its question is about, beside those of
    the other datasets."""
    same_content: float = 0.1
    """Of the gate between the two regimes."""
    rating_head: float = 0.0
    """Of the human ratings on the whole head, one study a step."""
    penalty: float = 1e-3
    """Of the mix's squared distance from neutral weights."""
    order: float = 0.5
    content_margin: float = 0.5
    jnd: float = 0.25
    consistency: float = 0.25
    """Of resampling, a small gain and a small delay."""
    order_margin: float = 0.1
    """Least difference of log distance between neighbouring rungs of a ladder."""
    content_log_margin: float = 0.2
    """Least difference of log distance between another song and any copy of this one."""
    jnd_log_margin: float = 0.1
    consistency_log_margin: float = 0.7
    """At half a just-noticeable difference the objective is met."""


@dataclass(frozen=True)
class ContrastLossConfig:
    """The objective of sequential contrast."""

    contrast: float = 1.0
    temperature: float = 0.1


@dataclass(frozen=True)
class LossConfig(AlignLossConfig):
    """Weight of each objective; 0 switches it off."""

    contrast: float = 0.2
    temperature: float = 0.1
    """Of the contrastive loss."""


@dataclass(frozen=True)
class HeadStageConfig:
    """What every stage that trains the head has."""

    seed: int = 0
    head: HeadConfig = field(default_factory=HeadConfig)
    ladders: LadderConfig = field(default_factory=LadderConfig)
    loss: Any = None
    evidence: tuple[str, ...] = EVIDENCE
    """Kinds of evidence that the distance may use; the others weigh nothing, for ablations."""
    n_steps: int = 600
    n_warmup_steps: int = 30
    ladder_clips_per_step: int = 4
    contrast_frames: int = 256
    learning_rate: float = 5e-4
    pair_learning_rate: float = 2e-2
    """For the mix of evidence and the clip statistics, all logarithms that start at 0."""
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    checkpoint_every_s: float = 120.0
    mixed_precision: str = "no"
    """`no`, `bf16`, or on a GPU `fp16`."""
    accumulation_steps: int = 1
    """Draws of ladders a step, whose objectives are averaged."""

    def all_losses(self) -> LossConfig:
        """Every objective's weight: 0 for those that this stage has not."""
        return LossConfig(**{**dict.fromkeys(OBJECTIVES, 0.0), **asdict(self.loss)})


@dataclass(frozen=True)
class ContrastConfig(HeadStageConfig):
    """Stage 2: sequential contrast of the head."""

    loss: ContrastLossConfig = field(default_factory=ContrastLossConfig)


@dataclass(frozen=True)
class AlignConfig(HeadStageConfig):
    """Stage 3: perceptual alignment of the head."""

    loss: AlignLossConfig = field(default_factory=AlignLossConfig)


@dataclass(frozen=True)
class JointConfig(HeadStageConfig):
    """Stages 2 and 3 together: sequential contrast and perceptual alignment of the head."""

    loss: LossConfig = field(default_factory=LossConfig)


def load_config(path: Path | str, kind: type[Config]) -> Config:
    """Read a YAML file into a configuration dataclass.

    Raises:
        ConfigError: the file is no mapping, or has a key or a type that the dataclass has not.
    """
    try:
        values = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the configuration {path}: {error}") from error
    return _build(kind, values or {}, str(path))


def _build(kind: type[Config], values: Any, where: str) -> Config:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: expected a mapping for {kind.__name__}, got {values!r}")
    hints = get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = set(values) - known
    if unknown:
        raise ConfigError(
            f"{where}: unknown keys {sorted(unknown)} for {kind.__name__}; it has {sorted(known)}"
        )
    return kind(
        **{name: _value(hints[name], value, f"{where}: {name}") for name, value in values.items()}
    )


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where)  # type: ignore[arg-type]
    if getattr(hint, "__origin__", None) is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where}: expected a list, got {value!r}")
        return tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (hint is int and value is True)):
        raise ConfigError(f"{where}: expected {hint.__name__}, got {value!r}")
    return value
