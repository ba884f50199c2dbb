"""Why nothing keeps the promise: which limit binds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from planner.draws import Stream
from planner.model import Autoscaler, Slo, VerdictWord
from planner.percent import percent
from planner.plan.confirmation import Confirmation, confirm
from planner.plan.search import Found
from planner.plan.settings import Setting
from planner.plan.tally import SLOW_SHARE
from planner.scenario import Scenario
from planner.service import Deterministic, FromTrace
from planner.sim.replications import Executor
from planner.workload import first_draws

SAMPLE = 100_000


class Limit(StrEnum):
    MAX_REPLICAS = "max_replicas"
    COLD_START = "cold_start"
    SERVICE_TIME = "service_time"


@dataclass(frozen=True, kw_only=True)
class Binding:
    """limit: None where none of the known ones binds alone."""

    limit: Limit | None
    reasons: tuple[str, ...]


def binding(found: Found, executor: Executor) -> Binding:
    """The first that holds: the service time alone, the most replicas, the cold starts."""
    if (reason := service_time_alone(found.scenario, found.slo)) is not None:
        return Binding(limit=Limit.SERVICE_TIME, reasons=(reason,))
    most = max(found.space.settings, key=lambda s: (s.min_replicas, s.max_replicas))
    static = dataclasses.replace(most, min_replicas=most.max_replicas)
    at_rest = _judged(found, static, found.scenario, executor)
    scaling = found.scenario.deployment.autoscaler is not Autoscaler.FIXED
    at_once = dataclasses.replace(found.scenario, cold_start=Deterministic(0.0))
    if at_rest.verdict.word is not VerdictWord.PASS:
        if found.scenario.deployment.initial_replicas is not None and scaling:
            warm = _judged(found, static, at_once, executor)
            if warm.verdict.word is VerdictWord.PASS:
                return _cold(found, static, warm)
        start = "" if found.scenario.deployment.initial_replicas is not None else " from the start"
        where = f"with all {static.max_replicas} replicas{start}"
        reasons = tuple(f"{where}: {reason}" for reason in at_rest.verdict.reasons)
        return Binding(limit=Limit.MAX_REPLICAS if found.space.is_limited or not scaling else None, reasons=reasons)
    least_bad = min(found.assessed.values(), key=lambda a: max(r.log_value for r in a.ratios)).setting
    warm = _judged(found, least_bad, at_once, executor)
    if warm.verdict.word is VerdictWord.PASS:
        return _cold(found, least_bad, warm)
    text = least_bad.text(found.scenario.deployment.autoscaler)
    reason = (
        f"{static.max_replicas} replicas from the start would keep it, but autoscale_min_replicas may not be so high"
    )
    return Binding(limit=None, reasons=(reason, f"{text}, even without cold starts: {warm.verdict.reasons[0]}"))


def _cold(found: Found, setting: Setting, warm: Confirmation) -> Binding:
    text, mean_s = setting.text(found.scenario.deployment.autoscaler), found.scenario.cold_start.mean_s
    reason = f"with {text} and no cold start (here {mean_s:g} s in the mean) it would be kept"
    return Binding(limit=Limit.COLD_START, reasons=(f"{reason}: {warm.verdict.reasons[0]}",))


def service_time_alone(scenario: Scenario, slo: Slo) -> str | None:
    """A sentence if more service times than the promise allows are above its latency, whatever waits before them."""
    bound_s = slo.p99_latency_s
    if bound_s is None or scenario.deployment.scoring_timeout_s <= bound_s:  # slower ones are no answers but 504s
        return None
    service = scenario.service_time
    if isinstance(service, FromTrace):
        times_s = service.times_s
    else:
        times_s = first_draws(service, scenario.seed, 0, Stream.SERVICE, SAMPLE)
    times_s = times_s + scenario.deployment.router_overhead_s
    times_s = times_s[times_s <= scenario.deployment.scoring_timeout_s]
    if not len(times_s):
        return None
    share = float(np.mean(times_s > bound_s))
    if share <= SLOW_SHARE * 1.1:
        return None
    return (
        f"the service time alone is above the promised p99 latency of {bound_s:g} s for {percent(share)} of the "
        "answers; no number of replicas changes that"
    )


def _judged(found: Found, setting: Setting, scenario: Scenario, executor: Executor) -> Confirmation:
    attempt = len(found.confirmations) + 1
    return confirm(scenario, found.slo, setting, executor, attempt=attempt, advance=lambda: None)
