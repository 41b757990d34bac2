"""Stage 1: masked pretraining of the small encoder.

    python -m training pretrain --config training/configs/pretrain-mini.yaml --data ROOT --work DIR

`DIR` receives the rendered corpus with its targets, `checkpoint.pt`, `losses.jsonl`, TensorBoard
events, and `encoder/`, the weights in MERT's layout for transformers' `HubertModel`. The command
resumes from the checkpoint if there is one; SIGTERM and SIGINT write one before the end.

The learning rate is a trapezoid: warm-up, constant, linear cool-down to zero. So the end needs no
foreknowledge: `--steps` names it, `--minutes` begins the cool-down in time for a wall-clock
budget, and `--finish` begins it from the checkpoint, whatever was planned.
"""

import argparse
import logging
import os
import time
from dataclasses import replace
from pathlib import Path

from pamt_metric.errors import ConfigError
from training.config import load_config
from training.data.corpus import build_corpus
from training.data.streams import MixedStream
from training.pretrain_config import PretrainConfig
from training.pretraining import Pretraining
from training.processes import make_accelerator
from training.progress import (
    Journal,
    StopRequest,
    exit_stopped,
    progress_bar,
    set_up_logging,
    short,
)
from training.targets import Teacher, build_targets, fit_teacher, targets_folder
from training.window_sampler import WindowSampler
from training.windows import CachedWindows, StreamedWindows, n_read

_PACE_WINDOW = 50
"""Steps over which the pace is measured that decides when a time budget's cool-down begins."""

_log = logging.getLogger(__name__)


def make_sampler(config: PretrainConfig, data: Path, work: Path) -> WindowSampler:
    """What is trained on: the cached corpus, streams, or both; built where it is not yet there.

    Raises:
        ConfigError: a share of streams without any, or the reverse.
    """
    streams = config.stream
    if not 0.0 <= streams.share <= 1.0 or (streams.share > 0) != bool(streams.corpora):
        raise ConfigError(
            "stream.share, from 0 to 1, and stream.corpora go together: got a share of "
            f"{streams.share:g} of {len(streams.corpora)} corpora"
        )
    stream = None
    if streams.corpora:
        stream = MixedStream(streams, data, seed=config.seed, batch_size=config.batch_size)
    if stream is not None and streams.share == 1.0:
        steps = range(-(-streams.n_fit_windows // config.batch_size))
        slots = range(config.batch_size)
        read = (stream.window(slot, step, n_read(config)) for step in steps for slot in slots)
        teacher = fit_teacher(read, streams.corpora, config.teacher, work)
        return WindowSampler(config, None, StreamedWindows(stream, teacher, config))
    corpus = build_corpus(config.corpus, data, work)
    targets = build_targets(corpus, config.teacher, with_teacher=stream is not None)
    cached = CachedWindows(corpus, targets, config)
    if stream is None:
        return WindowSampler(config, cached)
    teacher = Teacher(targets_folder(corpus, config.teacher))
    return WindowSampler(config, cached, StreamedWindows(stream, teacher, config))


class Budget:
    """Says when the cool-down has to begin for a run to end in time; without a limit, never."""

    def __init__(self, minutes: float | None) -> None:
        self._minutes = minutes
        self._pace_s: list[float] = []

    def is_due(self, pretraining: Pretraining, step_s: float) -> bool:
        """Whether to cool down now, after a step that took so long."""
        self._pace_s = [*self._pace_s, step_s][-_PACE_WINDOW:]
        if self._minutes is None or len(self._pace_s) < _PACE_WINDOW:
            return False
        cooldown_s = pretraining.schedule.n_cooldown * sum(self._pace_s) / _PACE_WINDOW
        return pretraining.elapsed_s + cooldown_s > 60 * self._minutes


def run(pretraining: Pretraining, *, minutes: float | None) -> bool:
    """Train to the end of the schedule; False if a signal ended it before."""
    config, processes = pretraining.config, pretraining.processes
    is_main = pretraining.accelerator.is_main_process
    journal = Journal(pretraining.work, pretraining.step) if is_main else None
    budget, stopped = Budget(minutes), False
    saved_at = time.monotonic()
    with StopRequest() as stop, progress_bar("pretrain", shown=is_main) as bar:
        while pretraining.step < pretraining.schedule.end and not stopped:
            began = time.monotonic()
            values = pretraining.train_step()
            bar.show(pretraining.step, pretraining.schedule.end, values["loss"])
            if journal is not None and pretraining.step % config.log_every == 0:
                journal.write("train", pretraining.step, values)
            if pretraining.step % config.validate_every == 0:
                _validate(pretraining, journal)
            if time.monotonic() - saved_at > config.checkpoint_every_s:
                pretraining.save()
                saved_at = time.monotonic()
            step_s = time.monotonic() - began
            pretraining.elapsed_s += step_s
            # The clocks of several processes differ, and they must agree on what comes next.
            if processes.any(flag=budget.is_due(pretraining, step_s)):
                pretraining.cool_down()
            stopped = processes.any(flag=stop.received)
    pretraining.save()
    finished = pretraining.step >= pretraining.schedule.end
    if finished:
        _validate(pretraining, journal)
    _log.info("%s at step %d", "finished" if finished else "stopped", pretraining.step)
    if journal is not None:
        journal.close()
    return finished


def _validate(pretraining: Pretraining, journal: Journal | None) -> None:
    validated = pretraining.validate()
    if validated and journal is not None:
        journal.write("validation", pretraining.step, validated)
        _log.info("step %d, validation %s", pretraining.step, short(validated))


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
    set_up_logging()
    if arguments.data is None:
        raise ConfigError("no data folder: pass --data ROOT or set PAMT_DATA")

    config = load_config(arguments.config, PretrainConfig)
    if arguments.cooldown_steps is not None:
        config = replace(config, n_cooldown_steps=arguments.cooldown_steps)
    if arguments.steps is not None:
        config = replace(config, n_steps=arguments.steps)
    accelerator = make_accelerator(config.mixed_precision)
    with accelerator.main_process_first():
        sampler = make_sampler(config, Path(arguments.data), arguments.work)
    pretraining = Pretraining(config, sampler, arguments.work, accelerator)
    if arguments.start is not None:
        pretraining.start_from(arguments.start)
    pretraining.resume(n_steps=arguments.steps, n_cooldown=arguments.cooldown_steps)
    if arguments.finish:
        pretraining.cool_down()
    if not run(pretraining, minutes=arguments.minutes):
        exit_stopped()


if __name__ == "__main__":
    main()
