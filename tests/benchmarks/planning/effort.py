"""Requests of a search beside those of equal allocation with as good a chance of being right.

Equal allocation is measured on a pool of runs of every setting that could be taken for the answer; an experiment draws
its runs from the pool, the same ones for all settings. What is surely not the answer, it simulates in vain.
"""

from __future__ import annotations

import statistics
from functools import partial

import numpy as np

from planner.executors import usable_cores
from planner.executors.processes import Processes
from planner.model import FloatArray
from planner.plan.observation import observe
from planner.plan.settings import Setting
from tests.benchmarks.__main__ import Goals
from tests.benchmarks.table import print_table
from tests.statistical.plan_scenarios import Case, cases, success
from tests.statistical.test_plan_guarantee import requests_of, searched

CONFIDENCE = 0.95
EXPERIMENTS = 1_000
SEARCHES = 20
FIRST_SEARCH = 500
"""Seeds that the test of the guarantee does not use."""

POOL = 3_000
POOL_SEED = 77
PLAUSIBLE = (0.2, 4.0)
"""Times the SLO: settings with other true fractions are never taken for the answer, or are not the cheapest."""

MANY_SETTINGS = 100

ALLOCATIONS = (20, 30, 45, 68, 100, 150, 225, 340, 500, 750, 1_100)


def section(quick: bool, goals: Goals) -> None:
    rows = []
    print("### Requests until the answer is right with 95 %\n")
    for case in cases()[:1] if quick else cases():
        requests, right = _searches(case, 3 if quick else SEARCHES)
        runs, at_20 = _allocation(case, 200 if quick else POOL)
        per_run = case.scenario.arrivals.expected_count
        exhaustive = len(case.settings) * runs * per_run
        ratio = exhaustive / statistics.median(requests)
        rows.append(
            (
                str(case),
                f"{len(case.settings)}",
                f"{at_20:.0%}",
                f"{runs:,}",
                f"{exhaustive / 1e6:,.0f} M",
                f"{statistics.median(requests) / 1e6:.1f} M ({min(requests) / 1e6:.1f} to {max(requests) / 1e6:.1f})",
                f"{sum(right)} of {len(right)}",
                f"{ratio:.0f}",
            )
        )
        what = f"{case}: requests of exhaustive search over those of a plan"
        if len(case.settings) >= MANY_SETTINGS:
            goals.at_least(what, ratio, 20)
        else:  # all of them near the edge: there is little to leave out
            goals.note(what, ratio)
    print_table(
        (
            "scenario",
            "settings",
            "right with 20 runs each",
            "runs each for 95 %",
            "requests",
            "requests of a plan, median (range)",
            "right",
            "ratio",
        ),
        rows,
    )


def _searches(case: Case, count: int) -> tuple[list[float], list[bool]]:
    with Processes(usable_cores()) as executor:
        found = list(executor.in_order(partial(_search, case), range(FIRST_SEARCH, FIRST_SEARCH + count)))
    return [requests for requests, _ in found], [right for _, right in found]


def _search(case: Case, run: int) -> tuple[float, bool]:
    found = searched(case.in_run(run), case.settings)
    return float(requests_of(found)), success(case.truth, found.best, case.slo)


def _allocation(case: Case, pool: int) -> tuple[int, float]:
    """The fewest runs of every setting with which equal allocation is right in 95 %, and how often it is with 20."""
    low, high = (share * case.slo.max_fraction_503 for share in PLAUSIBLE)
    near = [s for s in case.settings if low <= case.truth.fraction_503[s] <= high]
    n, n_503, paid_s = _pooled(case, near, pool)
    generator = np.random.default_rng(POOL_SEED)
    rates = {}
    for runs in ALLOCATIONS:
        drawn = generator.integers(0, pool, (EXPERIMENTS, runs))
        right = [_is_right(case, near, n[:, d], n_503[:, d], paid_s[:, d]) for d in drawn]
        rates[runs] = float(np.mean(right))
        if rates[runs] >= CONFIDENCE:
            return runs, rates[20]
    raise AssertionError(f"{case}: {rates}")


def _is_right(case: Case, near: list[Setting], n: FloatArray, n_503: FloatArray, paid_s: FloatArray) -> bool:
    fraction, cost = n_503.sum(axis=1) / n.sum(axis=1), paid_s.mean(axis=1)
    kept = np.flatnonzero(fraction <= case.slo.max_fraction_503)
    return success(case.truth, near[kept[np.argmin(cost[kept])]] if len(kept) else None, case.slo)


def _pooled(case: Case, near: list[Setting], pool: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Requests, 503s and paid time of each setting in each run, shape (settings, pool)."""
    scenario = case.in_run(POOL_SEED)
    tasks = [(setting, replicate) for setting in near for replicate in range(pool)]
    with Processes(usable_cores()) as executor:
        seen = list(executor.in_order(partial(observe, scenario, case.slo), tasks))
    shape = (len(near), pool)
    n, n_503, paid_s = (np.array([getattr(o, f) for o in seen], float).reshape(shape) for f in ("n", "n_503", "paid_s"))
    return n, n_503, paid_s
