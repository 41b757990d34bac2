"""Configuration of stage 1, masked pretraining, with parts nested in it."""

from dataclasses import dataclass, field


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
