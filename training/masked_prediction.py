"""The model of masked pretraining, and its losses.

Sources:
    Hsu et al. 2021, "HuBERT", IEEE/ACM TASLP 29: cosine logits, loss on masked frames.
    Li et al. 2024, "MERT", ICLR: two teachers, values of the settings.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import HubertConfig, HubertModel

from training.pretrain_config import EncoderConfig, ObjectiveConfig
from training.teachers import CQT_N_BINS, SAMPLE_RATE
from training.window_sampler import Batch


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
        """Losses and accuracies; `loss` is what is minimised, names say which frames count.

        Each is this share's part of the mean over the whole batch: parts add up to the mean.
        """
        hidden = self.encode(batch.waveform, batch.mask)
        results = self._results(hidden, batch, batch.mask, batch.n_masked, prefix="")
        visible = self._results(hidden, batch, ~batch.mask, batch.n_visible, prefix="visible_")
        loss = results["loss"] + self.objective.visible_weight * visible["visible_loss"]
        return results | visible | {"masked_loss": results["loss"], "loss": loss}

    def _results(
        self, hidden: Tensor, batch: Batch, chosen: Tensor, n_frames: int, *, prefix: str
    ) -> dict[str, Tensor]:
        frames, codes = hidden[chosen], batch.codes[chosen]
        results: dict[str, Tensor] = {}
        loss = hidden.new_zeros(())
        for book, project in enumerate(self.code_projections):
            prediction = functional.normalize(project(frames), dim=-1)
            embeddings = functional.normalize(self.code_embeddings[book], dim=-1)
            logits = prediction @ embeddings.T / self.objective.temperature
            code_loss = functional.cross_entropy(logits, codes[:, book], reduction="sum") / n_frames
            hits = logits.detach().argmax(-1) == codes[:, book]
            results[f"{prefix}code_{book}_loss"] = code_loss
            results[f"{prefix}code_{book}_accuracy"] = hits.float().sum() / n_frames
            loss = loss + code_loss / len(self.code_projections)
        squared = functional.mse_loss(
            self.cqt_projection(frames), batch.cqt[chosen], reduction="sum"
        )
        cqt_loss = squared / (n_frames * CQT_N_BINS)
        results[f"{prefix}cqt_loss"] = cqt_loss
        results[f"{prefix}loss"] = loss + self.objective.cqt_weight * cqt_loss
        return results


def _keep_single(module: nn.Module) -> None:
    """Take a module out of mixed precision.

    Of a convolution with so few channels in a group oneDNN's bfloat16 result is wrong on a CPU: see
    `pamt_metric.encoders.hubert.Positions`.
    """
    forward = module.forward

    def single(hidden: Tensor) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            return forward(hidden.float())

    module.forward = single  # type: ignore[method-assign]
