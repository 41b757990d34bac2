"""Thresholds by adaptive odd-one-out: the task of most experiments.

The strength of the signal has an axis from easy to hard. Coming down from the easy end in coarse
steps, distances are tabulated until the listener is well under the target, then three times at the
middle of the step that holds it. The two-down one-up tracks run on what the table interpolates.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from benchmarks.metrics import UndefinedError
from benchmarks.psychophysics import listener
from benchmarks.psychophysics.experiment import Key, Ordering, Point, Scale
from benchmarks.psychophysics.human import HumanPoint
from benchmarks.psychophysics.subject import Sound, Subject

N_TOKENS = 5
"""Tokens of the standard, and as many others of the signal, where the stimulus is noise."""
SIGNAL_SEED = 1000
"""Seeds from here on are for intervals with the signal: none is shared with a standard."""
N_HALVINGS = 3
GIVE_UP = 0.5
"""Share of correct answers under which a weaker signal is not tried."""
N_FINE = 400


@dataclass(frozen=True)
class Axis:
    """Strength of a signal, from one that listeners hear at once to one that nobody hears.

    Attributes:
        easy: Where to begin.
        hard: Where to end; may be the larger number (a masker's level).
        steps: Number of coarse steps.
        log: Steps are equal ratios rather than equal differences.
    """

    easy: float
    hard: float
    steps: int
    log: bool = False

    def strength(self, place: float | np.ndarray) -> np.ndarray:
        """From 0 (hard) to 1 (easy) to the unit of the experiment."""
        easy, hard = (math.log(x) if self.log else x for x in (self.easy, self.hard))
        at = hard + np.asarray(place) * (easy - hard)
        return np.exp(at) if self.log else at

    def place(self, strength: float) -> float:
        """From the unit of the experiment to 0 (hard) to 1 (easy)."""
        easy, hard, at = (math.log(x) if self.log else x for x in (self.easy, self.hard, strength))
        return (at - hard) / (easy - hard)


@dataclass(frozen=True)
class Condition:
    """One threshold to be measured.

    Attributes:
        key: Curve and x.
        axis: Strengths of the signal.
        standard: The waveform without the signal, from the strength (a masker's level may be what
            is varied) and the seed of its noise.
        signal: The waveform with it.
        fresh: Each interval has noise of its own; otherwise all three share what noise there is.
    """

    key: Key
    axis: Axis
    standard: Callable[[float, int], np.ndarray]
    signal: Callable[[float, int], np.ndarray]
    fresh: bool = False

    @property
    def seeds(self) -> tuple[range, range]:
        """Seeds of the standards and of the signals."""
        if not self.fresh:
            return range(1), range(1)
        return range(N_TOKENS), range(SIGNAL_SEED, SIGNAL_SEED + N_TOKENS)

    def trial(self, subject: Subject, strength: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distances between two standards and of each from the signal, for all choices of tokens.

        Raises:
            UndefinedError: The metric has no value.
        """
        own, others = self.seeds
        standards = [Sound(self.standard(strength, seed)) for seed in own]
        signals = [Sound(self.signal(strength, seed)) for seed in others]
        if not self.fresh:
            (standard,), (signal,) = standards, signals
            between, apart = subject.distances([(standard, standard), (standard, signal)])
            return np.array([between]), np.array([apart]), np.array([apart])
        within = list(combinations(standards, 2))
        across = list(product(standards, signals))
        values = subject.distances([*within, *across])
        matrix = values[len(within) :].reshape(len(standards), len(signals))
        index = np.array(list(combinations(range(len(standards)), 2)))
        between = np.repeat(values[: len(within)], len(signals))
        return between, matrix[index[:, 0]].ravel(), matrix[index[:, 1]].ravel()

    def contrast(self, subject: Subject, strength: float) -> float:
        """How much farther the signal is than another standard, on average over tokens.

        Raises:
            UndefinedError: The metric has no value.
        """
        between, first, second = self.trial(subject, strength)
        return float(np.mean(0.5 * (first + second) - between))


class _Table:
    """Tabulated distances of a condition, and the share of correct answers they give."""

    def __init__(self, condition: Condition, subject: Subject) -> None:
        self._condition, self._subject = condition, subject
        self._rows: dict[float, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def share(self, place: float) -> float:
        """Share of correct answers at a place of the axis."""
        if place not in self._rows:
            strength = float(self._condition.axis.strength(place))
            self._rows[place] = self._condition.trial(self._subject, strength)
        return float(self._share(*self._rows[place]))

    def psychometric(self) -> listener.Psychometric:
        """Share of correct answers at any place; constant beyond what was tabulated."""
        places = np.array(sorted(self._rows))
        fine = np.linspace(places[0], places[-1], N_FINE)
        columns = (np.stack([self._rows[place][i] for place in places]) for i in range(3))
        shares = self._share(*(_interpolated(fine, places, column) for column in columns))
        return lambda place: np.interp(place, fine, shares)

    def _share(self, *distances: np.ndarray) -> np.ndarray:
        return listener.share_correct(*distances, sigma=self._subject.sigma).mean(-1)


def _interpolated(at: np.ndarray, places: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Each column of rows `(place, token)`, linearly interpolated."""
    return np.stack([np.interp(at, places, column) for column in rows.T], axis=-1)


def threshold(condition: Condition, subject: Subject) -> Point:
    """The strength at which the subject is right in 70.7 % of trials."""
    if math.isnan(subject.sigma):
        return Point(math.nan, subject.no_sigma, can=False)
    try:
        return _threshold(condition, subject)
    except UndefinedError as error:
        return Point(math.nan, str(error), can=False)


def _threshold(condition: Condition, subject: Subject) -> Point:
    axis, table = condition.axis, _Table(condition, subject)
    coarse = [1.0 - step / axis.steps for step in range(axis.steps + 1)]
    heard = None
    for place in coarse:
        share = table.share(place)
        if share >= listener.TARGET:
            heard = place
        elif share < GIVE_UP:
            break
    if heard is None:
        return Point(math.nan, f"not heard at {axis.easy:g}")
    if heard == coarse[-1]:
        return Point(math.nan, f"still heard at {axis.hard:g}")
    low = coarse[coarse.index(heard) + 1]
    for _ in range(N_HALVINGS):
        middle = 0.5 * (low + heard)
        low, heard = (low, middle) if table.share(middle) >= listener.TARGET else (middle, heard)
    step = 1.0 / axis.steps
    found = listener.run_tracks(
        table.psychometric(),
        start=heard + step,
        step=0.5 * step,
        smallest_step=step / 2**N_HALVINGS,
    )
    return Point(float(axis.strength(found)))


@dataclass(frozen=True)
class Detection:
    """Adaptive thresholds of several conditions.

    Attributes:
        conditions: What is measured.
        anchors: Conditions between which orderings follow from the listeners' values: of two whose
            values differ by more than the listeners' SD, at the strength halfway between both,
            the change that listeners hear has to be farther than the one they do not. All, if none
            is given.
    """

    conditions: Sequence[Condition]
    anchors: Sequence[Key] = ()

    def keys(self) -> Sequence[Key]:
        return [condition.key for condition in self.conditions]

    def measure(self, subject: Subject) -> Iterator[tuple[Key, Point]]:
        for condition in self.conditions:
            yield condition.key, threshold(condition, subject)
            subject.forget()

    def orderings(self, human: Mapping[Key, HumanPoint], scale: Scale) -> Iterator[Ordering]:
        by_key = {condition.key: condition for condition in self.conditions}
        chosen = [key for key in (self.anchors or by_key) if key in human]
        for one, other in combinations(chosen, 2):
            if not abs(scale.z(human[one].value, human[other])) > 1.0:
                continue
            axis = by_key[one].axis
            places = {key: axis.place(human[key].value) for key in (one, other)}
            better, worse = sorted(places, key=lambda key: places[key])
            middle = float(axis.strength(0.5 * (places[better] + places[worse])))
            yield ordering(by_key[worse], by_key[better], middle)


def ordering(worse: Condition, better: Condition, strength: float) -> Ordering:
    """The change in `better` is farther than that in `worse`, both at one strength."""
    return Ordering(
        f"{_label(better.key)} heard better than {_label(worse.key)} at {strength:.3g}",
        nearer=lambda subject: worse.contrast(subject, strength),
        farther=lambda subject: better.contrast(subject, strength),
    )


def _label(key: Key) -> str:
    return f"{key[0]}, {key[1]:g}"
