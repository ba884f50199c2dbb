"""How `surgeproof validate` looks in a terminal: rendered from its JSON document."""

from __future__ import annotations

from typing import Any

from planner.azureml import shown_name
from planner.cli.output import console, print_indented, print_table
from planner.model import Api
from planner.percent import percent

NAMES = {
    "fraction_503": "requests that got 503",
    "fraction_504": "requests that got 504",
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
    _show_uncertain(document)
    generator, books = document["generator"], document["books"]
    seen = document["observed"]
    other = f", {seen['answers_504']} answered 504" if seen["answers_504"] else ""
    other += f", {seen['failed_in_other_ways']} failed in other ways" if seen["failed_in_other_ways"] else ""
    print(f"  {books['planned']} requests planned, {books['sent']} sent, {seen['answers_503']} answered 503{other}")
    _show_failed(document)
    if causes := causes_said(document["observed"].get("causes_503") or {}):
        print_indented(f"causes of the 503s: {causes}")
    if generator["send_error_p99_s"] is not None:
        p50_ms, p99_ms = (generator[f"send_error_{q}_s"] * 1e3 for q in ("p50", "p99"))
        print(f"  send error p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms")
    names = Api((document.get("scenario") or {}).get("settings", {}).get("names", Api.V1))
    _list("This run could not tell apart from the scenario:", document["cannot_tell_apart"], names)
    _list("What would explain it:", document["explanations"], names)
    for warning in document.get("warnings", []):
        console.print(f"Warning: {warning}", markup=False, soft_wrap=True)
    print(f"Does the prediction hold? Verdict: {document['verdict']}")
    for reason in document["reasons"]:
        print_indented(reason)
    show_promise(document["promise"])


def _show_failed(document: dict[str, Any]) -> None:
    """All failed requests, observed and predicted, where some failed otherwise than by 503."""
    seen, predicted = document["observed"]["fraction_failed"], document["predicted"]["fraction_failed"]
    if not seen or seen == document["observed"]["fraction_503"]:
        return
    said = f"failed in all (not answered 200): {percent(seen)}"
    if predicted is not None:
        low, high = percent(predicted["prediction_low"]), percent(predicted["prediction_high"])
        said += f", predicted {percent(predicted['value'])}, in single runs {low} to {high}"
    print_indented(said)


def show_promise(promise: dict[str, Any] | None) -> None:
    """The promise in this run, where failures that no simulation predicts break it."""
    if promise is None or not promise["broken_by_failures_that_are_not_predicted"]:
        return
    print("Is the promise kept? The SLO is broken in this run, by failures that the simulation does not predict:")
    for reason in promise["reasons"]:
        print_indented(reason)


def _show_uncertain(document: dict[str, Any]) -> None:
    """What widened the prediction interval, with its numbers."""
    for setting in document.get("uncertain", []):
        said = f"{setting['setting']} {1e3 * setting['value']:.3g} ms"
        if setting["low"] is not None:
            said += f", 95 % interval {1e3 * setting['low']:.3g} to {1e3 * setting['high']:.3g} ms"
        print_indented(f"{said}. {setting['why']}")
    if exact := document["predicted"].get("fraction_503_if_exact"):
        low, high = percent(exact["prediction_low"]), percent(exact["prediction_high"])
        print_indented(f"With these exact, the prediction interval of the 503s would be {low} to {high}.")


def causes_said(causes: dict[str, int]) -> str:
    """Those that occurred, each with its count and share; they sum to all 503s."""
    total = sum(causes.values())
    return ", ".join(f"{name} {n} ({percent(n / total)})" for name, n in causes.items() if n)


def _number(statistic: dict[str, Any], key: str) -> str:
    value = statistic[key]
    return percent(value) if statistic["name"].startswith("fraction_") else f"{value:.3g}"


def _list(title: str, changes: list[dict[str, Any]], names: Api) -> None:
    """names: whose names the scenario uses."""
    if changes:
        print(f"  {title}")
        for change in changes:
            said = f"{shown_name(change['setting'], names)} {change['change']}"
            print(f"    {said} (503s {percent(change['fraction_503'])})")
