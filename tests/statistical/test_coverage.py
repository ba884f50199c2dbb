"""The intervals of `simulate` hold the truth as often as they say.

The quick tests expect of 300 or 2,000 experiments as many misses as a coverage of 95 % gives but for once in 100 times
on either side. For the fixed seeds that is settled; a change of the draws fails one of the three with a chance of 6 %.
Caught with a chance of 95 %: a coverage below 88.9 % or above 98.9 % (300 experiments), 92.9 % or 96.8 % (2,000).

The table of `docs/tests.md` comes from `make verify`: 2,000 experiments for each number of hits, so that a coverage of
95 % is measured to within 1 % (95 % interval).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from planner.executors import usable_cores
from planner.executors.processes import Processes
from planner.measures import fraction, mean, share_of_runs
from planner.model import Autoscaler, Estimate, FloatArray
from tests.statistical.coverage import (
    Counted,
    Interval,
    Pool,
    System,
    Tally,
    coverages_caught,
    log_t,
    misses_expected,
    of_fractions,
    simulated,
    tally,
    until_precise,
)
from tests.statistical.coverage_systems import small_systems, systems

pytestmark = pytest.mark.statistical

SURPRISE = 0.01

CLUSTERS, CLUSTER_SIZE, REQUESTS = 1.5, 6, 1_000
"""Means of a synthetic run; 78 % of them see a 503."""

# --- quick


@pytest.mark.parametrize(("experiments", "low", "high"), [(300, 0.889, 0.989), (2_000, 0.929, 0.968)])
def test_the_error_rates_are_as_stated(experiments: int, low: float, high: float) -> None:
    expected = misses_expected(experiments, SURPRISE)
    assert stats.binom.cdf(expected[0] - 1, experiments, 0.05) < SURPRISE
    assert stats.binom.sf(expected[-1], experiments, 0.05) < SURPRISE
    assert coverages_caught(experiments, expected) == pytest.approx((low, high), abs=5e-4)
    assert stats.binom.sf(expected[-1], experiments, 1 - low) == pytest.approx(0.95, abs=0.01)
    assert stats.binom.cdf(expected[0] - 1, experiments, 1 - high) == pytest.approx(0.95, abs=0.01)


def assert_covers(found: Tally) -> None:
    assert (~found.held).sum() in misses_expected(len(found.held), SURPRISE)


@pytest.mark.parametrize("system", small_systems(), ids=str)
def test_intervals_of_simulations_hold_the_exact_fraction(system: System) -> None:
    """10,800 simulations of half a millisecond each."""
    assert system.exact is not None
    pool = simulated(system.scenario, 300, 36)
    assert_covers(of_fractions(pool.experiments(36), system.exact))


@functools.cache
def clusters() -> list[Counted]:
    """2,000 experiments of 60 runs, whose 503s come in a Poisson number of clusters of geometric size."""
    generator = np.random.default_rng(5)
    shape = (2_000, 60)
    numbers = generator.poisson(CLUSTERS, shape)
    hits = numbers + generator.negative_binomial(np.maximum(numbers, 1), 1 / CLUSTER_SIZE) * (numbers > 0)
    return list(zip(hits.astype(float), generator.poisson(REQUESTS, shape).astype(float), strict=True))


def test_intervals_hold_the_fraction_of_clustered_503s() -> None:
    assert_covers(of_fractions(clusters(), CLUSTERS * CLUSTER_SIZE / REQUESTS))


def binomial(hits: FloatArray, trials: FloatArray) -> Estimate:
    """As if each 503 came alone."""
    p, n = float(hits.sum() / trials.sum()), float(trials.sum())
    spread = 1.96 * math.sqrt(p * (1 - p) / n)
    return Estimate(value=p, low=p - spread, high=p + spread, replications=len(hits))


def wider(hits: FloatArray, trials: FloatArray) -> Estimate:
    estimate = fraction(hits, trials)
    return replace(estimate, low=estimate.low / 1.1, high=1.1 * estimate.high)


@pytest.mark.parametrize("wrong", [binomial, wider])
def test_a_wrong_interval_is_found_out(wrong: Interval) -> None:
    with pytest.raises(AssertionError):
        assert_covers(of_fractions(clusters(), CLUSTERS * CLUSTER_SIZE / REQUESTS, wrong))


# --- make verify

EXPERIMENTS = 2_000
HITS = (30, 100, 300)
RUNS = 100
"""Of an experiment for what is not about 503s alone."""

PRECISION = 0.1

LOW, HIGH = 0.93, 0.97
"""What a measured coverage must be within."""

HEADER = """\
| expected hits | runs | resolved | printed | printed, resolved alone | log-t | half width |
|---|---|---|---|---|---|---|"""


def judged_at(hits: int, system: System, pool: Pool, truth: float) -> Iterator[str]:
    """Prints a row of the table; says what is wrong with it.

    Where fewer than 30 runs saw a 503 the interval printed reaches from 0 to an upper bound and misses on one side
    alone, so there it may hold the truth more often than 97 %. The log-t interval, without that rule, may not.
    """
    runs = system.replications(hits)
    printed, bare = (of_fractions(pool.experiments(runs), truth, interval) for interval in (fraction, log_t))
    print(
        f"| {hits} | {runs} | {printed.resolved.mean():.1%} | {printed.coverage:.1%} | "
        f"{printed.coverage_of_resolved:.1%} | {percent_of(bare)} | {bare.half_widths.mean():.0%} |"
    )
    highest = HIGH if printed.resolved.all() else 1.0
    yield from outside(f"printed at {hits} hits", printed, highest)
    yield from outside(f"log-t at {hits} hits", bare)


def outside(name: str, found: Tally, highest: float = HIGH) -> Iterator[str]:
    if not LOW <= found.coverage <= highest:
        yield f"{name}: {percent_of(found)}"


def percent_of(found: Tally) -> str:
    low, high = found.coverage_interval
    return f"{found.coverage:.1%} ({low:.1%} to {high:.1%})"


def judged_when_precise(pool: Pool) -> Iterator[str]:
    estimates = until_precise(pool, PRECISION)
    found = tally(estimates, pool.fraction)
    runs = np.median([e.replications for e in estimates])
    print(f"\nuntil ±{PRECISION:.0%}, at a median of {runs:.0f} runs: {percent_of(found)}")
    yield from outside("sequential stopping", found)


def judged_runs_within_slo(pool: Pool) -> Iterator[str]:
    """The SLO: twice the fraction of the pool. Clopper and Pearson's interval is careful, 97 % is no bound."""
    kept = pool.hits <= 2 * pool.fraction * pool.trials
    found = tally([share_of_runs(k) for k in kept[:, :RUNS]], float(kept.mean()))
    print(f"share of {RUNS} runs within an SLO that {kept.mean():.1%} keep: {percent_of(found)}")
    if (~found.held).sum() > misses_expected(len(pool), SURPRISE)[-1]:
        yield f"share of runs within the SLO: {percent_of(found)}"


def judged_mean_replicas(pool: Pool) -> Iterator[str]:
    found = tally([mean(r) for r in pool.ready[:, :RUNS]], float(pool.ready.mean()))
    print(f"mean replicas over {RUNS} runs: {percent_of(found)}")
    yield from outside("mean replicas", found)


@pytest.mark.verify
@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("system", systems(), ids=str)
def test_coverage(system: System) -> None:
    """Up to 100 hits each experiment has runs of its own; those of 300 are drawn from the runs of all the others.

    A right simulator is taken for a biased one with a chance of 1 % at most; the seed is fixed.
    """
    runs = {hits: system.replications(hits) for hits in HITS}
    with Processes(usable_cores()) as workers:
        pool = simulated(system.scenario, EXPERIMENTS, runs[HITS[1]], workers, label=system.name)
    truth = pool.fraction if system.exact is None else system.exact
    bias, error = pool.bias(truth, runs[HITS[-1]])
    print(f"\n{system}: {truth:.4g} of the requests 503, {(pool.hits > 0).mean():.1%} of the runs see one,")
    print(f"bias {bias:.3f} ± {error:.3f} standard errors of an experiment of {runs[HITS[-1]]} runs\n\n{HEADER}")
    problems = [problem for hits in HITS for problem in judged_at(hits, system, pool, truth)]
    problems += [*judged_when_precise(pool), *judged_runs_within_slo(pool)]
    if system.scenario.deployment.autoscaler is not Autoscaler.FIXED:
        problems += judged_mean_replicas(pool)
    assert problems == []
    assert abs(bias) < 0.1
