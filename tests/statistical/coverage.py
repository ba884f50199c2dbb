"""How often the intervals that `simulate` prints hold the truth, over experiments of many replications each."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from scipy import stats

from planner import measures
from planner.measures import fraction
from planner.model import Estimate, FloatArray
from planner.precision import default_most, is_precise, looks, relative_half_width
from planner.scenario import Scenario
from planner.sim.engine import simulate_replicate
from planner.sim.replications import SERIAL, Executor

BoolArray = npt.NDArray[np.bool_]

Interval = Callable[[FloatArray, FloatArray], Estimate]
"""From the 503s and the requests of each replication."""

Counted = tuple[FloatArray, FloatArray]
"""503s and requests of each replication of an experiment."""

NOTE_EVERY_S = 30.0
SEED = 20261123


@dataclass(frozen=True)
class System:
    """sees_503: the share of runs that see a 503. exact: the 503 fraction; None: what the whole pool gives."""

    name: str
    scenario: Scenario
    sees_503: float
    exact: float | None

    def __str__(self) -> str:
        return self.name

    def replications(self, hits: int) -> int:
        """How many are expected to hold so many that see a 503."""
        return round(hits / self.sees_503)


@dataclass(frozen=True)
class Pool:
    """What each replicate counted: shape (experiments, replications)."""

    hits: FloatArray
    trials: FloatArray
    ready: FloatArray
    """Mean ready replicas."""

    def __len__(self) -> int:
        return len(self.hits)

    @property
    def fraction(self) -> float:
        return float(self.hits.sum() / self.trials.sum())

    def bias(self, truth: float, replications: int) -> tuple[float, float]:
        """How far the mean of all replicates is from the truth, and the standard error of that.

        Both in standard errors of an experiment of so many replications.
        """
        residuals = self.hits - truth * self.trials
        scale = math.sqrt(replications)
        return float(residuals.mean() / residuals.std()) * scale, scale / math.sqrt(residuals.size)

    def experiments(self, replications: int) -> Iterator[Counted]:
        """As many as there are, each from replicates of its own as long as these are enough, else resampled."""
        if replications > self.hits.shape[1]:
            return self.resampled(replications)
        return zip(self.hits[:, :replications], self.trials[:, :replications], strict=True)

    def resampled(self, replications: int) -> Iterator[Counted]:
        """Drawn with replacement from all replicates: independent, and the true fraction is exactly the pool's."""
        generator = np.random.default_rng(SEED)
        hits, trials = self.hits.ravel(), self.trials.ravel()
        for _ in range(len(self)):
            chosen = generator.integers(len(hits), size=replications)
            yield hits[chosen], trials[chosen]


def simulated(
    scenario: Scenario, experiments: int, replications: int, executor: Executor = SERIAL, label: str | None = None
) -> Pool:
    """Every replicate with its own draws. With a label progress is printed."""
    started = noted = time.monotonic()
    parts = []
    for part in executor.in_order(partial(_experiment, scenario, replications), range(experiments)):
        parts.append(part)
        now = time.monotonic()
        if label is not None and now > noted + NOTE_EVERY_S:
            noted = now
            print(f"  {label}: {len(parts)} of {experiments} experiments, {now - started:.0f} s", file=sys.stderr)
    return Pool(*np.moveaxis(np.array(parts), 2, 0))


def _experiment(scenario: Scenario, replications: int, experiment: int) -> FloatArray:
    """503s, requests and mean ready replicas of each replicate: shape (replications, 3)."""
    observed_s = scenario.duration_s - scenario.warm_up_s
    first = experiment * replications
    results = (simulate_replicate(scenario, first + i, bin_s=scenario.duration_s) for i in range(replications))
    return np.array([(r.n_503, r.n, r.ready_s / observed_s) for r in results], dtype=np.float64)


# Coverage


@dataclass(frozen=True)
class Tally:
    """What became of the interval of each experiment."""

    held: BoolArray
    """It holds the truth."""
    resolved: BoolArray
    half_widths: FloatArray
    """Relative, of those that are resolved."""

    @property
    def coverage(self) -> float:
        return float(self.held.mean())

    @property
    def coverage_of_resolved(self) -> float:
        return float(self.held[self.resolved].mean())

    @property
    def coverage_interval(self) -> tuple[float, float]:
        """Clopper and Pearson's, 95 %."""
        exact = stats.binomtest(int(self.held.sum()), len(self.held)).proportion_ci(0.95, "exact")
        return float(exact.low), float(exact.high)


def tally(estimates: list[Estimate], truth: float) -> Tally:
    half_widths = [width for e in estimates if (width := relative_half_width(e)) is not None]
    return Tally(
        np.array([e.low <= truth <= e.high for e in estimates]),
        np.array([e.resolved for e in estimates]),
        np.array(half_widths),
    )


def of_fractions(experiments: Iterable[Counted], truth: float, interval: Interval = fraction) -> Tally:
    return tally([interval(hits, trials) for hits, trials in experiments], truth)


def log_t(hits: FloatArray, trials: FloatArray) -> Estimate:
    """The interval of `fraction` as if it were always resolved."""
    with patch.object(measures, "RESOLVED_HITS", 0):
        return fraction(hits, trials)


def until_precise(pool: Pool, precision: float) -> list[Estimate]:
    """What `simulate --precision` ends with."""
    most = default_most(float(pool.trials.mean()))
    return [_stopped(hits, trials, precision, most) for hits, trials in pool.resampled(most)]


def _stopped(hits: FloatArray, trials: FloatArray, precision: float, most: int) -> Estimate:
    for replications in looks(most):
        estimate = fraction(hits[:replications], trials[:replications])
        if is_precise(estimate, precision):
            break
    return estimate


# Error rates of a check that expects a number of misses


def misses_expected(experiments: int, surprise: float, miss_rate: float = 0.05) -> range:
    """Experiments with that chance of a miss have fewer with a chance of `surprise` at most, and so with more."""
    fewest, most = stats.binom.ppf(surprise, experiments, miss_rate), stats.binom.isf(surprise, experiments, miss_rate)
    return range(int(fewest), int(most) + 1)


def coverages_caught(experiments: int, expected: range, power: float = 0.95) -> tuple[float, float]:
    """Beyond these, below the one or above the other, the misses are not as expected with a chance of `power`."""
    fewest, most = expected[0], expected[-1]
    too_many = stats.beta.ppf(power, most + 1, experiments - most)
    too_few = stats.beta.ppf(1 - power, fewest, experiments - fewest + 1)
    return 1 - float(too_many), 1 - float(too_few)
