"""How `surgeproof validate` looks in a terminal: rendered from its JSON document."""

from __future__ import annotations

from typing import Any

from planner.cli.output import console, print_indented, print_table
from planner.percent import percent

NAMES = {
    "fraction_503": "requests that got 503",
    "largest_distance_of_cumulative_503s": "503s over time, largest distance",
    "mean_distance_of_ready_replicas": "ready replicas, mean distance",
    "mean_service_time_s": "mean service time in seconds",
}


def show(document: dict[str, Any]) -> None:
    if document["statistics"]:
        rows = [
            (
                NAMES[s["name"]],
                _number(s, "value"),
                f"{_number(s, 'low')} to {_number(s, 'high')}",
                f"{s['p_value']:.3f}",
            )
            for s in document["statistics"]
        ]
        print_table(("", "observed", "prediction interval", "p"), rows)
        print_indented(
            "Distances are from the mean of the simulated runs; p is how often a correct model is further off."
        )
    generator, books = document["generator"], document["books"]
    answers_503 = document["observed"]["answers_503"]
    print(f"  {books['planned']} requests planned, {books['sent']} sent, {answers_503} answered 503")
    if causes := causes_said(document["observed"].get("causes_503") or {}):
        print_indented(f"causes of the 503s: {causes}")
    if generator["send_error_p99_s"] is not None:
        p50_ms, p99_ms = (generator[f"send_error_{q}_s"] * 1e3 for q in ("p50", "p99"))
        print(f"  send error p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms")
    _list("This run could not tell apart from the scenario:", document["cannot_tell_apart"])
    _list("What would explain it:", document["explanations"])
    for warning in document.get("warnings", []):
        console.print(f"Warning: {warning}", markup=False, soft_wrap=True)
    print(f"Verdict: {document['verdict']}")
    for reason in document["reasons"]:
        print_indented(reason)


def causes_said(causes: dict[str, int]) -> str:
    """Those that occurred, each with its count and share; they sum to all 503s."""
    total = sum(causes.values())
    return ", ".join(f"{name} {n} ({percent(n / total)})" for name, n in causes.items() if n)


def _number(statistic: dict[str, Any], key: str) -> str:
    value = statistic[key]
    return percent(value) if statistic["name"] == "fraction_503" else f"{value:.3g}"


def _list(title: str, changes: list[dict[str, Any]]) -> None:
    if changes:
        print(f"  {title}")
        for change in changes:
            print(f"    {change['setting']} {change['change']} (503s {percent(change['fraction_503'])})")
