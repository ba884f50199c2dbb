"""How `surgeproof simulate` looks in a terminal: rendered from its JSON document."""

from __future__ import annotations

from typing import Any

from planner.cli.output import console, print_table


def show(document: dict[str, Any]) -> None:
    scenario = document["scenario"]
    for warning in document["warnings"]:
        console.print(f"warning: {warning}", markup=False)
    print(f"{scenario['name']}: {scenario['shows']}")
    print(f"  {scenario['arrivals']}; service time {scenario['service_time']}; cold start {scenario['cold_start']}")
    settings = scenario["settings"]
    print(
        "  "
        + ", ".join(
            f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in settings.items()
        )
    )
    print_table(("", "estimate", "95 % interval", ""), _rows(document))
    if document["fraction_503"]["value"] > 0:
        print_table(("cause of 503s", "share", "95 % interval"), _cause_rows(document["causes_503"]))
    if document["slo"]:
        for reason in document["slo"]["reasons"]:
            print(f"  {reason}")
        print(
            {
                "pass": "The SLO is kept.",
                "fail": "The SLO is broken.",
                "undecided": "The SLO is undecided: its bound lies inside an interval.",
            }[document["slo"]["verdict"]]
        )
    print(
        f"{document['replications']} replications, {document['requests']:,} requests in {document['engine_seconds']:.2f} s "
        f"({document['requests_per_second'] / 1e6:.1f} million a second), seed {scenario['seed']}"
    )


def _rows(document: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    rows = [
        _row("requests that get 503", document["fraction_503"], _percent),
        _row("requests that get 504", document["fraction_504"], _percent),
        _row("runs within max_503", document["fraction_of_runs_within_slo"], _share),
        _row("latency p50", document["latency_p50_s"], _seconds),
        _row("latency p99", document["latency_p99_s"], _seconds),
        _row("mean ready replicas", document["mean_replicas"], "{:.2f}".format),
        _row("replica-hours", document["replica_hours"], "{:.3f}".format),
    ]
    alternative = document.get("fraction_503_stamps_at_start_of_second")
    if alternative:
        rows.insert(1, _row("  with all stamps at the start of their second", alternative, _percent))
    return [row for row in rows if row is not None]


def _row(name: str, estimate: dict[str, Any] | None, form: Any) -> tuple[str, str, str, str] | None:
    if estimate is None:
        return None
    value, low, high = (form(estimate[key]) for key in ("value", "low", "high"))
    if estimate["resolved"]:
        return name, value, f"{low} to {high}", ""
    return name, value, f"at most {high}", "not resolved: too few replications saw one"


def _cause_rows(causes: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (cause, _share(e["value"]), f"{_share(e['low'])} to {_share(e['high'])}")
        for cause, e in causes.items()
        if e is not None and e["value"] > 0
    ]


def _percent(fraction: float) -> str:
    return f"{fraction * 100:.3g} %"


def _share(fraction: float) -> str:
    return f"{fraction * 100:.1f} %"


def _seconds(value: float) -> str:
    return f"{value:.3f} s"
