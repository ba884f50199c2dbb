"""Why nothing keeps the promise: which limit binds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum

from planner.azureml import shown_name
from planner.model import MOST_REPLICAS, Autoscaler, Deployment, Slo, VerdictWord
from planner.percent import percent
from planner.plan.confirmation import MOST_RUNS, Confirmation, confirm
from planner.plan.questions.theory import MOST_SLOTS
from planner.plan.search import Found
from planner.plan.settings import Setting
from planner.plan.tally import SLOW_SHARE
from planner.promise import IGNORE, Failure, bounds_of, largest_503
from planner.scenario import Scenario
from planner.service import Deterministic
from planner.sim.replications import Executor
from planner.timeout import share_longer, share_timed_out

CLEARLY = 1.1
"""A share of slow service times counts as too large from so many times the bound on: a run has its own share."""

LARGEST_FACTOR = 64
"""Of the scenario's own maximum: what would do is looked for up to so many times as many replicas."""

TRIAL_RUNS = 200
"""Of each number of replicas that is tried there; what they leave undecided does not do."""


class Limit(StrEnum):
    MAX_REPLICAS = "max_replicas"
    COLD_START = "cold_start"
    SERVICE_TIME = "service_time"
    SCORING_TIMEOUT = "scoring_timeout"


@dataclass(frozen=True, kw_only=True)
class Binding:
    """limit: None where none of the known ones binds alone."""

    limit: Limit | None
    reasons: tuple[str, ...]


def binding(found: Found, executor: Executor) -> Binding:
    """The first that holds: the service time alone, the most replicas, the cold starts."""
    if (proved := service_time_alone(found.scenario, found.slo)) is not None:
        return proved
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
        if found.space.file_limit is not None:
            reasons = (_what_would_do(found, static, executor), *reasons)
        return Binding(limit=Limit.MAX_REPLICAS if found.space.is_limited or not scaling else None, reasons=reasons)
    least_bad = min(found.assessed.values(), key=lambda a: max(r.log_value for r in a.ratios)).setting
    warm = _judged(found, least_bad, at_once, executor)
    if warm.verdict.word is VerdictWord.PASS:
        return _cold(found, least_bad, warm)
    least = shown_name("autoscale_min_replicas", found.scenario.deployment.names)
    text = least_bad.text(found.scenario.deployment.autoscaler)
    reason = f"{static.max_replicas} replicas from the start would keep it, but {least} may not be so high"
    return Binding(limit=None, reasons=(reason, f"{text}, even without cold starts: {warm.verdict.reasons[0]}"))


def _what_would_do(found: Found, most: Setting, executor: Executor) -> str:
    """The lowest maximum above the scenario's own with which the promise would be kept: all of them from the start."""
    limit, kept = most.max_replicas, None
    largest = min(MOST_REPLICAS, MOST_SLOTS // max(most.max_concurrent, most.worker_count), limit * LARGEST_FACTOR)
    low, high = limit, min(2 * limit, largest)
    while high > low + (kept is not None):
        count = (low + high) // 2 if kept else high
        tried = dataclasses.replace(most, min_replicas=count, max_replicas=count)
        judged = _judged(found, tried, found.scenario, executor, most_runs=TRIAL_RUNS)
        if judged.verdict.word is VerdictWord.PASS:
            kept, high = judged, count
        elif kept:
            low = count
        else:
            low, high = count, min(2 * count, largest)
    name = shown_name("autoscale_max_replicas", found.scenario.deployment.names)
    said = f"the scenario's own maximum, {name} = {limit}, is a limit of the search"
    if kept is None:
        return f"{said}; even {high} replicas from the start would not do"
    return (
        f"{said}; a maximum of {high} would do ({high} replicas from the start: {kept.verdict.reasons[0]}): "
        f"--autoscale-max-replicas 1..{high} searches up to it"
    )


def _cold(found: Found, setting: Setting, warm: Confirmation) -> Binding:
    text, mean_s = setting.text(found.scenario.deployment.autoscaler), found.scenario.cold_start.mean_s
    reason = f"with {text} and no cold start (here {mean_s:g} s in the mean) it would be kept"
    return Binding(limit=Limit.COLD_START, reasons=(f"{reason}: {warm.verdict.reasons[0]}",))


def service_time_alone(scenario: Scenario, slo: Slo) -> Binding | None:
    """What is proved of every setting: too many service times are above the scoring timeout, or above the promised
    latency, whatever waits before them."""
    service, deployment = scenario.service_time, scenario.deployment
    if (reason := _timed_out(share_timed_out(service, deployment), deployment, slo)) is not None:
        return Binding(limit=Limit.SCORING_TIMEOUT, reasons=(reason,))
    if slo.p99_latency_s is None:
        return None
    share = share_longer(service, deployment, min(slo.p99_latency_s, deployment.scoring_timeout_s))
    if share <= SLOW_SHARE * CLEARLY:
        return None
    above = "the promised p99 latency"
    if deployment.scoring_timeout_s < slo.p99_latency_s:
        above = f"the scoring timeout of {deployment.scoring_timeout_s:g} s, so of 504s, which are slower than {above}"
    reason = (
        f"the service time alone is above {above} of {slo.p99_latency_s:g} s for {percent(share)} of the "
        "answers; no number of replicas changes that"
    )
    return Binding(limit=Limit.SERVICE_TIME, reasons=(reason,))


def _timed_out(share: float, deployment: Deployment, slo: Slo) -> str | None:
    """A sentence where more 504s than promised are certain. share: of the dispatched requests that time out."""
    dispatched = 1 - largest_503(slo)
    for bound in bounds_of(slo):
        is_of_all = bound.failure is Failure.ANY  # a request that is not dispatched counts too
        if bound.failure in (Failure.STATUS_503, Failure.NEITHER):
            continue
        if share * (1.0 if is_of_all else dispatched) > CLEARLY * bound.largest:
            promised = "failed requests" if is_of_all else "504s"
            allowed = f"the slo allows {percent(bound.largest)} of {promised}"
            if bound.is_implied:
                allowed = (
                    f"504s, which the slo does not bound, are held to its {percent(bound.largest)} for 503s ({IGNORE})"
                )
            return (
                f"{percent(share)} of the service times are above the scoring timeout of "
                f"{deployment.scoring_timeout_s:g} s and end as 504, and {allowed}; no number of replicas changes that"
            )
    return None


def _judged(
    found: Found, setting: Setting, scenario: Scenario, executor: Executor, most_runs: int = MOST_RUNS
) -> Confirmation:
    attempt = len(found.confirmations) + 1
    return confirm(scenario, found.slo, setting, executor, attempt=attempt, advance=lambda: None, most_runs=most_runs)
