"""The last word on a setting: runs on random numbers that no choice has seen, until its promise is kept or broken."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from planner.measures import Measures, measure
from planner.model import Estimate, Slo, Verdict, VerdictWord
from planner.plan.observation import observed, with_setting
from planner.plan.settings import Setting
from planner.plan.tally import Runs, parts_of, ratio
from planner.promise import simulated_bounds
from planner.scenario import Scenario
from planner.sim.engine import ReplicateResult
from planner.sim.replications import Executor, replicate
from planner.slo import judge

FRESH = 1 << 32
"""Number of the first replicate of a confirmation; the search's own are far below."""

BLOCK = 1 << 20
"""Replicates set apart for each confirmation."""

FIRST_RUNS, FIRST_RUNS_FOR_SHARE = 50, 75
"""Runs at the first look. Below 73 without a single one above the SLO, `runs: 95%` cannot be decided."""

GROWTH = 1.5
CLOSE_RUNS, CLOSE_GROWTH = 500, 8
"""From so many runs on it ends undecided where so many times as many would not decide."""

MOST_RUNS = 20_000
MOST_REQUESTS = 4e8


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """What fresh runs say of one setting."""

    setting: Setting
    measures: Measures
    verdict: Verdict
    peak_unclamped: int
    """The most replicas that any tick of any run wanted."""
    keeps: float
    """Probability that every part of the promise is kept, by these runs alone."""

    @property
    def holds(self) -> bool:
        return self.verdict.word is VerdictWord.PASS


def confirm(
    scenario: Scenario,
    slo: Slo,
    setting: Setting,
    executor: Executor,
    *,
    attempt: int,
    advance: Callable[[], None],
    first_runs: int | None = None,
    most_runs: int = MOST_RUNS,
) -> Confirmation:
    """Fresh runs of a setting, GROWTH times as many at each look, until the verdict is there or most_runs are done.

    Where all runs are the same one is enough.
    """
    changed = with_setting(scenario, setting)
    first = FRESH + BLOCK * attempt
    least = FIRST_RUNS if slo.min_fraction_of_runs is None else FIRST_RUNS_FOR_SHARE
    most = int(min(most_runs, max(least, MOST_REQUESTS / max(scenario.arrivals.expected_count, 1.0))))
    results: list[ReplicateResult] = []
    goal = min(first_runs or least, most)
    while True:
        missing = goal - len(results)
        for result in replicate(changed, missing, executor, first=first + len(results), bin_s=scenario.duration_s):
            results.append(result)
            advance()
        measures = measure(changed, results)
        verdict = judge(slo, measures)
        if verdict.word is not VerdictWord.UNDECIDED or goal >= most or _is_too_close(measures, slo):
            return Confirmation(
                setting=setting,
                measures=measures,
                verdict=verdict,
                peak_unclamped=max(result.peak_unclamped for result in results),
                keeps=_keeps(results, slo),
            )
        goal = min(most, math.ceil(GROWTH * goal))


def _is_too_close(measures: Measures, slo: Slo) -> bool:
    """Whether a fraction of failures lies so near its bound that even many more runs would probably not decide."""
    bounds = simulated_bounds(slo, measures.has_504)
    return measures.replications >= CLOSE_RUNS and any(_lies_near(measures.of(b.failure), b.largest) for b in bounds)


def _lies_near(estimate: Estimate, bound: float) -> bool:
    if not estimate.resolved or not 0 < estimate.low <= estimate.high:
        return False
    half_width = math.log(estimate.high / estimate.low) / 2
    return abs(math.log(estimate.value / bound)) < half_width / math.sqrt(CLOSE_GROWTH)


def _keeps(results: list[ReplicateResult], slo: Slo) -> float:
    runs = Runs.of([observed(result, slo) for result in results])
    ratios = [ratio(part, runs, slo) for part in parts_of(slo, has_504=bool(runs.n_504.any()))]
    return math.prod(r.probability_below(1.0, r.variance_per_run) for r in ratios)
