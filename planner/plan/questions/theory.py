"""What theory says of fixed replicas in a scenario's traffic: exactly where a formula holds, else labelled."""

from __future__ import annotations

from typing import Any, NamedTuple

from planner.arrivals import MarkovModulatedPoisson, Recorded, Renewal
from planner.errors import InputError
from planner.queueing import WaitLimitQueue, replicas_for_slots, slots_for, slots_for_general_service
from planner.queueing.markov import MarkovArrivals, MarkovArrivalsQueue, slots_for_markov_arrivals
from planner.replicas import MAX_FRACTIONS_503, Sizing
from planner.scenario import Scenario
from planner.service import Exponential

MOST_SLOTS = 1_000_000
"""Of a deployment that can be simulated."""

MOST_SLOTS_IN_BURSTS = 20_000
"""The exact formula for bursts takes about a second here."""

POISSON = "exact: M/M/c+D in steady state"
BURSTS = "exact: MMPP/M/c+D in steady state"
OTHER_SERVICE = "approximation: M/M/c+D with 2 D / (1 + cv^2) in place of the wait limit D"
LASTING = {"busiest": "as if the busiest rate lasted for ever", "mean": "as if the rate were always the mean"}


class Needed(NamedTuple):
    slots: int
    method: str


def steady_state(scenario: Scenario, replicas: int) -> tuple[float | None, str | None]:
    """The exact 503 fraction of so many fixed replicas and how it is known; None, None where no formula is exact."""
    arrivals, deployment = scenario.arrivals, scenario.deployment
    slots = replicas * deployment.max_concurrent_requests
    if not _is_exponential(scenario) or slots > MOST_SLOTS:
        return None, None
    service_s, limit_s = scenario.service_time.mean_s, deployment.max_request_wait_s
    if (rate := _poisson_rate(scenario)) is not None:
        return WaitLimitQueue(slots, rate, service_s, limit_s).fraction_503, POISSON
    if isinstance(arrivals, MarkovModulatedPoisson) and slots <= MOST_SLOTS_IN_BURSTS:
        return MarkovArrivalsQueue(slots, _bursts(arrivals), service_s, limit_s).fraction_503, BURSTS
    return None, None


def replicas_for(scenario: Scenario, sizing: Sizing, which: str, reason: str | None) -> list[dict[str, Any]]:
    """The fewest replicas for each documented fraction of 503s. which: rate of the sizing; reason: why none."""
    reason = reason or _no_formula(scenario)
    return [_replicas_for(bound, scenario, sizing, which, reason) for bound in MAX_FRACTIONS_503]


def _replicas_for(bound: float, scenario: Scenario, sizing: Sizing, which: str, reason: str | None) -> dict[str, Any]:
    replicas, method = None, None
    if reason is None:
        try:
            slots, method = _slots_for(bound, scenario, sizing, which)
            replicas = replicas_for_slots(slots, sizing.max_concurrent)
        except InputError as unsupported:
            reason = str(unsupported)
    return {"max_fraction_503": bound, "replicas": replicas, "method": method, "reason": reason}


def _slots_for(bound: float, scenario: Scenario, sizing: Sizing, which: str) -> Needed:
    arrivals, rate, service_s = scenario.arrivals, float(sizing.target_rps), float(sizing.request_time_s)
    limit_s = scenario.deployment.max_request_wait_s
    if _is_exponential(scenario):
        if _poisson_rate(scenario) is not None:
            return Needed(slots_for(bound, rate, service_s, limit_s), POISSON)
        if isinstance(arrivals, MarkovModulatedPoisson) and sizing.slots <= MOST_SLOTS_IN_BURSTS:
            return Needed(slots_for_markov_arrivals(bound, _bursts(arrivals), service_s, limit_s), BURSTS)
    method = "approximation: M/M/c+D" if _is_exponential(scenario) else OTHER_SERVICE
    parts = [method]
    if isinstance(arrivals, Recorded):
        parts.append("Poisson arrivals")
    if which in LASTING:
        parts.append(LASTING[which])
    cv = scenario.service_time.cv * scenario.service_time.mean_s / service_s  # the router's overhead is constant
    return Needed(slots_for_general_service(bound, rate, service_s, cv, limit_s), ", ".join(parts))


def _no_formula(scenario: Scenario) -> str | None:
    arrivals, deployment = scenario.arrivals, scenario.deployment
    if isinstance(arrivals, Renewal) and arrivals.cv != 1:
        kind = "regular" if arrivals.cv == 0 else "gamma"
        return f"there is no formula for {kind} arrivals"
    if deployment.max_concurrent_requests > deployment.worker_count:
        return "there is no formula for requests that wait inside a replica (more of them than WORKER_COUNT)"
    return None


def _is_exponential(scenario: Scenario) -> bool:
    """Each slot is a server whose times are exponential."""
    deployment = scenario.deployment
    return (
        isinstance(scenario.service_time, Exponential)
        and deployment.router_overhead_s == 0
        and deployment.max_concurrent_requests <= deployment.worker_count
        and deployment.slot_busy_after_504
        and deployment.worker_busy_after_504
    )


def _poisson_rate(scenario: Scenario) -> float | None:
    """The rate of Poisson arrivals if it never changes."""
    arrivals = scenario.arrivals
    if not isinstance(arrivals, Renewal) or arrivals.cv != 1 or not arrivals.profile.is_stepwise:
        return None
    rates = arrivals.profile.left_rps
    return float(rates[0]) if (rates == rates[0]).all() and rates[0] > 0 else None


def _bursts(arrivals: MarkovModulatedPoisson) -> MarkovArrivals:
    return MarkovArrivals.mmpp(arrivals.rates_rps, arrivals.switching_per_s)
