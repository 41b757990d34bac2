"""Runs attacks on clips, in several processes, and keeps every outcome as soon as it is there.

The unit of work is one clip of one task and seed for one system, under all attacks in turn, so
that a larger perturbation can begin where a smaller one ended. Units that the results file holds
already are not run again: a run that was interrupted goes on.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch

from benchmarks.baselines.pamt import Pamt
from benchmarks.results_file import read_results, read_text, replace_rows
from benchmarks.robustness import (
    attacks,
    audibility,
    catalogue,
    chroma,
    clips,
    natural,
    problems,
    systems,
    tasks,
)
from benchmarks.robustness.attacks import Found
from benchmarks.robustness.catalogue import CLEAN, Effort, Trial
from benchmarks.robustness.problems import Problem
from pamt_metric import Metric, checkpoint

FILE_NAME = "robustness.csv"
CLEAN_NAME = "robustness-clean.csv"
KEYS = ("task", "system", "seed", "item", "attack")
COLUMNS = (
    "task",
    "attack",
    "system",
    "seed",
    "item",
    "correct",
    "snr_db",
    "nmr_db",
    "jnd",
    "queries",
    "model",
)
NUMBERS = ("seed", "correct", "snr_db", "nmr_db", "jnd", "queries")


@dataclass(frozen=True)
class Run:
    """What is to be run, so that a worker can make all of it again by itself.

    Attributes:
        task: its name, see `tasks.TASKS`.
        root: the data folder, or that of the audio.
        limit: of songs or pieces; None for all.
        duration_s: length of its clips.
        work: folder of cached sound and features.
        model: name or folder of the metric.
        n_folds: of the songs; a seed is a fold.
        effort: how hard attacks try.
        names: attacks and controls to run.
    """

    task: str
    root: Path
    limit: int | None
    duration_s: float
    work: Path
    model: str
    n_folds: int
    effort: Effort
    names: tuple[str, ...]


@dataclass(frozen=True)
class Unit:
    """One clip to be asked about and attacked."""

    run: Run
    probe: str
    system: str
    seed: int
    index: int


class Bench:
    """A task, its sound, its features, and the problems made of them, as one worker holds them."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.metric = _metric(run.model)
        task = tasks.make(run.task, run.root, duration_s=run.duration_s, limit=run.limit)
        self.task, self.store = clips.waveforms(task, duration_s=run.duration_s, folder=run.work)
        self.problem = lru_cache(maxsize=None)(self._problem)
        self.universal = lru_cache(maxsize=None)(self._universal)

    def split(self, seed: int) -> clips.Split:
        """The seed's split of the task."""
        return clips.split(self.task, seed, n_folds=self.run.n_folds)

    def features(self) -> problems.FeatureSet:
        """Features of all clips, computed once for a model."""
        recipe = f"{self.task.name}-{self.run.duration_s:g}-{len(self.task.items)}"
        name = f"features-{recipe}-{Pamt(self.metric).version}.pt"
        return problems.feature_set(self.metric, self.task, self.store, self.run.work / name)

    def _problem(self, probe: str, system: str, seed: int) -> Problem:
        return problems.prepare(
            self.metric,
            self.task,
            self.features(),
            probe=probe,
            system=system,
            split=self.split(seed),
        )

    def _universal(self, probe: str, system: str, seed: int) -> torch.Tensor:
        problem = self.problem(probe, system, seed)
        count = self.run.effort.universal_clips
        chosen = problem.validation[:: max(1, len(problem.validation) // count)][:count]
        return attacks.universal(
            [problem.objective(int(index)) for index in chosen],
            clips.tensor(self.store, chosen),
            snr_db=catalogue.UNIVERSAL_SNR_DB,
            steps=self.run.effort.steps,
            restarts=self.run.effort.restarts,
            generator=torch.Generator().manual_seed(seed),
        )

    def trial(self, unit: Unit) -> Trial:
        """One clip, ready to be attacked."""
        problem = self.problem(unit.probe, unit.system, unit.seed)
        strangers = [
            index
            for index in problem.test
            if self.task.items[index].label != self.task.items[unit.index].label
        ]
        other = strangers[unit.index % len(strangers)]
        clean, stranger = clips.tensor(self.store, [unit.index, other])
        return Trial(
            objective=problem.objective(unit.index),
            clean=clean,
            other=stranger,
            metric=self.metric,
            effort=self.run.effort,
            seed=unit.seed * len(self.task.items) + unit.index,
            universal=lambda: self.universal(unit.probe, unit.system, unit.seed),
        )


def units(
    run: Run, *, seeds: Sequence[int], n_item: int, asked: Sequence[str] = systems.ATTACKED
) -> Iterator[Unit]:
    """All units, clip by clip over tasks, seeds and systems: a run cut short is still balanced."""
    bench = open_bench(run)
    chosen = {seed: test_items(bench, seed, n_item) for seed in seeds}
    for place in range(n_item):
        for seed in seeds:
            if place >= len(chosen[seed]):
                continue
            for probe in problems.PROBES[bench.task.kind]:
                for system in asked:
                    yield Unit(run, probe, system, seed, int(chosen[seed][place]))


def execute(
    everything: Sequence[Unit],
    path: Path,
    *,
    n_process: int,
    on_unit: Callable[[], object] = lambda: None,
) -> None:
    """Runs what the file does not hold yet; the first failure ends it, what was found stays."""
    done = _done(path)
    todo = [unit for unit in everything if not _held(unit, done)]
    for _ in range(len(everything) - len(todo)):
        on_unit()
    if n_process == 1:
        for unit in todo:
            _keep(attack(unit), path)
            on_unit()
        return
    with ProcessPoolExecutor(n_process, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(attack, unit) for unit in todo]
        for future in as_completed(futures):
            _keep(future.result(), path)
            on_unit()


def attack(unit: Unit) -> pd.DataFrame:
    """All attacks of the run on one clip, a row each, the clean answer first."""
    torch.set_num_threads(1)
    bench = open_bench(unit.run)
    trial = bench.trial(unit)
    clean = attacks.strongest(trial.objective, trial.clean, [])
    outcomes = {CLEAN: clean}
    for name in unit.run.names:
        if name in natural.CHANGES or name in catalogue.CONTROLS:
            outcomes[name] = _attacks()[name](trial)
        else:
            # A clip that is answered wrongly as it is needs no attack.
            outcomes[name] = clean if clean.won else _attacks()[name](trial)
        trial.found[name] = outcomes[name]
    rows = [_row(bench, unit, trial, name, found) for name, found in outcomes.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def clean_quality(run: Run, *, seeds: Sequence[int]) -> pd.DataFrame:
    """Figures of every system and probe on the whole clean test split, and the layer chosen.

    Where songs are looked up, those of the chroma baseline on the first seed stand beside them.
    """
    bench = open_bench(run)
    rows: list[dict[str, object]] = []

    def keep(quality: Mapping[str, float], **where: object) -> None:
        common = {**where, "model": bench.metric.info.version}
        rows.extend({"measure": name, "value": x, **common} for name, x in quality.items())

    for seed in seeds:
        for probe in problems.PROBES[bench.task.kind]:
            for system in systems.SYSTEMS:
                problem = bench.problem(probe, system, seed)
                keep(
                    problem.quality,
                    task=problem.name,
                    system=system,
                    seed=seed,
                    layer=problem.choice,
                    n_test=len(problem.test),
                )
    if bench.task.kind == "retrieval":
        test = bench.split(seeds[0]).test
        found = chroma.quality(bench.task, bench.store, test)
        place = {"task": bench.task.name, "system": chroma.NAME, "seed": seeds[0]}
        keep(found, **place, layer=-1, n_test=len(set(clips.groups_of(bench.task.items)[test])))
    return pd.DataFrame(rows)


def read(path: Path) -> pd.DataFrame:
    """The results file."""
    return read_results(path, NUMBERS)


def _row(bench: Bench, unit: Unit, trial: Trial, name: str, found: Found) -> dict[str, object]:
    heard = audibility.measure(bench.metric, trial.clean, trial.clean + found.delta)
    values = asdict(heard)
    return {
        "task": bench.problem(unit.probe, unit.system, unit.seed).name,
        "attack": name,
        "system": unit.system,
        "seed": unit.seed,
        "item": bench.task.items[unit.index].name,
        "correct": int(not found.won),
        **{key: value if math.isfinite(value) else math.nan for key, value in values.items()},
        "queries": found.n_queries,
        "model": bench.metric.info.version,
    }


def test_items(bench: Bench, seed: int, count: int) -> list[int]:
    """Clips to attack: of the seed's test clips so many at random, the same for every system."""
    probe = problems.PROBES[bench.task.kind][0]
    test = bench.problem(probe, systems.PAMT, seed).test
    return clips.seeded(bench.task.name, seed, "items").permutation(test)[:count].tolist()


def _keep(rows: pd.DataFrame, path: Path) -> None:
    replace_rows(rows, path, keys=list(KEYS))


def _done(path: Path) -> set[tuple[str, ...]]:
    if not path.is_file():
        return set()
    columns = ["task", "system", "seed", "item", "attack", "model"]
    return set(read_text(path)[columns].itertuples(index=False, name=None))


def _held(unit: Unit, done: set[tuple[str, ...]]) -> bool:
    bench = open_bench(unit.run)
    name = f"{bench.task.name}-{unit.probe}"
    task = name if bench.task.kind == "classification" else bench.task.name
    item, model = bench.task.items[unit.index].name, bench.metric.info.version
    return all(
        (task, unit.system, str(unit.seed), item, attack, model) in done
        for attack in (CLEAN, *unit.run.names)
    )


def _attacks() -> dict[str, catalogue.Attack]:
    return catalogue.ATTACKS | catalogue.CONTROLS


@lru_cache(maxsize=4)
def open_bench(run: Run) -> Bench:
    """The run's bench, opened once in every process."""
    return Bench(run)


@lru_cache(maxsize=1)
def _metric(model: str) -> Metric:
    return checkpoint.load(model).requires_grad_(False)
