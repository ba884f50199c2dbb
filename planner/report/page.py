"""The report as one HTML page: no script, no style, font or image from elsewhere; everything from a user is escaped."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from planner.report import cluster, settings, tables, vocabulary
from planner.report.data import RunReport
from planner.report.figures import pictures
from planner.report.findings import findings, promise
from planner.report.numbers import bound, count, percent, time
from planner.report.templates import rendered

TEMPLATE = "page.html.j2"


def render(report: RunReport) -> str:
    """The whole page."""
    return rendered(TEMPLATE, _content(report))


def _content(report: RunReport) -> dict[str, Any]:
    return _head(report) | _results(report) | _background(report)


def _head(report: RunReport) -> dict[str, Any]:
    answer, meaning = vocabulary.VERDICTS[report.verdict]
    return {
        "name": report.scenario.name,
        "shows": report.scenario.shows,
        "facts": _facts(report),
        "verdict": {"tone": str(report.verdict), "answer": answer, "meaning": meaning},
        "reasons": report.validation["reasons"],
        "promise": promise(report),
        "warnings": report.warnings,
        "judged_differently": tables.judged_differently(report),
        "key_figures": tables.key_figures(report),
        "findings": [sentence[0].upper() + sentence[1:] for sentence in findings(report)],
    }


def _facts(report: RunReport) -> str:
    summary = report.summary
    started = summary.get("started_at")
    parts = [
        f"{datetime.fromisoformat(started):%-d %B %Y, %H:%M} UTC" if started else "never started",
        f"{time(report.scenario.duration_s)} of traffic",
        f"{count(report.validation['books']['sent'])} requests sent to {summary.get('url', 'an unknown endpoint')}",
    ]
    return " · ".join(parts)


def _results(report: RunReport) -> dict[str, Any]:
    sent, not_sent = tables.book_rows(report, sent=True), tables.book_rows(report, sent=False)
    confidence = report.validation["predicted"].get("prediction_confidence")
    return {
        "pictures": pictures(report),
        "statistics": tables.statistics_rows(report),
        "confidence": None if confidence is None else percent(confidence),
        "service_times": report.validation["observed"].get("service_times"),
        "replicas_unseen": None if report.replicas is not None else _why_no_replicas(report),
        "changes": tables.changes(report),
        "causes": tables.cause_rows(report),
        "latency": tables.latency_rows(report),
        "generator": tables.generator_rows(report),
        "problems": report.validation["generator"]["problems"],
        "books": {"sent": sent, "not_sent": not_sent, "balanced": report.validation["books"]["balanced"]}
        | {name: count(report.validation["books"][name]) for name in ("planned",)}
        | {"n_sent": count(report.validation["books"]["sent"])},
        "flagged_503": report.summary["observed"].get("flagged_503") or 0,
        "simulation": tables.simulation_rows(report),
        "cluster": cluster.content(report),
    }


def _why_no_replicas(report: RunReport) -> str:
    return str((report.summary.get("replicas") or {}).get("why") or "this run has no log of replicas")


def _background(report: RunReport) -> dict[str, Any]:
    deployment = report.scenario.deployment
    return {
        "scenario": settings.run_rows(report),
        "settings": settings.setting_rows(deployment),
        "api": str(deployment.api),
        "rule": settings.rule_rows(report),
        "rule_bound": bound(settings.rule_bound(report.scenario)),
        "rule_target": bound(deployment.target_utilization_percent / 100),
        "used": settings.used(deployment),
        "assumptions": settings.assumption_rows(report.scenario),
        "is_lab": report.is_lab,
        "provenance": tables.provenance_rows(report),
    }
