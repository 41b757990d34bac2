"""One pretraining run: its model, its optimiser, its schedule, and where it stands.

A step is a pure function of the weights and its number, so a run that was killed ends where one
that was not does. Its batch is cut into as many shares as there are processes times accumulation
steps; each share's losses are its part of the mean over the whole batch.
"""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from transformers import HubertModel, Wav2Vec2FeatureExtractor

from pamt_metric.errors import CheckpointError, ConfigError
from training.masked_prediction import MaskedPrediction
from training.pretrain_config import PretrainConfig
from training.processes import Processes, make_accelerator
from training.run_state import read_state, write_state
from training.teachers import SAMPLE_RATE
from training.window_sampler import WindowSampler

_SHARE_SEED = 1_000_003
"""Apart by this prime, the seeds of the shares of one step meet those of no step near it."""

_COUNT = "windows"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Schedule:
    """Factor of the learning rate by step: warm-up, constant, linear cool-down to zero."""

    n_warmup: int
    n_cooldown: int
    cooldown_start: int

    @property
    def end(self) -> int:
        """The step after the last."""
        return self.cooldown_start + self.n_cooldown

    def factor(self, step: int) -> float:
        """Share of the peak learning rate at a step."""
        warm = min(1.0, (step + 1) / max(self.n_warmup, 1))
        cool = (self.end - step) / (self.n_cooldown + 1)
        return warm * min(1.0, cool)


class Pretraining:
    """One run, seen from one of its processes.

    Raises:
        ConfigError: the batch has fewer windows than there are shares of it.
    """

    def __init__(
        self,
        config: PretrainConfig,
        sampler: WindowSampler,
        work: Path,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.config, self.sampler, self.work = config, sampler, work
        self.accelerator = accelerator or make_accelerator(config.mixed_precision)
        self.processes = Processes(self.accelerator)
        self.shares = self._own_shares()
        torch.manual_seed(config.seed)
        self.model = MaskedPrediction(
            config.encoder,
            config.objective,
            config.teacher.n_codebooks,
            config.teacher.n_centroids,
        )
        optimizer = torch.optim.AdamW(
            _parameter_groups(self.model, config.weight_decay),
            lr=config.learning_rate,
            betas=config.betas,
        )
        n_cooldown = config.n_cooldown_steps
        self.schedule = Schedule(
            config.n_warmup_steps, n_cooldown, max(config.n_steps - n_cooldown, 0)
        )
        self.step = 0
        self.elapsed_s = 0.0
        if config.gradient_checkpointing:
            self.model.encoder.gradient_checkpointing_enable({"use_reentrant": False})
        if config.compile:
            self.model.encode = torch.compile(self.model.encode)  # type: ignore[method-assign]
        self._shared, self.optimizer = self.accelerator.prepare(self.model, optimizer)

    def _own_shares(self) -> list[Sequence[int]]:
        """Which windows of a batch this process takes, one accumulation step after the other."""
        n_parts = self.config.accumulation_steps
        n_shares = self.processes.count * n_parts
        if n_shares > self.config.batch_size:
            raise ConfigError(
                f"batch_size {self.config.batch_size} cannot be cut into {n_shares} shares "
                f"({self.processes.count} processes, {n_parts} accumulation steps); raise it"
            )
        shares = np.array_split(np.arange(self.config.batch_size), n_shares)
        first = self.accelerator.process_index * n_parts
        return [share.tolist() for share in shares[first : first + n_parts]]

    @property
    def checkpoint_path(self) -> Path:
        """The one checkpoint of the run, replaced atomically."""
        return self.work / "checkpoint.pt"

    def cool_down(self) -> None:
        """Begin the cool-down now, unless it has begun."""
        if self.step < self.schedule.cooldown_start:
            self.schedule = replace(self.schedule, cooldown_start=self.step)
            _log.info("cool-down from step %d to %d", self.step, self.schedule.end)

    def train_step(self) -> dict[str, float]:
        """One update; returns losses, accuracies, gradient norm and learning rate."""
        learning_rate = self.config.learning_rate * self.schedule.factor(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        parts = [self._backward(number) for number in range(len(self.shares))]
        added = {n: torch.stack([part[n] for part in parts]).sum() for n in parts[0]}
        results = self.processes.total(added)
        self.accelerator.unscale_gradients()
        norm = nn.utils.clip_grad_norm_(
            self.model.parameters(),
            self.config.clip_norm,
            # In float16 an overflow is no mistake: the step is left out and the scale lowered.
            error_if_nonfinite=self.config.mixed_precision != "fp16",
        )
        self.optimizer.step()
        self.step += 1
        return results | {"gradient_norm": norm.item(), "learning_rate": learning_rate}

    def _backward(self, number: int) -> dict[str, Tensor]:
        """Add the gradients of one share; the last one sends them to the other processes."""
        first = self.accelerator.process_index * len(self.shares)
        # Only dropout draws from the global generator; seeding it by step makes resuming exact.
        torch.manual_seed(self.config.seed + self.step + _SHARE_SEED * (first + number))
        batch = self.sampler.training_batch(self.step, self.shares[number])
        is_last = number == len(self.shares) - 1
        with nullcontext() if is_last else self.accelerator.no_sync(self._shared):
            results = self._shared(batch.to(self.accelerator.device))
            # The wrapper averages over the processes, and the shares are to be added.
            self.accelerator.backward(results["loss"] * self.processes.count)
        return {name: value.detach() for name, value in results.items()}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean results over the held-aside windows, of which each process takes its batches.

        Without any window it is empty.
        """
        self.model.eval()
        total: dict[str, Tensor] = {}
        for number, batch in enumerate(self.sampler.validation_batches()):
            # All take the first, counted once: each then has something to add up.
            if number > 0 and not self.processes.mine(number):
                continue
            counted = len(batch.waveform) if self.processes.mine(number) else 0
            n_windows = torch.tensor(counted, device=self.accelerator.device)
            results = self.model(batch.to(self.accelerator.device))
            found = {name: value * n_windows for name, value in results.items()}
            for name, value in (found | {_COUNT: n_windows}).items():
                total[name] = total.get(name, torch.zeros_like(value)) + value
        if not total:
            return {}
        summed = self.processes.total(total)
        return {name: value / summed[_COUNT] for name, value in summed.items() if name != _COUNT}

    def save(self) -> None:
        """Write the checkpoint and export the encoder; the first process does."""
        if not self.accelerator.is_main_process:
            return
        scaler = self.accelerator.scaler
        state = {
            "step": self.step,
            "cooldown_start": self.schedule.cooldown_start,
            "n_cooldown": self.schedule.n_cooldown,
            "elapsed_s": self.elapsed_s,
            "encoder": asdict(self.config.encoder),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": {} if scaler is None else scaler.state_dict(),
        }
        write_state(state, self.checkpoint_path)
        export_encoder(self.model, self.work / "encoder")

    def start_from(self, folder: Path) -> None:
        """Begin with the weights of an encoder that was pretrained before, if nothing was done yet.

        The heads that predict begin anew: their codes come from another quantiser.

        Raises:
            CheckpointError: the folder holds an encoder of other dimensions, or none.
        """
        if self.checkpoint_path.is_file():
            return
        try:
            trained = HubertModel.from_pretrained(folder)
            self.model.encoder.load_state_dict(trained.state_dict())
        except (OSError, RuntimeError) as error:
            raise CheckpointError(
                f"{folder} holds no encoder of {asdict(self.config.encoder)}: {error}"
            ) from error
        _log.info("starting from the encoder in %s", folder)

    def resume(self, *, n_steps: int | None, n_cooldown: int | None) -> None:
        """Go on from the checkpoint, if there is one; given numbers replace the planned ones.

        Raises:
            CheckpointError: the checkpoint holds an encoder of other dimensions.
        """
        if not self.checkpoint_path.is_file():
            return
        state = read_state(self.checkpoint_path)
        if state["encoder"] != asdict(self.config.encoder):
            raise CheckpointError(
                f"{self.checkpoint_path} holds an encoder of {state['encoder']}, the configuration "
                f"asks for {asdict(self.config.encoder)}; use another --work folder"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler is not None and state.get("scaler"):
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]
        planned = Schedule(self.config.n_warmup_steps, state["n_cooldown"], state["cooldown_start"])
        if n_cooldown is not None:
            planned = replace(planned, n_cooldown=n_cooldown)
        if n_steps is not None:
            start = max(n_steps - planned.n_cooldown, self.step)
            planned = replace(planned, cooldown_start=start)
        self.schedule = planned
        _log.info("resumed at step %d of %d", self.step, planned.end)


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices and kernels decay; biases, norms and the mask embedding do not."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def export_encoder(model: MaskedPrediction, folder: Path) -> None:
    """Write the encoder as transformers' `HubertModel` reads it; each file is replaced whole."""
    partial = folder.with_name(folder.name + ".tmp")
    model.encoder.save_pretrained(partial)
    Wav2Vec2FeatureExtractor(
        sampling_rate=SAMPLE_RATE, do_normalize=True, return_attention_mask=True
    ).save_pretrained(partial)
    folder.mkdir(exist_ok=True)
    for path in partial.iterdir():
        path.replace(folder / path.name)
    partial.rmdir()
