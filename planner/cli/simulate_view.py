"""How `surgeproof simulate` looks in a terminal: rendered from its JSON document."""

from __future__ import annotations

from typing import Any

from planner.azureml import shown_name
from planner.cli.comparison_view import show_assumptions, show_what_ifs
from planner.cli.estimates import cells, interval_cell
from planner.cli.failure_rows import FAILED, latencies, runs_within
from planner.cli.output import console, print_indented, print_table
from planner.model import Api
from planner.percent import percent
from planner.report.numbers import plural

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
    if document.get("what_if"):
        show_what_ifs(document)
    if "assumptions" in document:
        show_assumptions(document)
    if document["same_in_every_run"]:
        print(document["same_in_every_run"])
    if "precision" in document:
        print(precision_sentence(document))
    if document["interrupted"]:
        print("Interrupted: this is what was done.")
    print(
        f"{plural(document['replications'], 'replication')}, {plural(document['requests'], 'request')} "
        f"in {document['engine_seconds']:.2f} s, seed {document['scenario']['seed']}"
    )


def show_slo(slo: dict[str, Any], *, is_refuted: bool = False) -> None:
    """Whether the promise is kept, part by part. is_refuted: a run has broken it in a way that was not simulated."""
    word = "The SLO is broken in the run." if is_refuted else _SLO_WORDS[slo["verdict"]]
    print(f"Is the promise kept? {word} In the simulated runs of the scenario:")
    for reason in slo["reasons"]:
        print_indented(reason)


def precision_sentence(document: dict[str, Any]) -> str:
    """Whether the asked precision was reached, and if not, why not."""
    precision, fraction = document["precision"], document["fraction_503"]
    target, half_width = precision["target"], precision["half_width"]
    if half_width is not None:
        reached = f"±{percent(half_width)} of the fraction"
    elif fraction["value"] > 0:
        reached = "not resolved, too few runs saw a 503"
    else:
        reached = f"no 503 at all, so the fraction is below {percent(fraction['high'])}"
    count = f"{document['replications']:,} replications"
    if precision["stopped_by"] == "precision":
        return f"Precision {percent(target)} reached after {count}: {reached}."
    limit = {
        "replications": ", the most that --replications allows",
        "default_limit": ", where it ends without --replications",
        "interrupt": "",
    }[precision["stopped_by"]]
    return f"Precision {percent(target)} not reached after {count}{limit}: {reached}."


def _show_scenario(scenario: dict[str, Any]) -> None:
    print(f"{scenario['name']}: {scenario['shows']}")
    print(f"  {scenario['arrivals']}; service time {scenario['service_time']}; cold start {scenario['cold_start']}")
    names = Api(scenario["settings"]["names"])
    settings = [(shown_name(key, names), v) for key, v in scenario["settings"].items() if key in _SHOWN]
    print("  " + ", ".join(f"{name} {v:g}" if isinstance(v, float) else f"{name} {v}" for name, v in settings))


def _rows(document: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    rows = [
        ("requests that get 503", "fraction_503", percent),
        ("  all stamps at the start of their second", "fraction_503_stamps_at_start_of_second", percent),
        *FAILED,
        runs_within(document["scenario"]["slo"]),
        *latencies(document, "p50", "p99"),
        ("mean ready replicas", "mean_replicas", "{:.2f}".format),
        ("replica-hours", "replica_hours", "{:.3f}".format),
    ]
    return [(name, *cells(document[key], form)) for name, key, form in rows if document.get(key) is not None]


def _cause_rows(causes: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (cause, percent(e["value"]), interval_cell(e, percent))
        for cause, e in causes.items()
        if e is not None and e["value"] > 0
    ]
