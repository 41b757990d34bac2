"""Training of the head on frozen features: one update, its checkpoint, and the run to the end.

What a step draws depends on the seed and the step alone, so a run that was killed ends where one
that was not does, and several processes take the steps of one.
"""

import logging
import math
import time
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from pamt_metric.errors import CheckpointError
from pamt_metric.metric import Metric
from training.data.alignment_set import AlignmentSet
from training.head_config import HeadStageConfig
from training.head_model import HeadModel, fit_head
from training.objective import Objective
from training.processes import Processes, make_accelerator
from training.progress import Journal, StopRequest, exit_stopped, progress_bar, short
from training.run_state import read_state, write_state

CHECKPOINT_FILE = "joint.pt"
LOG_EVERY = 50

_log = logging.getLogger(__name__)


class Trainer:
    """The model and its optimiser, with everything that it learns from."""

    def __init__(
        self,
        config: HeadStageConfig,
        metric: Metric,
        material: AlignmentSet,
        folder: Path,
        *,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.config, self.folder = config, folder
        self.studies, self.ladders = material.studies, material.ladders
        self.accelerator = accelerator or make_accelerator(config.mixed_precision)
        self.processes = Processes(self.accelerator)
        fit_head(metric.head, self.studies)  # on the processor, where the features are
        self.metric = metric.to(self.accelerator.device)
        self.model = HeadModel(metric.head, metric.pair).to(self.accelerator.device)
        optimiser = torch.optim.AdamW(
            [
                {"params": self.model.transformer(), "weight_decay": config.weight_decay},
                {
                    "params": self.model.mixing(),
                    "lr": config.pair_learning_rate,
                    "weight_decay": 0.0,
                },
            ],
            lr=config.learning_rate,
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self._rate)
        self.optimiser = self.accelerator.prepare(optimiser)
        self.objective = Objective(config, self.model, material, self.processes)
        self.step = 0

    def _rate(self, step: int) -> float:
        """Linear warm-up, then a cosine to zero."""
        config = self.config
        if step < config.n_warmup_steps:
            return (step + 1) / config.n_warmup_steps
        done = (step - config.n_warmup_steps) / max(1, config.n_steps - config.n_warmup_steps)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))

    def train_step(self) -> dict[str, float]:
        """One update; what it draws depends on the seed and the step alone."""
        rng = np.random.default_rng([self.config.seed, self.step])
        n_draws = self.config.accumulation_steps
        values: dict[str, float] = {}
        self.optimiser.zero_grad()
        for _ in range(n_draws):
            with self.accelerator.autocast():
                parts = self.objective.parts(self.step, rng)
                total = self.objective.total(parts)
            self.accelerator.backward(total / n_draws)
            for name, value in (parts | {"total": total}).items():
                values[name] = values.get(name, 0.0) + value.item() / n_draws
        self.processes.average_gradients(self.model.parameters())
        self.accelerator.unscale_gradients()
        norm = nn.utils.clip_grad_norm_(self.model.head.parameters(), self.config.clip_norm)
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        return values | {"gradient_norm": norm.item()}

    def summary(self) -> dict[str, float]:
        """Mean agreement with the studies of each dataset that were trained on, orderings held."""
        return self.model.summary(self.studies, self.ladders)

    def save(self) -> None:
        """Checkpoint, atomically, by the first process."""
        if not self.accelerator.is_main_process:
            return
        scaler = self.accelerator.scaler
        state = {
            "step": self.step,
            "head": self.model.head.state_dict(),
            "pair": self.model.pair.state_dict(),
            "log_scale": self.model.log_scale.detach(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "cached": self.objective.cached,
            "scaler": {} if scaler is None else scaler.state_dict(),
        }
        write_state(state, self.folder / CHECKPOINT_FILE)

    def resume(self) -> None:
        """Take up the last checkpoint, if there is one."""
        path = self.folder / CHECKPOINT_FILE
        if not path.is_file():
            return
        state = self._load(path)
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        device = self.accelerator.device
        self.objective.cached = [(a.to(device), b.to(device)) for a, b in state["cached"]]
        if self.accelerator.scaler is not None and state.get("scaler"):
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.step = state["step"]
        _log.info("resumed at step %d of %d", self.step, self.config.n_steps)

    def start_from(self, folder: Path) -> None:
        """Begin with the weights that another stage ended with; a checkpoint of our own goes first.

        Raises:
            CheckpointError: there is no checkpoint in that folder.
        """
        if (self.folder / CHECKPOINT_FILE).is_file():
            return
        if not (folder / CHECKPOINT_FILE).is_file():
            raise CheckpointError(
                f"no {CHECKPOINT_FILE} in {folder}, the folder of the stage before; has it run, "
                "and under this name?"
            )
        self._load(folder / CHECKPOINT_FILE)

    def _load(self, path: Path) -> dict:
        state = read_state(path)
        self.model.head.load_state_dict(state["head"])
        self.model.pair.load_state_dict(state["pair"])
        self.model.log_scale.data.copy_(state["log_scale"])
        return state


def run(trainer: Trainer) -> None:
    """Train to the end of the schedule; a signal ends the command after a checkpoint."""
    config, is_main = trainer.config, trainer.accelerator.is_main_process
    journal = Journal(trainer.folder, trainer.step) if is_main else None
    saved_at = time.monotonic()
    stopped = False
    with StopRequest() as stop, progress_bar(trainer.folder.name, shown=is_main) as bar:
        while trainer.step < config.n_steps and not stopped:
            values = trainer.train_step()
            bar.show(trainer.step, config.n_steps, values["total"])
            if journal is not None:
                journal.write("train", trainer.step, values)
            if trainer.step % LOG_EVERY == 0:
                _log.info("step %d: %s", trainer.step, short(values))
            if time.monotonic() - saved_at > config.checkpoint_every_s:
                trainer.save()
                saved_at = time.monotonic()
            stopped = trainer.processes.any(flag=stop.received)
    trainer.save()
    if journal is not None:
        journal.close()
    trainer.accelerator.wait_for_everyone()
    if stopped and trainer.step < config.n_steps:
        _log.info("stopped at step %d of %d", trainer.step, config.n_steps)
        exit_stopped()
