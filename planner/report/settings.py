"""What the report says of the scenario: its settings under Azure's names, the published rule, and what is assumed."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from planner.assumptions import ASSUMPTIONS
from planner.azureml import SETTINGS
from planner.model import Api, Autoscaler, Deployment, Slo
from planner.promise import Failure, bounds_of, largest_503
from planner.replicas import Sizing
from planner.report.data import RunReport
from planner.report.numbers import bound, interval, percent, plain, rate, time
from planner.report.tables import Row
from planner.scenario import Scenario

BUSIEST_S = 10.0
"""Length of the busiest window that the published rule is asked about."""


class SettingRow(NamedTuple):
    """A setting under the name of the API in use, with the other API's name."""

    name: str
    other_name: str
    value: str
    meaning: str


def setting_rows(deployment: Deployment) -> list[SettingRow]:
    """Azure's settings in Azure's units, then those of the container."""
    fixed = deployment.autoscaler is Autoscaler.FIXED
    values = {
        "min_replicas": None if fixed else str(deployment.min_replicas),
        "max_replicas": None if fixed else str(deployment.max_replicas),
        "target_utilization_percent": None if fixed else f"{deployment.target_utilization_percent}\u00a0%",
        "refresh_period_s": None if fixed else f"{deployment.refresh_period_s:g}\u00a0s",
        "max_concurrent_requests": str(deployment.max_concurrent_requests),
        "max_request_wait_s": _milliseconds(deployment.max_request_wait_s),
        "scoring_timeout_s": _milliseconds(deployment.scoring_timeout_s),
        "num_replicas": str(deployment.min_replicas) if fixed else None,
    }
    other = Api.V1 if deployment.api is Api.V2 else Api.V2
    rows = [
        SettingRow(setting.name(deployment.api), setting.name(other), value, _MEANINGS[setting.field])
        for setting in SETTINGS
        if (value := values.get(setting.field)) is not None
    ]
    rows += [
        SettingRow("worker_count", "", str(deployment.worker_count), "Worker processes in a replica (WORKER_COUNT)."),
        SettingRow("router_overhead", "", _milliseconds(deployment.router_overhead_s), "Added to every service time."),
        SettingRow("initial_replicas", "", str(deployment.initial_count), "Replicas ready when the run starts."),
    ]
    return rows


_MEANINGS = {
    "min_replicas": "Replicas that are always there.",
    "max_replicas": "Replicas that there are at most.",
    "target_utilization_percent": "Share of busy slots at which the autoscaler aims; the rest is headroom.",
    "refresh_period_s": "Time between two looks of the autoscaler.",
    "max_concurrent_requests": "Requests that the router gives to one replica at a time (its slots).",
    "max_request_wait_s": "How long a request may wait for a slot before it gets 503.",
    "scoring_timeout_s": "How long an answer may take before the client gets 504.",
    "num_replicas": "Replicas, always: there is no autoscaler.",
}


class RuleRow(NamedTuple):
    """The published rule at one rate. fraction_503: with its replicas. needed: replicas that keep the bound."""

    what: str
    rate: str
    load: str
    replicas: str
    fraction_503: str
    needed: str


def rule_bound(scenario: Scenario) -> float:
    """The fraction of 503s that the rule's replicas are compared at."""
    return 0.001 if scenario.slo is None else largest_503(scenario.slo)


def rule_rows(report: RunReport) -> list[RuleRow]:
    """The published rule for the plan's mean rate and for its busiest 10 s; nothing where requests take no time."""
    scenario, scheduled = report.scenario, report.requests.scheduled_s
    request_s = scenario.service_time.mean_s + scenario.deployment.router_overhead_s
    if request_s <= 0 or not len(scheduled):
        return []
    window_s = min(BUSIEST_S, scenario.duration_s)
    within = np.searchsorted(scheduled, scheduled + window_s, side="left") - np.arange(len(scheduled))
    rows = []
    for what, rps in (
        ("mean of the whole run", len(scheduled) / scenario.duration_s),
        (f"busiest {window_s:g} s", int(within.max()) / window_s),
    ):
        sizing = _sizing(scenario, rps, request_s)
        rows.append(
            RuleRow(
                what,
                rate(rps),
                plain(sizing.offered_load_erlangs),
                str(sizing.replicas),
                percent(sizing.fraction_503),
                str(sizing.replicas_for(rule_bound(scenario))),
            )
        )
    return rows


def _sizing(scenario: Scenario, rps: float, request_s: float) -> Sizing:
    deployment = scenario.deployment
    return Sizing(
        target_rps=Fraction(rps).limit_denominator(10**6),
        request_time_s=Fraction(request_s).limit_denominator(10**6),
        target_utilization=Fraction(deployment.target_utilization_percent, 100),
        max_concurrent=deployment.max_concurrent_requests,
        max_request_wait_s=Fraction(deployment.max_request_wait_s).limit_denominator(10**6),
    )


def run_rows(report: RunReport) -> list[Row]:
    """The scenario of a run, with what its requests turned out to be."""
    scenario, measured = report.scenario, report.summary["observed"].get("service_time_mean_s")
    rows = scenario_rows(
        scenario,
        requests=f"{len(report.requests):,} requests in the plan of this run",
        work=f"{time(measured)} on average in this run" if measured else None,
    )
    if scenario.slo is not None:
        rows.append(Row("Promise (SLO)", "; ".join(promise_parts(scenario.slo))))
    return rows


def scenario_rows(scenario: Scenario, *, requests: str, work: str | None = None) -> list[Row]:
    """Traffic, service time and cold start in words. requests, work: what is known of the first two."""
    warm_up = f"the first {time(scenario.warm_up_s)} are left out of every statistic" if scenario.warm_up_s else ""
    return [
        Row("Length", time(scenario.duration_s), warm_up),
        Row("Traffic", scenario.arrivals.describe(), requests),
        Row(
            "Service time",
            scenario.service_time.describe(),
            "the work of one request in a replica" + (f"; {work}" if work else ""),
        ),
        Row("Cold start", scenario.cold_start.describe(), "from the creation of a replica until it is ready"),
    ]


def promise_parts(slo: Slo) -> list[str]:
    """What is promised, part by part."""
    bounds = [b for b in bounds_of(slo) if not b.is_implied]
    parts = [f"at most {bound(b.largest)} of the requests {_FAILED[b.failure]}" for b in bounds]
    if slo.ignores_504:
        parts.append("504s are not bounded")
    if slo.p99_latency_s is not None:
        parts.append(f"99\u00a0% of the 200 answers within {time(slo.p99_latency_s)}, a 504 counting as slower")
    if slo.min_fraction_of_runs is not None:
        kept = "each of these shares" if len(bounds) > 1 else f"the share {_OF_FAILED[bounds[0].failure]}"
        parts.append(f"at least {bound(slo.min_fraction_of_runs)} of single runs keep {kept}")
    return parts


_FAILED = {
    Failure.STATUS_503: "get 503",
    Failure.ANY: "fail (are not answered 200)",
    Failure.STATUS_504: "get 504",
}
_OF_FAILED = {Failure.STATUS_503: "of 503s", Failure.ANY: "of failed requests"}


def assumption_rows(scenario: Scenario) -> list[Row]:
    """Choices that no source documents and that can matter here, and what else the model could do."""
    return [
        Row(a.setting.rpartition(".")[2], str(a.value(scenario)).lower(), f"{a.unknown}; readings: {a.choices}")
        for a in ASSUMPTIONS
        if a.moot(scenario) is None
    ]


def used(deployment: Deployment) -> str:
    """The replicas of the run in words."""
    if deployment.autoscaler is Autoscaler.FIXED:
        return f"{deployment.min_replicas} replicas, fixed"
    ends = interval(str(deployment.min_replicas), str(deployment.max_replicas))
    return f"{ends} replicas at a target of {deployment.target_utilization_percent}\u00a0%"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.6g}\u00a0ms"
