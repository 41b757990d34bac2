"""Stage 1: masked pretraining of the small encoder.

    python -m training.pretrain --config training/configs/pretrain-mini.yaml --data ROOT --work DIR

`DIR` receives the rendered corpus with its targets, `checkpoint.pt`, `losses.jsonl`, TensorBoard
events, and `encoder/`, the weights in MERT's layout for transformers' `HubertModel`. The command
resumes from the checkpoint if there is one; SIGTERM and SIGINT write one before the end.

The learning rate is a trapezoid: warm-up, constant, linear cool-down to zero. So the end needs no
foreknowledge: `--steps` names it, `--minutes` begins the cool-down in time for a wall-clock
budget, and `--finish` begins it from the checkpoint, whatever was planned.
"""

import argparse
import json
import logging
import os
import signal
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from transformers import HubertModel, Wav2Vec2FeatureExtractor

from pamt_metric.errors import CheckpointError, ConfigError
from training.config import PretrainConfig, load_config
from training.data.corpus import build_corpus
from training.masked_prediction import MaskedPrediction, WindowSampler
from training.teachers import SAMPLE_RATE, build_targets

_PACE_WINDOW = 50
"""Steps over which the pace is measured that decides when a time budget's cool-down begins."""

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
    """One run: its model, its optimiser and where it stands."""

    def __init__(self, config: PretrainConfig, sampler: WindowSampler, work: Path) -> None:
        self.config, self.sampler, self.work = config, sampler, work
        torch.manual_seed(config.seed)
        self.model = MaskedPrediction(
            config.encoder,
            config.objective,
            config.teacher.n_codebooks,
            config.teacher.n_centroids,
        )
        self.optimizer = torch.optim.AdamW(
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
        if config.compile:
            self.model.encode = torch.compile(self.model.encode)  # type: ignore[method-assign]

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
        # Only dropout draws from the global generator; seeding it by step makes resuming exact.
        torch.manual_seed(self.config.seed + self.step)
        learning_rate = self.config.learning_rate * self.schedule.factor(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.model.train()
        with self._precision():
            results = self.model(self.sampler.training_batch(self.step))
        self.optimizer.zero_grad(set_to_none=True)
        results["loss"].backward()
        norm = nn.utils.clip_grad_norm_(
            self.model.parameters(), self.config.clip_norm, error_if_nonfinite=True
        )
        self.optimizer.step()
        self.step += 1
        return _floats(results) | {"gradient_norm": norm.item(), "learning_rate": learning_rate}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean results over the held-aside windows."""
        self.model.eval()
        total: dict[str, float] = {}
        n_windows = 0
        for batch in self.sampler.validation_batches():
            n_windows += len(batch.waveform)
            with self._precision():
                results = self.model(batch)
            for name, value in _floats(results).items():
                total[name] = total.get(name, 0.0) + value * len(batch.waveform)
        return {name: value / n_windows for name, value in total.items()}

    def _precision(self) -> torch.autocast:
        enabled = self.config.mixed_precision == "bf16"
        return torch.autocast("cpu", torch.bfloat16, enabled=enabled)

    def save(self) -> None:
        """Write the checkpoint and export the encoder."""
        state = {
            "step": self.step,
            "cooldown_start": self.schedule.cooldown_start,
            "n_cooldown": self.schedule.n_cooldown,
            "elapsed_s": self.elapsed_s,
            "encoder": asdict(self.config.encoder),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        partial = self.checkpoint_path.with_suffix(".tmp")
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.checkpoint_path)
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
        state = torch.load(self.checkpoint_path, weights_only=True)
        if state["encoder"] != asdict(self.config.encoder):
            raise CheckpointError(
                f"{self.checkpoint_path} holds an encoder of {state['encoder']}, the configuration "
                f"asks for {asdict(self.config.encoder)}; use another --work folder"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
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


def _floats(results: dict[str, Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in results.items()}


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


class Journal:
    """Losses as lines of JSON and as TensorBoard scalars.

    After a kill, steps since the checkpoint are taken and written again: the later line counts.
    """

    def __init__(self, work: Path) -> None:
        self._lines = (work / "losses.jsonl").open("a")
        self._board = SummaryWriter(work / "tensorboard")

    def write(self, split: str, step: int, values: dict[str, float]) -> None:
        """Record a step's values of one split, `train` or `validation`."""
        rounded = {name: round(value, 6) for name, value in values.items()}
        self._lines.write(json.dumps({"split": split, "step": step, **rounded}) + "\n")
        self._lines.flush()
        for name, value in values.items():
            self._board.add_scalar(f"{split}/{name}", value, step)


class _StopRequest:
    """Turns SIGTERM and SIGINT into a flag that the loop reads between steps."""

    def __init__(self) -> None:
        self.received = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, *_: object) -> None:
        self.received = True


def run(pretraining: Pretraining, *, minutes: float | None) -> bool:
    """Train to the end of the schedule; False if a signal ended it before."""
    config, journal, stop = pretraining.config, Journal(pretraining.work), _StopRequest()
    saved_at = time.monotonic()
    pace_s: list[float] = []
    while pretraining.step < pretraining.schedule.end and not stop.received:
        began = time.monotonic()
        values = pretraining.train_step()
        if pretraining.step % config.log_every == 0:
            journal.write("train", pretraining.step, values)
        if pretraining.step % config.validate_every == 0:
            validated = pretraining.validate()
            journal.write("validation", pretraining.step, validated)
            _log.info("step %d, validation %s", pretraining.step, _short(validated))
        if time.monotonic() - saved_at > config.checkpoint_every_s:
            pretraining.save()
            saved_at = time.monotonic()
        pace_s = [*pace_s, time.monotonic() - began][-_PACE_WINDOW:]
        pretraining.elapsed_s += pace_s[-1]
        if minutes is not None and len(pace_s) == _PACE_WINDOW:
            cooldown_s = pretraining.schedule.n_cooldown * sum(pace_s) / _PACE_WINDOW
            if pretraining.elapsed_s + cooldown_s > 60 * minutes:
                pretraining.cool_down()
    pretraining.save()
    finished = pretraining.step >= pretraining.schedule.end
    if finished:
        journal.write("validation", pretraining.step, pretraining.validate())
    _log.info("%s at step %d", "finished" if finished else "stopped", pretraining.step)
    return finished


def _short(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items())


def main() -> None:
    """Command line of the stage."""
    parser = argparse.ArgumentParser(description="Masked pretraining of the small encoder.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=os.environ.get("PAMT_DATA"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="folder of an encoder to go on from")
    parser.add_argument("--steps", type=int, help="end here instead of the configured step")
    parser.add_argument("--cooldown-steps", type=int, help="length of the cool-down")
    parser.add_argument("--minutes", type=float, help="wall-clock budget, resumed parts included")
    parser.add_argument("--finish", action="store_true", help="cool down from the checkpoint on")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if arguments.data is None:
        raise ConfigError("no data folder: pass --data ROOT or set PAMT_DATA")

    config = load_config(arguments.config, PretrainConfig)
    if arguments.cooldown_steps is not None:
        config = replace(config, n_cooldown_steps=arguments.cooldown_steps)
    if arguments.steps is not None:
        config = replace(config, n_steps=arguments.steps)
    corpus = build_corpus(config.corpus, Path(arguments.data), arguments.work)
    targets = build_targets(corpus, config.teacher)
    pretraining = Pretraining(config, WindowSampler(corpus, targets, config), arguments.work)
    if arguments.start is not None:
        pretraining.start_from(arguments.start)
    pretraining.resume(n_steps=arguments.steps, n_cooldown=arguments.cooldown_steps)
    if arguments.finish:
        pretraining.cool_down()
    run(pretraining, minutes=arguments.minutes)


if __name__ == "__main__":
    main()
