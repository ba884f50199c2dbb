"""The published sizing rule for a scenario's traffic: its replicas, their 503s and cost, and what theory needs."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

from planner.arrivals import MarkovModulatedPoisson, Renewal
from planner.documents import estimate_document
from planner.errors import NoVerdictError
from planner.measures import Measures, measure
from planner.model import MOST_REPLICAS, Autoscaler
from planner.percent import percent
from planner.plan.questions.bench import Advance, Bench, silent
from planner.plan.questions.theory import MOST_SLOTS, replicas_for, steady_state
from planner.plan.questions.words import failures, number, replicas
from planner.plan.space import busiest_rps
from planner.replicas import LARGEST_LOAD_ERLANGS, Sizing
from planner.scenario import Scenario
from planner.sim.replications import Executor

METHOD = "simulated in this scenario with that many fixed replicas"


def published_rule(
    scenario: Scenario,
    executor: Executor,
    replications: int,
    price: float | None,
    *,
    advance: Advance = silent,
    first: int = 0,
) -> dict[str, Any]:
    """The rule for the busiest rate, and under `at_mean_rate` for the mean rate where that is another.

    price: of one replica for an hour, None if unknown.
    """
    bench = Bench(executor=executor, replications=replications, first=first, advance=advance)
    mean, busiest = mean_rps(scenario), _exact(busiest_rps(scenario))
    if mean == busiest:
        return _rule(scenario, mean, "only", bench, price) | {"at_mean_rate": None}
    at_busiest = _rule(scenario, busiest, "busiest", bench, price)
    return at_busiest | {"at_mean_rate": _rule(scenario, mean, "mean", bench, price)}


def mean_rps(scenario: Scenario) -> Fraction:
    """Requests per second over the whole scenario, in exact arithmetic."""
    arrivals = scenario.arrivals
    if isinstance(arrivals, Renewal):
        edges, left, right = (
            [_exact(x) for x in values]
            for values in (arrivals.profile.time_s, arrivals.profile.left_rps, arrivals.profile.right_rps)
        )
        pieces = zip(edges, edges[1:], left, right, strict=False)
        return sum(((end - start) * (a + b) / 2 for start, end, a, b in pieces), Fraction()) / edges[-1]
    if isinstance(arrivals, MarkovModulatedPoisson):
        sojourns = [1 / _exact(rate) for rate in arrivals.switching_per_s]
        requests = (s * _exact(r) for s, r in zip(sojourns, arrivals.rates_rps, strict=True))
        return sum(requests, Fraction()) / sum(sojourns)
    return _exact(arrivals.expected_count) / _exact(scenario.duration_s)


def _exact(value: float) -> Fraction:
    """The decimal number that was written: 0.1 is a tenth."""
    return Fraction(repr(float(value)))


def _sizing(scenario: Scenario, rate: Fraction) -> Sizing:
    deployment = scenario.deployment
    return Sizing(
        target_rps=rate,
        request_time_s=_exact(scenario.service_time.mean_s) + _exact(deployment.router_overhead_s),
        target_utilization=Fraction(deployment.target_utilization_percent, 100),
        max_concurrent=deployment.max_concurrent_requests,
        max_request_wait_s=_exact(deployment.max_request_wait_s),
    )


def _rule(scenario: Scenario, rate: Fraction, which: str, bench: Bench, price: float | None) -> dict[str, Any]:
    sizing = _sizing(scenario, rate)
    reason = _no_size(sizing)
    measures: Measures | None = None
    if reason is None:
        try:
            measures = _simulated(scenario, sizing.replicas, bench)
        except NoVerdictError as nothing:
            reason = f"{nothing}"
    count = sizing.replicas if measures else None
    fraction, method = (None, None) if count is None else steady_state(scenario, count)
    needed = replicas_for(scenario, sizing, which, reason)
    return {
        "rate": which,
        "replicas": count,
        "target_rps": float(rate),
        "request_time_s": float(sizing.request_time_s),
        "target_utilization": float(sizing.target_utilization),
        "max_concurrent": sizing.max_concurrent,
        "fraction_503": estimate_document(measures.fraction_503) if measures else None,
        "fraction_504": estimate_document(measures.fraction_504) if measures else None,
        "fraction_failed": estimate_document(measures.fraction_failed) if measures else None,
        "method": METHOD if measures else None,
        "fraction_503_steady_state": fraction,
        "steady_state_method": method,
        "replica_hours": estimate_document(measures.replica_hours) if measures else None,
        "cost_per_hour": None if price is None or count is None else count * price,
        "cost": None if price is None or measures is None else measures.replica_hours.value * price,
        "replicas_for": needed,
        "reason": reason,
        "sentence": _sentence(sizing, which, measures, fraction, needed, reason),
    }


def _no_size(sizing: Sizing) -> str | None:
    """Why the rule gives no deployment that could be simulated."""
    if sizing.target_rps == 0:
        return "there is no traffic"
    if sizing.request_time_s == 0:
        return "requests take no time"
    if sizing.target_rps * sizing.request_time_s > LARGEST_LOAD_ERLANGS:
        return f"the offered load is above {LARGEST_LOAD_ERLANGS:,} erlangs, which is not supported"
    if sizing.replicas > MOST_REPLICAS or sizing.slots > MOST_SLOTS:
        return f"it gives {replicas(sizing.replicas)}, more than are supported"
    return None


def _simulated(scenario: Scenario, count: int, bench: Bench) -> Measures:
    deployment = dataclasses.replace(
        scenario.deployment,
        autoscaler=Autoscaler.FIXED,
        min_replicas=count,
        max_replicas=count,
        initial_replicas=None,
    )
    changed = dataclasses.replace(scenario, deployment=deployment)
    results = bench.run(changed, bench.affordable(changed, 2), f"published rule: {replicas(count)}")
    return measure(changed, results)


def _sentence(
    sizing: Sizing,
    which: str,
    measures: Measures | None,
    fraction: float | None,
    needed: list[dict[str, Any]],
    reason: str | None,
) -> str:
    rate = {"busiest": " (the busiest rate)", "mean": " (the mean rate)", "only": ""}[which]
    rps, time_s, target = (float(x) for x in (sizing.target_rps, sizing.request_time_s, sizing.target_utilization))
    formula = f"{number(rps)} rps{rate} x {number(time_s)} s / {number(target)} / {sizing.max_concurrent}"
    inputs = f"The published rule, {formula},"
    if measures is None:
        return f"{inputs} gives no number of replicas: {reason}."
    exact = "" if fraction is None else f", {percent(fraction)} in steady state (exact)"
    return (
        f"{inputs} gives {replicas(sizing.replicas)}: {failures(measures)} in this scenario{exact}, "
        f"{measures.replica_hours.value:.3g} replica-hours{_needed(needed)}."
    )


def _needed(needed: list[dict[str, Any]]) -> str:
    known = [(n["max_fraction_503"], n["replicas"]) for n in needed if n["replicas"] is not None]
    if not known:
        return ""
    counts = ", ".join(f"{percent(bound)} needs {count:,}" for bound, count in known)
    return f"; at most {counts} replicas ({needed[0]['method']})"
