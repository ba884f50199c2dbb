"""The simulated autoscaler against its exact chain (`tests/reference/tick_chain.py`): stationary, and from time 0.

Error rates: each comparison is a t test at two-sided p = 1e-4. There are 55, so a correct simulator fails one with a
chance of at most 0.6 % per choice of seed; the seed is fixed. Standard errors of the 503 fraction and of the mean
replicas are 0.1 to 0.5 % of the value where it is stationary and 0.6 to 1.3 % over a whole burst. Caught with a chance
of one half: service times or arrival rates that are 0.8 % off, cold starts that are 3 % off (stationary; bursts alone:
7 % and 12 %). Wrong rules are found by 20 standard errors and more: `DEFECTS`. Beyond reach is which of the starting
replicas goes first: it changes what happens by too little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import special

from planner.arrivals import Renewal
from planner.model import Deployment, FloatArray
from planner.rates import RateProfile
from planner.scenario import Scenario
from planner.service import Exponential
from planner.sim.engine import ReplicateResult, simulate_replicate
from tests.reference import tick_chain
from tests.reference.tick_chain import Counts, Ordered, Rates, TickChain, Totals, total

pytestmark = pytest.mark.statistical

ALPHA = 1e-4
MEAN_SERVICE_S = 1.0


@dataclass(frozen=True)
class Case:
    """rates_rps: (time from which on, arrivals per second). Stationary where there is a warm-up, else from time 0."""

    name: str
    deployment: Deployment
    mean_cold_start_s: float
    rates_rps: tuple[tuple[float, float], ...]
    duration_s: float
    replications: int
    warm_up_s: float = 0.0
    bin_s: float = 10.0
    by_counts: bool = False

    def __str__(self) -> str:
        return self.name


def stationary(
    name: str, deployment: Deployment, mean_cold_start_s: float, rate_rps: float, periods: int = 20_000
) -> Case:
    warm_up_s = 20 * mean_cold_start_s + 20 * deployment.refresh_period_s
    duration_s = warm_up_s + periods * deployment.refresh_period_s
    return Case(name, deployment, mean_cold_start_s, ((0.0, rate_rps),), duration_s, 30, warm_up_s, duration_s)


def replicas(
    low: int, high: int, target: int, period_s: float, window_ticks: int | None, **settings: Any
) -> Deployment:
    return Deployment(
        min_replicas=low,
        max_replicas=high,
        target_utilization_percent=target,
        refresh_period_s=period_s,
        scale_down_delay_s=None if window_ticks is None else window_ticks * period_s,
        max_request_wait_s=0.0,
        **settings,
    )


BURST = ((0.0, 0.5), (10.0, 4.0), (30.0, 0.5))

CASES = [
    stationary("target 70", replicas(1, 5, 70, 1.0, 1), 5.0, 2.0),
    stationary("quick start", replicas(1, 5, 70, 0.5, 1), 0.1, 3.0, periods=30_000),
    stationary("target 90, period 5 s", replicas(1, 4, 90, 5.0, 1), 2.0, 3.0, periods=5_000),
    stationary("min 2, period 5 s", replicas(2, 5, 50, 5.0, 1), 5.0, 2.5, periods=5_000),
    stationary("slow start, window of 3 ticks", replicas(1, 3, 70, 5.0, 3), 60.0, 1.5, periods=10_000),
    stationary("two slots, one worker", replicas(1, 3, 60, 1.0, 2, max_concurrent_requests=2), 5.0, 2.0),
    Case("burst, window of 2 ticks", replicas(1, 4, 70, 1.0, 2), 5.0, BURST, 60.0, 600),
    Case("burst, target 50, period 5 s", replicas(1, 4, 50, 5.0, 1, initial_replicas=2), 3.0, BURST, 60.0, 600),
    Case(
        "launch, 20 ticks of v2",
        replicas(2, 10, 70, 1.0, None),
        8.0,
        ((0.0, 8.0),),
        20.0,
        600,
        bin_s=4.0,
        by_counts=True,
    ),
]


@cache
def simulated(case: Case) -> list[ReplicateResult]:
    edges_s = np.array([*(since_s for since_s, _ in case.rates_rps), case.duration_s])
    rates_rps = np.array([rate for _, rate in case.rates_rps])
    scenario = Scenario(
        name=case.name,
        shows="",
        duration_s=case.duration_s,
        warm_up_s=case.warm_up_s,
        arrivals=Renewal(RateProfile(edges_s, rates_rps, rates_rps)),
        service_time=Exponential(MEAN_SERVICE_S),
        deployment=case.deployment,
        cold_start=Exponential(case.mean_cold_start_s),
        seed=11,
    )
    return [simulate_replicate(scenario, r, bin_s=case.bin_s) for r in range(case.replications)]


def expected(case: Case) -> list[Totals]:
    """Of each bin, or of any one period."""
    chain = TickChain(
        case.deployment,
        mean_service_s=MEAN_SERVICE_S,
        mean_cold_start_s=case.mean_cold_start_s,
        by_counts=case.by_counts,
    )
    if case.warm_up_s:
        return [chain.stationary(case.rates_rps[0][1])]
    bins = round(case.duration_s / case.bin_s)
    return chain.transient(case.rates_rps, [i * case.bin_s for i in range(bins + 1)])


def t_values(case: Case, exact: list[Totals]) -> Iterator[tuple[str, float]]:
    """Each comparison: what is compared, and by how many standard errors the simulation is off."""
    results = simulated(case)
    whole = total(exact)
    observed_s = case.duration_s - case.warm_up_s
    hits, requests = np.array([(r.n_503, r.n) for r in results]).T
    yield "503s", t_value(hits - whole.fraction_503 * requests)
    yield "ready", t_value(np.array([r.ready_s / observed_s for r in results]) - whole.mean_ready)
    if case.warm_up_s:
        return
    yield "paid", t_value(np.array([r.paid_s / observed_s for r in results]) - whole.mean_paid)
    for i, part in enumerate(exact):
        hits, requests, ready = np.array([(r.bin_503[i], r.bin_requests[i], r.bin_ready[i]) for r in results]).T
        yield f"503s of bin {i}", t_value(hits - part.fraction_503 * requests)
        yield f"ready in bin {i}", t_value(ready - part.mean_ready)


def t_value(residuals: FloatArray) -> float:
    return float(residuals.mean() / (residuals.std(ddof=1) / np.sqrt(len(residuals))))


def surprises(case: Case) -> dict[str, float]:
    """The comparisons that a correct simulator fails with chance ALPHA each."""
    bound = float(special.stdtrit(case.replications - 1, 1 - ALPHA / 2))
    return {what: t for what, t in t_values(case, expected(case)) if abs(t) > bound}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_simulation_agrees_with_the_chain(case: Case) -> None:
    assert surprises(case) == {}


# --- wrong rules, put into the chain: what the comparison would have found


def rounded_down(deployment: Deployment, signal: int) -> int:
    wanted = 100 * signal // (deployment.max_concurrent_requests * deployment.target_utilization_percent)
    return min(max(wanted, deployment.min_replicas), deployment.max_replicas)


def starting_ignored(state: Ordered | Counts, desired: int, floor: int) -> int:
    """Replicas are created for what is not ready, though they may be on their way (3 at most)."""
    if desired > state.ready:
        return min(3, state.starting + desired)
    return min(state.ready + state.starting, floor)


def window_of_one_more_tick(deployment: Deployment) -> int:
    return WINDOW_TICKS(deployment) + 1


def first_tick_after_two_periods(deployment: Deployment, end_s: float) -> list[float]:
    return TICK_TIMES_S(deployment, end_s)[1:]


def earliest_ready_is_the_victim(state: Ordered, count: int, rates: Rates) -> tuple[Ordered, tuple[int, ...]]:
    if count >= state.ready:
        return RESIZED(state, count, rates)
    turned = state._replace(ids=state.ids[::-1], held=state.held[::-1])
    left, victims_hold = RESIZED(turned, count, rates._replace(min_replicas=0))
    return left._replace(ids=left.ids[::-1], held=left.held[::-1]), victims_hold


def idle_is_the_victim(state: Ordered, count: int, rates: Rates) -> tuple[Ordered, tuple[int, ...]]:
    return RESIZED(state._replace(held=tuple(sorted(state.held, reverse=True))), count, rates)


def to_the_highest_id(state: Ordered, rates: Rates) -> Ordered | None:
    top = len(state.ids) + len(state.starting_ids) - 1
    after = AFTER_ARRIVAL(state._replace(ids=tuple(top - i for i in state.ids)), rates)
    return None if after is None else after._replace(ids=state.ids)


def to_the_lowest_id_with_a_free_slot(state: Ordered, rates: Rates) -> Ordered | None:
    full = tuple(held if held == rates.slots else 0 for held in state.held)
    after = AFTER_ARRIVAL(state._replace(held=full), rates)
    if after is None:
        return None
    taken = [new - old for new, old in zip(after.held, full, strict=True)]
    return state._replace(held=tuple(map(sum, zip(state.held, taken, strict=True))))


WINDOW_TICKS, TICK_TIMES_S = tick_chain.window_ticks, tick_chain.tick_times_s
RESIZED, AFTER_ARRIVAL = Ordered.resized, Ordered.after_arrival

DEFECTS: list[tuple[object, str, Callable[..., Any], str]] = [
    (tick_chain, "desired_count", rounded_down, "target 70"),
    (tick_chain, "new_count", starting_ignored, "two slots, one worker"),
    (tick_chain, "window_ticks", window_of_one_more_tick, "burst, window of 2 ticks"),
    (tick_chain, "tick_times_s", first_tick_after_two_periods, "burst, target 50, period 5 s"),
    (Ordered, "resized", earliest_ready_is_the_victim, "quick start"),
    (Ordered, "resized", idle_is_the_victim, "quick start"),
    (Ordered, "after_arrival", to_the_highest_id, "quick start"),
    (Ordered, "after_arrival", to_the_lowest_id_with_a_free_slot, "two slots, one worker"),
]


@pytest.mark.parametrize(("owner", "name", "defect", "case_name"), DEFECTS)
def test_a_wrong_rule_is_found(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, defect: Callable[..., Any], case_name: str
) -> None:
    monkeypatch.setattr(owner, name, defect)
    assert surprises(next(case for case in CASES if case.name == case_name))
