"""Configurations of the stages that train the head, with parts nested in them."""

from dataclasses import asdict, dataclass, field
from typing import Any

from pamt_metric.evidence import EVIDENCE


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
    "just_heard",
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
    just_heard: float = 0.1
    """Of changes that listeners just hear in published experiments, which are to be equally far."""
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
    experiments: tuple[str, ...] = ("a", "e1", "f1", "j1")
    """Listening experiments of the benchmark whose thresholds are to be equally far: tones in
    quiet, differences of intensity and of frequency, a probe after a masker."""
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
