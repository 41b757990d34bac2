"""The model and the batches of masked pretraining.

A batch is a pure function of the seed and the step: windows, mixtures and masks come from a
generator that is seeded with both. So a run that resumes at a step sees what it would have seen,
and no generator state needs to be kept.

Sources:
    Hsu et al. 2021, "HuBERT", IEEE/ACM TASLP 29: spans, cosine logits, loss on masked frames.
    Li et al. 2024, "MERT", ICLR: two teachers, in-batch noise mixture, values of the settings.
    Chen et al. 2022, "WavLM", IEEE JSTSP 16(6): other audio mixed in at a drawn energy ratio.
        Departure from MERT, which mixes at full volume: the targets stay those of the main clip,
        and at full volume neither clip is the main one.

No random gain is applied: each window is normalised to unit variance, which would undo it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import HubertConfig, HubertModel

from pamt_metric.encoders import windows
from pamt_metric.encoders.normalization import NORMALIZE_EPSILON
from training.config import EncoderConfig, ObjectiveConfig, PretrainConfig
from training.data.corpus import FRAME_RATE, Clip, Corpus
from training.teachers import CQT_N_BINS, SAMPLE_RATE, Targets

_TRAINING_STREAM, _VALIDATION_STREAM = 1, 2


def hubert_config(config: EncoderConfig) -> HubertConfig:
    """The layout of MERT-v1-95M at free dimensions.

    It departs in the front end, which follows HuBERT's larger variants: layer norm and a bias. The
    group norm of MERT runs over time, so padding or a loud passage reaches every frame.
    """
    values: dict[str, Any] = {
        "conv_dim": [config.conv_width] * 7,
        "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "conv_bias": True,
        "feat_extract_norm": "layer",
        "feat_proj_layer_norm": True,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "intermediate_size": config.intermediate_size,
        "num_conv_pos_embeddings": 128,
        "num_conv_pos_embedding_groups": 16,
        "do_stable_layer_norm": config.do_stable_layer_norm,
        "hidden_dropout": config.dropout,
        "attention_dropout": config.dropout,
        "feat_proj_dropout": config.dropout,
        "activation_dropout": 0.0,
        "layerdrop": 0.0,
        # The mask embedding is part of the layout (a positive probability creates it), but only
        # pretraining applies it, so that a user's train() does not mask anything.
        "mask_time_prob": 0.05,
        "apply_spec_augment": False,
        "sample_rate": SAMPLE_RATE,
    }
    return HubertConfig(**values)


@dataclass(frozen=True)
class Batch:
    """Windows and their targets; B windows, T samples, F frames, C codebooks, K bins."""

    waveform: Tensor  # (B, T), zero mean and unit variance
    mask: Tensor  # (B, F), true where the front end's output is hidden
    codes: Tensor  # (B, F, C)
    cqt: Tensor  # (B, F, K), standardised per bin


class MaskedPrediction(nn.Module):
    """The encoder with the heads that pretraining needs and throws away."""

    def __init__(
        self, encoder: EncoderConfig, objective: ObjectiveConfig, n_codebooks: int, n_centroids: int
    ) -> None:
        super().__init__()
        self.objective = objective
        self.encoder = HubertModel(hubert_config(encoder))
        _keep_single(self.encoder.encoder.pos_conv_embed)
        width = objective.code_width
        self.code_projections = nn.ModuleList(
            nn.Linear(encoder.hidden_size, width) for _ in range(n_codebooks)
        )
        self.code_embeddings = nn.Parameter(torch.randn(n_codebooks, n_centroids, width))
        self.cqt_projection = nn.Linear(encoder.hidden_size, CQT_N_BINS)

    def encode(self, waveform: Tensor, mask: Tensor) -> Tensor:
        """Last hidden states (B, F, width) with the masked frames of the front end hidden.

        The steps of `HubertModel.forward`, which masks only if its configuration lets every
        training-mode forward pass do so.
        """
        features = self.encoder.feature_extractor(waveform).transpose(1, 2)
        hidden = self.encoder.feature_projection(features)
        hidden = torch.where(mask[..., None], self.encoder.masked_spec_embed, hidden)
        return self.encoder.encoder(hidden).last_hidden_state

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Losses and accuracies; `loss` is what is minimised, names say which frames count."""
        hidden = self.encode(batch.waveform, batch.mask)
        results = self._results(hidden, batch, batch.mask, prefix="")
        visible = self._results(hidden, batch, ~batch.mask, prefix="visible_")
        loss = results["loss"] + self.objective.visible_weight * visible["visible_loss"]
        return results | visible | {"masked_loss": results["loss"], "loss": loss}

    def _results(
        self, hidden: Tensor, batch: Batch, chosen: Tensor, *, prefix: str
    ) -> dict[str, Tensor]:
        frames, codes = hidden[chosen], batch.codes[chosen]
        results: dict[str, Tensor] = {}
        loss = hidden.new_zeros(())
        for book, project in enumerate(self.code_projections):
            prediction = functional.normalize(project(frames), dim=-1)
            embeddings = functional.normalize(self.code_embeddings[book], dim=-1)
            logits = prediction @ embeddings.T / self.objective.temperature
            code_loss = functional.cross_entropy(logits, codes[:, book])
            hits = logits.detach().argmax(-1) == codes[:, book]
            results[f"{prefix}code_{book}_loss"] = code_loss
            results[f"{prefix}code_{book}_accuracy"] = hits.float().mean()
            loss = loss + code_loss / len(self.code_projections)
        cqt_loss = functional.mse_loss(self.cqt_projection(frames), batch.cqt[chosen])
        results[f"{prefix}cqt_loss"] = cqt_loss
        results[f"{prefix}loss"] = loss + self.objective.cqt_weight * cqt_loss
        return results


def _keep_single(module: nn.Module) -> None:
    """Take a module out of mixed precision.

    Of a convolution with so few channels in a group oneDNN's bfloat16 result is wrong on a CPU: see
    `pamt_metric.encoders.position`.
    """
    forward = module.forward

    def single(hidden: Tensor) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            return forward(hidden.float())

    module.forward = single  # type: ignore[method-assign]


def mask_spans(
    n_items: int, n_frames: int, objective: ObjectiveConfig, rng: np.random.Generator
) -> np.ndarray:
    """A boolean mask (item, frame) of spans at distinct random starts, as many in each item.

    Spans overlap, so fewer frames are hidden than `mask_probability` says: at 0.8 and spans of
    10 frames about 57 %.
    """
    length = min(objective.mask_length, n_frames)
    n_starts = n_frames - length + 1
    n_spans = round(objective.mask_probability * n_frames / length + rng.random() - 0.5)
    mask = np.zeros((n_items, n_frames), dtype=bool)
    for row in mask:
        starts = rng.choice(n_starts, min(max(n_spans, 1), n_starts), replace=False)
        row[starts[:, None] + np.arange(length)] = True
    return mask


def mix_in_batch(
    waveform: np.ndarray, objective: ObjectiveConfig, rng: np.random.Generator
) -> np.ndarray:
    """Add, to some items, a quieter span of another item's audio; (item, time) in and out."""
    mixed = waveform.copy()
    n_items, n_samples = waveform.shape
    for item in range(n_items):
        if n_items < 2 or rng.random() >= objective.mixture_probability:
            continue
        other = (item + rng.integers(1, n_items)) % n_items
        length = min(round(rng.uniform(*objective.mixture_s) * SAMPLE_RATE), n_samples)
        source, target = rng.integers(0, n_samples - length + 1, size=2)
        level = 10 ** (rng.uniform(*objective.mixture_level_db) / 20)
        added = waveform[other, source : source + length]
        # Both are at unit variance over their window, so this is their energy ratio.
        mixed[item, target : target + length] += level * added
    return mixed


def normalise(waveform: np.ndarray) -> np.ndarray:
    """Zero mean and unit variance over time, as the encoder does to what it is given."""
    centred = waveform - waveform.mean(-1, keepdims=True)
    return centred / np.sqrt(centred.var(-1, keepdims=True) + NORMALIZE_EPSILON)


class WindowSampler:
    """Draws training batches by step, and fixed validation batches."""

    def __init__(self, corpus: Corpus, targets: Targets, config: PretrainConfig) -> None:
        self._corpus, self._targets, self._config = corpus, targets, config
        self._n_hops = round(config.window_s * FRAME_RATE)
        self._n_frames = windows.n_frames(self._n_hops * windows.HOP_LENGTH)
        sides = [corpus.select(held_aside=False, recordings=flag) for flag in (False, True)]
        shares = (1 - config.recordings_share, config.recordings_share)
        self._clips = [clip for side in sides for clip in side]
        weights = [
            share * clip.n_frames / sum(other.n_frames for other in side)
            for side, share in zip(sides, shares, strict=True)
            for clip in side
        ]
        self._weights = np.array(weights) / sum(weights)

    def training_batch(self, step: int) -> Batch:
        """The batch of a step, always the same one."""
        rng = np.random.default_rng([self._config.seed, _TRAINING_STREAM, step])
        chosen = rng.choice(len(self._clips), self._config.batch_size, p=self._weights)
        clips = [self._clips[number] for number in chosen]
        places = [(c, int(rng.integers(c.n_frames - self._n_hops + 1))) for c in clips]
        return self._batch(places, rng, mixed=True)

    def validation_batches(self) -> Iterator[Batch]:
        """All windows of the held-aside clips, clean, with fixed masks."""
        rng = np.random.default_rng([self._config.seed, _VALIDATION_STREAM])
        places = [
            (clip, first)
            for clip in self._corpus.clips
            if clip.held_aside
            for first in range(0, clip.n_frames - self._n_hops + 1, self._n_hops)
        ]
        for start in range(0, len(places), self._config.batch_size):
            chosen = places[start : start + self._config.batch_size]
            yield self._batch(chosen, rng, mixed=False)

    def _batch(
        self, places: list[tuple[Clip, int]], rng: np.random.Generator, *, mixed: bool
    ) -> Batch:
        waveform = normalise(
            np.stack(
                [
                    self._corpus.waveform(
                        clip, sample_rate=SAMPLE_RATE, first_frame=first, n_frames=self._n_hops
                    )
                    for clip, first in places
                ]
            )
        )
        if mixed:
            waveform = normalise(mix_in_batch(waveform, self._config.objective, rng))
        rows = [clip.start_frame + first + np.arange(self._n_frames) for clip, first in places]
        cqt = torch.from_numpy(self._targets.cqt[np.stack(rows)].astype(np.float32))
        mask = mask_spans(len(places), self._n_frames, self._config.objective, rng)
        return Batch(
            waveform=torch.from_numpy(waveform),
            mask=torch.from_numpy(mask),
            codes=torch.from_numpy(self._targets.codes[np.stack(rows)].astype(np.int64)),
            cqt=(cqt - self._targets.cqt_mean) / self._targets.cqt_std,
        )
