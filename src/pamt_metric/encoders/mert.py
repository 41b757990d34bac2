"""The frozen encoder: any model of the MERT family in transformers' own HuBERT module.

MERT is HuBERT's architecture, pretrained on music. Its published checkpoints come with code of
their own; that code is not needed and never run: config values and weights go into the stock
module, and give the same hidden states (checked in `tests/unit/test_mert_encoder.py`).

Source: Li et al. 2024, "MERT: Acoustic Music Understanding Model with Large-Scale
Self-supervised Training" (arXiv 2306.00107), and its released checkpoints.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from pamt_metric.encoders import mert_config, mert_files, normalization, windows
from pamt_metric.errors import CheckpointError, ConfigError, InputError

__all__ = ["MertEncoder"]

# Windows in one forward pass: bounds memory; more are hardly faster on a CPU.
WINDOWS_PER_FORWARD = 8


class MertEncoder(nn.Module):
    """A frozen MERT: waveform in, hidden states of chosen layers out.

    Frozen means frozen: `train()` cannot leave eval mode, and no parameter takes a gradient. A
    gradient does pass to the waveform.

    Shapes: `batch` clips, `time` in samples, `layer` chosen layers, `frame` of 320 samples each,
    `width` values in each. Frame t is centred at (200 + 320 t) / sample_rate seconds.

    Attributes:
        module: The transformers module inside.
        config: Values that the module was built from; `MertEncoder(config, ...)` builds it again.
        normalize: Whether each clip is brought to zero mean and unit variance first.
        source: Where the weights came from; None for an encoder built from a config alone.
        sample_rate: In Hz.
        frame_rate: In frames per second.
        width: Size of a hidden state.
        n_layers: Number of transformer layers. Layer 0 is their input, so layers 0 to `n_layers`
            can be asked for.
        window_samples: Longest stretch of a clip that the module sees at once.
        overlap_frames: Frames that two neighbouring windows share.
    """

    hop_length = windows.HOP_LENGTH
    min_samples = windows.MIN_SAMPLES
    n_frames = staticmethod(windows.n_frames)

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        normalize: bool,
        attn_implementation: mert_config.AttentionImplementation = "sdpa",
    ) -> None:
        """Build an encoder with random weights, to be loaded with `load_state_dict`.

        Args:
            config: Values of a `config.json` in the layout of MERT or HuBERT; what HuBERT does
                not know is ignored. `sample_rate` defaults to 24000 Hz, `window_s` to 5 s and
                `overlap_s` to 0; they decide features as much as the weights do.
            normalize: See the attribute.
            attn_implementation: "sdpa" (fast), or "eager"; they differ by rounding.

        Raises:
            ConfigError: If no supported module can be built from the values.
        """
        super().__init__()
        values = mert_config.read_architecture(config)
        self.module = mert_config.build_hubert(values, attn_implementation=attn_implementation)
        self.attn_implementation = attn_implementation
        self.normalize = normalize
        self.source: mert_files.Source | None = None
        timing = mert_config.read_timing(config)
        self.config = values | timing._asdict()
        self.sample_rate = timing.sample_rate
        self.frame_rate = self.sample_rate / self.hop_length
        hops = (timing.window_frames - 1) * windows.HOP_LENGTH
        self.window_samples = windows.MIN_SAMPLES + hops
        self.overlap_frames = timing.overlap_frames
        self.width = int(values["hidden_size"])
        self.n_layers = int(values["num_hidden_layers"])
        self.requires_grad_(requires_grad=False)
        self.eval()

    @classmethod
    def from_pretrained(
        cls,
        folder_or_hub_id: str | PathLike[str],
        *,
        revision: str | None = None,
        normalize: bool | None = None,
        window_s: float | None = None,
        overlap_s: float | None = None,
        attn_implementation: mert_config.AttentionImplementation = "sdpa",
    ) -> "MertEncoder":
        """Load a published or self-trained checkpoint, strictly and without remote code.

        Args:
            folder_or_hub_id: A folder with `config.json`, `model.safetensors` or
                `pytorch_model.bin`, and perhaps `preprocessor_config.json`; or a Hub id.
            revision: Hub commit, tag or branch; MERT-v1-95M is pinned where none is given.
            normalize: Defaults to `do_normalize` of the preprocessor config; where that states
                nothing, to False for MERT v0 and to True for others, as in transformers.
            window_s: Seconds in a window; the config's, else 5, by default.
            overlap_s: Seconds that two neighbouring windows share; the config's, else 0, by
                default.
            attn_implementation: "sdpa" (fast), or "eager"; they differ by rounding.

        Raises:
            CheckpointError: If files are missing or damaged, or do not fit one another.
        """
        files = mert_files.find_checkpoint(folder_or_hub_id, revision=revision)
        config, do_normalize = mert_files.read_configs(files)
        given = {"window_s": window_s, "overlap_s": overlap_s}
        config |= {name: value for name, value in given.items() if value is not None}
        state = mert_files.read_weights(files.weights)
        mert_files.check_depth(config, state=state, path=files.config)
        try:
            # Random weights are drawn before the real ones come: the caller's random numbers
            # must not depend on that.
            with torch.random.fork_rng(devices=[]):
                # Without memory first: a config must not ask for more than the weights hold.
                values = mert_config.read_architecture(config)
                with torch.device("meta"):
                    shell = mert_config.build_hubert(
                        values, attn_implementation=attn_implementation
                    )
                wanted = shell.state_dict()
                state = mert_files.match_keys(state, wanted=wanted)
                mert_files.check_state(state, wanted=wanted, path=files.weights)
                encoder = cls(
                    config,
                    normalize=do_normalize if normalize is None else normalize,
                    attn_implementation=attn_implementation,
                )
        except ConfigError as error:
            raise CheckpointError(f"{files.config}: {error}") from error
        encoder.load_state_dict({f"module.{key}": value for key, value in state.items()})
        encoder.source = files.source
        return encoder

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as config and weights: torch refuses to pickle a parametrised convolution."""
        attention = self.attn_implementation
        options = {"normalize": self.normalize, "attn_implementation": attention}
        return _rebuild, (self.config, options, self.source, self.state_dict())

    def train(self, mode: bool = True) -> "MertEncoder":  # noqa: ARG002, FBT001, FBT002 (as in torch)
        """Stay in eval mode, whatever is asked."""
        return super().train(mode=False)

    def forward(
        self,
        waveform: Float[Tensor, "batch time"],
        lengths: Int[Tensor, "batch"] | Sequence[int] | None = None,
        layers: Sequence[int] | None = None,
    ) -> Float[Tensor, "batch layer frame width"]:
        """Hidden states of each clip, from windows in which nothing is padded.

        A clip's result is the same alone and in a padded batch, to rounding (torch may choose
        another convolution routine for a lone short clip). Frames beyond its own are zero.

        Args:
            waveform: Mono clips at `sample_rate`.
            lengths: Samples of each clip that are audio, the rest being padding; all by default.
            layers: Which hidden states, in this order; 0 is the transformer's input, negative
                ones count from the top, None takes all. Layers above the highest are not run.

        Raises:
            InputError: If a clip is shorter than one frame or than its length, or there is no
                such layer.
        """
        chosen = self._check_layers(layers)
        sizes = _check_lengths(waveform, lengths)
        clips = [self._clip(clip[:size]) for clip, size in zip(waveform, sizes, strict=True)]
        blocks = self._blocks(clips, chosen, windows_per_forward=WINDOWS_PER_FORWARD)
        pieces: list[dict[int, Tensor]] = [{} for _ in clips]
        for item, start, states in blocks:
            pieces[item][start] = states
        encoded = [torch.cat([piece[k] for k in sorted(piece)], dim=1) for piece in pieces]
        if len(encoded) == 1 and sizes[0] == waveform.shape[-1]:
            return encoded[0][None]
        total = windows.n_frames(waveform.shape[-1])
        return torch.stack(
            [functional.pad(states, (0, 0, 0, total - states.shape[1])) for states in encoded]
        )

    def stream(
        self,
        clip: Float[Tensor, "time"],
        layers: Sequence[int] | None = None,
        *,
        windows_per_forward: int = 1,
    ) -> Iterator[Float[Tensor, "layer _ width"]]:
        """The hidden states of one long clip piece by piece, in memory that does not grow with it.

        Joined along their frames, the pieces are what `forward` gives for the clip, to rounding.

        Args:
            clip: Mono samples at `sample_rate`.
            layers: As for `forward`.
            windows_per_forward: How many windows share a forward pass: memory against speed.

        Raises:
            InputError: As for `forward`.
        """
        return self.stream_clip(self._clip(clip), layers, windows_per_forward=windows_per_forward)

    def stream_clip(
        self,
        clip: windows.Clip,
        layers: Sequence[int] | None = None,
        *,
        windows_per_forward: int = 1,
    ) -> Iterator[Float[Tensor, "layer _ width"]]:
        """The same for a clip that is read window by window; it says itself how it is prepared."""
        chosen = self._check_layers(layers)
        blocks = self._blocks([clip], chosen, windows_per_forward=windows_per_forward)
        return (states for _, _, states in blocks)

    def preparation(self, parts: Iterable[Float[Tensor, "_"]]) -> normalization.Preparation:
        """What each window of a clip goes through, from all of its parts, one after another."""
        dtype = next(self.parameters()).dtype
        return normalization.prepare(parts, dtype=dtype, normalize=self.normalize)

    def _clip(self, samples: Float[Tensor, "time"]) -> windows.Clip:
        prepare = self.preparation([samples])
        return windows.Clip(
            lambda start, stop: prepare(samples[start:stop]), n_samples=samples.shape[0]
        )

    def _blocks(
        self, clips: list[windows.Clip], layers: list[int], *, windows_per_forward: int
    ) -> Iterator[tuple[int, int, Float[Tensor, "layer _ width"]]]:
        """Index of the clip, first sample of the window, frames kept; in order within a batch."""
        cuts = [
            (item, window)
            for item, clip in enumerate(clips)
            for window in windows.window_grid(
                clip.n_samples,
                window_samples=self.window_samples,
                overlap_frames=self.overlap_frames,
            )
        ]
        lengths = [window.n_samples for _, window in cuts]
        for group in windows.group_equal(lengths, at_most=windows_per_forward):
            chosen = [cuts[index] for index in group]
            batch = torch.stack([window.cut(clips[item]) for item, window in chosen])
            states = self._hidden_states(batch, layers)
            for (item, window), own in zip(chosen, states, strict=True):
                yield item, window.start, window.keep(own)

    def _hidden_states(
        self, batch: Float[Tensor, "window time"], layers: list[int]
    ) -> Float[Tensor, "window layer frame width"]:
        """Those of one batch of windows, as far up as asked."""
        states = self.module(batch, n_layers=max(layers))
        return torch.stack([states[layer] for layer in layers], dim=1)

    def _check_layers(self, layers: Sequence[int] | None) -> list[int]:
        n_states = self.n_layers + 1
        if layers is None:
            return list(range(n_states))
        if len(layers) == 0 or not all(-n_states <= layer < n_states for layer in layers):
            raise InputError(
                f"layers must be one or more of 0 to {self.n_layers}, or -1 to {-n_states} "
                f"counted from the top, got {list(layers)}; 0 is the transformer's input"
            )
        return [layer % n_states for layer in layers]

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile what runs on every window, in place; arguments are those of `torch.compile`.

        Cutting into windows stays in Python: it has a loop for each clip's own length. So does the
        convolution of positions: in Fourier transforms there is nothing to fuse.
        """
        parts = self.module.feature_extractor, self.module.feature_projection
        for part in (*parts, *self.module.encoder.layers):
            part.compile(*args, **kwargs)

    def to_folder(self, folder: str | PathLike[str], *, dtype: torch.dtype = torch.float32) -> None:
        """Write a folder that `from_pretrained`, and HubertModel's, can load."""
        mert_files.write_checkpoint(
            Path(folder),
            config={"architectures": ["HubertModel"], "model_type": "hubert"} | self.config,
            normalize=self.normalize,
            state={key: value.to(dtype) for key, value in self.module.state_dict().items()},
        )


def _rebuild(
    config: Mapping[str, Any],
    options: Mapping[str, Any],
    source: mert_files.Source | None,
    state: Mapping[str, Tensor],
) -> MertEncoder:
    """The other half of `MertEncoder.__reduce__`."""
    with torch.random.fork_rng(devices=[]):
        encoder = MertEncoder(config, **options)
    encoder.load_state_dict(state, assign=True)
    encoder.source = source
    return encoder


def _check_lengths(
    waveform: Float[Tensor, "batch time"], lengths: Int[Tensor, "batch"] | Sequence[int] | None
) -> list[int]:
    n_clips, n_samples = waveform.shape
    if n_clips == 0:
        raise InputError(f"waveform holds no clips, its shape is {tuple(waveform.shape)}")
    if lengths is None:
        lengths = [n_samples] * n_clips
    sizes = lengths.tolist() if isinstance(lengths, Tensor) else list(lengths)
    if len(sizes) != n_clips or max(sizes) > n_samples:
        raise InputError(
            f"lengths must be {n_clips} numbers of samples, at most {n_samples} each, got {sizes}; "
            "are they in seconds, or of another sample rate?"
        )
    windows.n_frames(min(sizes))  # refuses a clip shorter than one frame
    return sizes
