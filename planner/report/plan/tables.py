"""The tables of a plan's report: rows of text, made of the document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from planner.report import numbers
from planner.report.numbers import count, percent, plain, plural, time
from planner.report.plan import words
from planner.report.plan.words import Document, Form
from planner.report.tables import Row

MOST_REJECTED = 300
"""Discarded settings that the page lists; of the others it says how many."""

_MEASURES: tuple[tuple[str, str, Form], ...] = (
    ("Requests that get 503", "fraction_503", percent),
    ("Requests that get 504", "fraction_504", percent),
    ("Requests that fail (not answered 200)", "fraction_failed", percent),
    ("Single runs that keep the promised share", "fraction_of_runs_within_slo", percent),
    ("Latency p99 of 200 answers", "latency_p99_s", time),
    ("Ready replicas, average over time", "mean_replicas", plain),
    ("Replica-hours", "replica_hours", plain),
    ("Cost per hour", "cost_per_hour", plain),
    ("Cost", "cost", plain),
)

VERDICTS = {"pass": "keeps the promise", "fail": "breaks the promise", "undecided": "undecided"}


def key_figures(document: Document) -> list[Row]:
    """The estimates of the recommended setting."""
    entry = document["recommended"]
    if entry is None:
        return []
    notes = {
        "replica_hours": f"in {words.length(document)}; ",
        "cost": f"for {words.length(document)}; ",
    }
    rows = []
    for name, key, form in _MEASURES:
        if entry.get(key) is not None:
            value, ends = numbers.estimate(entry[key], form)
            rows.append(Row(name, value, f"{notes.get(key, '')}{ends}"))
    return rows


def confidence(document: Document) -> str:
    """Of the intervals on the page."""
    entries = [*(row.entry for row in words.compared(document)), *document["frontier"]]
    return numbers.bound(entries[0]["fraction_503"]["confidence"] if entries else 0.95)


_KINDS = {"recommended": "Recommended", "neighbour": "One step away", "alternative": "Alternative"}


class ComparedRow(NamedTuple):
    """A setting beside the recommended one. costs: replica-hours, and money where it is priced."""

    kind: str
    cells: list[str]
    failures: list[tuple[str, str]]
    costs: list[tuple[str, str]]
    verdict: str
    tone: str
    reason: str


def compared_rows(document: Document) -> list[ComparedRow]:
    """The recommended setting, its neighbours and the alternatives."""
    sizes, failures = words.has_other_sizes(document), words.failures_shown(document)
    return [
        ComparedRow(
            _KINDS[row.kind] if document["recommended"] is not None else "Not taken",
            words.setting_cells(document, row.entry, with_sizes=sizes),
            [numbers.estimate(row.entry[key], percent) for key, _ in failures],
            [numbers.estimate(row.entry[key], plain) for key in _cost_keys(document)],
            VERDICTS[row.entry["verdict"]],
            row.entry["verdict"],
            words.note(document, row),
        )
        for row in words.compared(document)
    ]


def setting_columns(document: Document) -> list[str]:
    return words.setting_columns(document, with_sizes=words.has_other_sizes(document))


def failure_columns(document: Document) -> list[str]:
    return [name for _, name in words.failures_shown(document)]


def cost_columns(document: Document) -> list[str]:
    return [{"replica_hours": "Replica-hours", "cost_per_hour": "Cost per hour"}[key] for key in _cost_keys(document)]


def _cost_keys(document: Document) -> list[str]:
    entries = [row.entry for row in words.compared(document)]
    priced = bool(entries) and all(entry["cost_per_hour"] is not None for entry in entries)
    return ["replica_hours", *(["cost_per_hour"] if priced else [])]


class RuleTable(NamedTuple):
    """The published rule beside the plan. columns: heads; rows: name and one cell (value, interval) for each head."""

    columns: list[str]
    rows: list[tuple[str, list[tuple[str, str]]]]
    methods: list[str]


def rule_table(document: Document) -> RuleTable | None:
    rules, entry = words.rules(document), document["recommended"]
    if not rules:
        return None
    columns = [f"Published rule, {words.rule_rate(rule)}" for rule in rules]
    measures = _rule_measures(document)
    rows = [("Replicas", [_cell(rule["replicas"], str) for rule in rules])]
    rows += [(name, [_cell(rule.get(key), form) for rule in rules]) for name, key, form in measures]
    if entry is not None:
        columns.append("This plan")
        own = [(words.replicas_text(entry), ""), *(_cell(entry.get(key), form) for _, key, form in measures)]
        rows = [(name, [*cells, mine]) for (name, cells), mine in zip(rows, own, strict=True)]
    methods = []
    if method := rules[0]["method"]:
        methods.append(f"503s of the rule: {method}.")
    if method := rules[0].get("steady_state_method"):
        methods.append(f"503s in steady state: {method}.")
    return RuleTable(columns, [row for row in rows if any(value for value, _ in row[1])], methods)


def _rule_measures(document: Document) -> list[tuple[str, str, Form]]:
    """504s and failed requests only where there are any."""
    keys = [key for key, _ in words.failures_shown(document)]
    return [row for row in _RULE_MEASURES if row[1] not in words.FAILURES or row[1] in keys]


_RULE_MEASURES: tuple[tuple[str, str, Form], ...] = (
    ("Requests that get 503", "fraction_503", percent),
    ("The same in steady state", "fraction_503_steady_state", percent),
    ("Requests that get 504", "fraction_504", percent),
    ("Requests that fail (not answered 200)", "fraction_failed", percent),
    ("Replica-hours", "replica_hours", plain),
    ("Cost per hour", "cost_per_hour", plain),
)


def _cell(value: Any, form: Form) -> tuple[str, str]:
    """Value and interval; an exact number has none, an unknown one neither."""
    if value is None:
        return "", ""
    return numbers.estimate(value, form) if isinstance(value, Mapping) else (form(value), "")


def cells(fraction_503: Any, fraction_failed: Any, replica_hours: Any) -> tuple[tuple[str, str], ...]:
    """The three estimates of a world, each with its interval."""
    return _cell(fraction_503, percent), _cell(fraction_failed, percent), _cell(replica_hours, plain)


def rule_needs(document: Document) -> list[tuple[str, ...]]:
    """Bound and replicas at each of the rule's rates; unknown ones stay empty."""
    rules = words.rules(document)
    found: dict[float, list[str]] = {}
    for i, rule in enumerate(rules):
        for row in rule["replicas_for"]:
            cells = found.setdefault(row["max_fraction_503"], [""] * len(rules))
            cells[i] = "unknown" if row["replicas"] is None else count(row["replicas"])
    return [(f"at most {numbers.bound(fraction)}", *cells) for fraction, cells in found.items()]


def rule_methods(document: Document) -> list[str]:
    """How the replicas needed are known, or why they are not."""
    rows = [row for rule in words.rules(document) for row in rule["replicas_for"]]
    said = [row["method"] if row["replicas"] is not None else row.get("reason") for row in rows]
    return [words.capital(text) for text in dict.fromkeys(said) if text]


def rejected_summary(document: Document) -> list[tuple[str, str, str, str]]:
    """By what, how many, how sure that is, and one of them."""
    return [
        (words.capital(g.by.name).rstrip("."), count(g.size), g.by.meaning, f"{g.example}: {g.reason}")
        for g in words.rejected_groups(document)
    ]


def rejected_rows(document: Document) -> list[tuple[str, str, str]]:
    """Setting, by what, reason: at most MOST_REJECTED, of every group its share."""
    rejected = document["rejected"]
    step = max(1.0, len(rejected) / MOST_REJECTED)
    chosen = [rejected[int(i * step)] for i in range(min(len(rejected), MOST_REJECTED))]
    return [
        (words.setting_text(document, entry), words.rejecter(entry["by"]).name, entry["reason"]) for entry in chosen
    ]


class RemedyRow(NamedTuple):
    """What one documented remedy does."""

    name: str
    step: str
    fraction_503: tuple[str, str]
    hours: tuple[str, str]
    verdict: str
    tone: str
    sentence: str


def remedy_rows(document: Document) -> list[RemedyRow]:
    remedies = (document["questions"] or {}).get("remedies") or []
    return [
        RemedyRow(
            remedy["setting"],
            f"{remedy['from']} → {remedy['to']}" if remedy["to"] is not None else f"{remedy['from']}, stays",
            _cell(remedy["fraction_503"], percent),
            _cell(remedy["replica_hours"], plain),
            VERDICTS.get(remedy["verdict"], ""),
            remedy["verdict"] or "none",
            words.capital(remedy["sentence"]),
        )
        for remedy in remedies
    ]


def search_rows(document: Document) -> list[Row]:
    """How the plan was found."""
    search = document["search"]
    everything = words.times_exhaustive(document)
    rows = [
        Row("Settings searched", count(search["settings"])),
        Row("Settings simulated", count(search["simulated"]), plural(search["replications"], "replication")),
        Row("Requests simulated", count(search["requests"])),
        Row("Ended", _ENDS.get(search["stopped_by"], search["stopped_by"]), time(search["seconds"])),
    ]
    if everything is not None:
        rows[2] = rows[2]._replace(note=f"simulating every setting as closely would take {everything} times as many")
    if search["fresh_replications"]:
        fresh = plural(search["fresh_replications"], "replication")
        rows.append(Row("Checked afresh", fresh, "on random numbers that had no part in the choice"))
    return rows


_ENDS = {
    "decided": "decided",
    "budget": "by the budget, before it was decided",
    "interrupt": "interrupted",
    "empty": "nothing had to be simulated",
}


def provenance_rows(document: Document) -> list[Row]:
    made = document["provenance"]
    packages = ", ".join(f"{name} {version}" for name, version in made["packages"].items() if version)
    return [
        Row("Surgeproof", made["surgeproof"]),
        Row("Seed", str(made["seed"]), "the same seed gives the same plan"),
        Row("Python", f"{made['python']} on {made['platform']}"),
        Row("Packages", packages),
    ]
