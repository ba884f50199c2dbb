"""The report of a plan as one HTML page; everything it loads is in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.model import Deployment
from planner.report import settings
from planner.report.figures import plan_pictures
from planner.report.numbers import count, time
from planner.report.plan import robust, tables, words
from planner.report.templates import rendered
from planner.scenario import Scenario

TEMPLATE = "plan/page.html.j2"

_TONES = {"feasible": "pass", "infeasible": "fail", "undecided": "undecided"}


def render_plan(document: Mapping[str, Any], scenario: Scenario) -> str:
    """The whole page. document: that of `plan`; scenario: the one that was planned for."""
    content = (
        _head(document)
        | _comparisons(document)
        | _worlds(document)
        | _search(document)
        | _background(document, scenario)
    )
    return rendered(TEMPLATE, content).replace(" %", "\u00a0%")


def _head(document: words.Document) -> dict[str, Any]:
    scenario, entry = document["scenario"], document["recommended"]
    return {
        "name": scenario["name"],
        "shows": scenario["shows"],
        "facts": f"{time(scenario['duration_s'])} of traffic · {scenario['arrivals']}",
        "tone": _TONES[document["verdict"]],
        "answer": _ANSWERS[document["verdict"]],
        "meaning": _MEANINGS[document["verdict"], entry is not None],
        "recommended": None if entry is None else words.setting_text(document, entry),
        "reasons": [words.capital(reason) for reason in document["reasons"]]
        + _known(words.limit(document), words.file_limits(document), words.ending(document)),
        "is_assumed": document["slo"]["is_assumed"],
        "promise": [words.capital(part).rstrip(".") for part in words.promised(document)],
        "certainty": _known(words.certainty(document), words.freshness(document)),
        "warnings": [*document["warnings"], *_known(document["workers_lost"])],
        "key_figures": tables.key_figures(document),
        "price": words.price(document),
        "changed": [] if entry is None else words.changed_settings(document),
    }


_ANSWERS = {"feasible": "Yes", "infeasible": "No", "undecided": "Undecided"}

_MEANINGS = {
    ("feasible", True): "These are the cheapest settings found that keep it.",
    ("feasible", False): "It can, but no setting stands out.",
    ("infeasible", False): "No setting that was allowed keeps it.",
    ("infeasible", True): "No setting that was allowed keeps it; this one comes closest.",
    ("undecided", False): "The search ended before any setting was known to keep it.",
    ("undecided", True): "The search ended before it was sure; these are the best settings known.",
}


def _known(*sentences: str | None) -> list[str]:
    return [sentence for sentence in sentences if sentence is not None]


def _comparisons(document: words.Document) -> dict[str, Any]:
    return {
        "pictures": plan_pictures(document),
        "confidence": tables.confidence(document),
        "setting_columns": tables.setting_columns(document),
        "failure_columns": tables.failure_columns(document),
        "cost_columns": tables.cost_columns(document),
        "compared": tables.compared_rows(document),
        "rule_sentences": [words.capital(rule["sentence"]) for rule in words.rules(document)],
        "rule": tables.rule_table(document),
        "rule_needs": tables.rule_needs(document),
        "rule_rates": [words.capital(words.rule_rate(rule)).rstrip(".") for rule in words.rules(document)],
        "rule_methods": tables.rule_methods(document),
        "answers": words.survival(document),
        "remedies": tables.remedy_rows(document),
        "loss": words.loss(document),
    }


def _worlds(document: words.Document) -> dict[str, Any]:
    """What is said of uncertain inputs, if there are any."""
    if document["robust"] is None:
        return {"robust": None}
    return {
        "robust": {
            "sentences": robust.sentences(document),
            "input_columns": robust.INPUT_COLUMNS,
            "inputs": robust.input_rows(document),
            "candidate_columns": robust.CANDIDATE_COLUMNS,
            "candidates": robust.candidate_rows(document),
            "worlds": [
                (
                    row.world,
                    "yes" if row.kept else "no",
                    *tables.cells(row.fraction_503, row.fraction_failed, row.replica_hours),
                    row.best,
                )
                for row in robust.world_rows(document)
            ],
        }
    }


def _search(document: words.Document) -> dict[str, Any]:
    return {
        "search": tables.search_rows(document),
        "rejected": tables.rejected_rows(document),
        "rejected_summary": tables.rejected_summary(document),
        "n_rejected": count(len(document["rejected"])),
    }


def _background(document: words.Document, scenario: Scenario) -> dict[str, Any]:
    deployment = _deployment(document, scenario)
    requests = f"about {count(document['scenario']['expected_requests'])} requests expected"
    return {
        "scenario": settings.scenario_rows(scenario, requests=requests),
        "settings": settings.setting_rows(deployment),
        "api": str(deployment.api),
        "assumptions": settings.assumption_rows(scenario),
        "provenance": tables.provenance_rows(document),
    }


def _deployment(document: words.Document, scenario: Scenario) -> Deployment:
    """The recommended one; the scenario's own where nothing is recommended."""
    entry = document["recommended"]
    return scenario.deployment if entry is None else words.setting_of(entry).applied_to(scenario.deployment)
