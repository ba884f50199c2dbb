"""How `surgeproof simulate` looks in a terminal: rendered from its JSON document."""

from __future__ import annotations

from typing import Any

from planner.cli.output import console, print_indented, print_table
from planner.percent import percent

_SLO_WORDS = {
    "pass": "The SLO is kept.",
    "fail": "The SLO is broken.",
    "undecided": "The SLO is undecided: its bound lies inside an interval. More --replications narrow it.",
}

_SHOWN = (
    "api",
    "autoscaler",
    "autoscale_min_replicas",
    "autoscale_max_replicas",
    "autoscale_target_utilization",
    "autoscale_refresh_seconds",
    "replica_max_concurrent_requests",
    "max_request_wait_time_ms",
    "scoring_timeout_ms",
    "initial_replicas",
)


def show(document: dict[str, Any]) -> None:
    for warning in document["warnings"]:
        console.print(f"warning: {warning}", markup=False, soft_wrap=True)
    _show_scenario(document["scenario"])
    print_table(("", "estimate", "95 % interval", ""), _rows(document))
    if document["fraction_503"]["value"] > 0:
        print_table(("cause of 503s", "share", "95 % interval"), _cause_rows(document["causes_503"]))
    if document["slo"]:
        show_slo(document["slo"])
    if document["interrupted"]:
        print("Interrupted: these are the replications that were done.")
    print(
        f"{document['replications']} replications, {document['requests']:,} requests "
        f"in {document['engine_seconds']:.2f} s, seed {document['scenario']['seed']}"
    )


def show_slo(slo: dict[str, Any]) -> None:
    """Whether the promise is kept, part by part."""
    print(f"{_SLO_WORDS[slo['verdict']]} In the simulated runs of the scenario:")
    for reason in slo["reasons"]:
        print_indented(reason)


def _show_scenario(scenario: dict[str, Any]) -> None:
    print(f"{scenario['name']}: {scenario['shows']}")
    print(f"  {scenario['arrivals']}; service time {scenario['service_time']}; cold start {scenario['cold_start']}")
    settings = [(name, v) for name, v in scenario["settings"].items() if name in _SHOWN]
    print("  " + ", ".join(f"{name} {v:g}" if isinstance(v, float) else f"{name} {v}" for name, v in settings))


def _rows(document: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    rows = [
        ("requests that get 503", "fraction_503", percent),
        ("  all stamps at the start of their second", "fraction_503_stamps_at_start_of_second", percent),
        ("requests that get 504", "fraction_504", percent),
        ("runs within max_503", "fraction_of_runs_within_slo", percent),
        ("latency p50", "latency_p50_s", _seconds),
        ("latency p99", "latency_p99_s", _seconds),
        ("mean ready replicas", "mean_replicas", "{:.2f}".format),
        ("replica-hours", "replica_hours", "{:.3f}".format),
    ]
    return [_row(name, document[key], form) for name, key, form in rows if document.get(key) is not None]


def _row(name: str, estimate: dict[str, Any], form: Any) -> tuple[str, str, str, str]:
    value, low, high = (form(estimate[key]) for key in ("value", "low", "high"))
    if estimate["resolved"]:
        return name, value, f"{low} to {high}", ""
    if estimate["value"] == 0:
        return name, "0", "", f"none in {estimate['replications']} runs"
    return name, value, f"at most {high}", "not resolved: too few runs saw one"


def _cause_rows(causes: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (cause, percent(e["value"]), f"{percent(e['low'])} to {percent(e['high'])}")
        for cause, e in causes.items()
        if e is not None and e["value"] > 0
    ]


def _seconds(value: float) -> str:
    return f"{value:.3f} s"
