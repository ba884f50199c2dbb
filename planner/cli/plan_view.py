"""How `surgeproof plan` looks in a terminal: rendered from its JSON document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from planner.cli import plan_charts
from planner.cli.estimates import cells
from planner.cli.failure_rows import FAILED, Row, latencies, runs_within
from planner.cli.output import console, print_table
from planner.cli.plan_text import columns, in_one_cell, plain, say
from planner.percent import percent
from planner.report.plan import robust, words


def show(document: dict[str, Any]) -> None:
    for warning in document["warnings"]:
        console.print(f"warning: {warning}", markup=False, soft_wrap=True)
    _show_verdict(document)
    _show_compared(document)
    plan_charts.show_frontier(document)
    plan_charts.show_map(document)
    _show_rules(document)
    _show_answers(document)
    _show_robust(document)
    _show_search(document)


def _show_verdict(document: dict[str, Any]) -> None:
    """The verdict, what is recommended, and how sure that is."""
    say(f"{document['scenario']['name']}: {words.headline(document)}")
    say(words.promise(document), indent=2)
    if (end := words.ending(document)) is not None:
        say(end, indent=2)
    entry = document["recommended"]
    if entry is not None:
        print_table(("setting", "scenario", "plan"), words.changed_settings(document))
        print_table(("", "estimate", "95 % interval", ""), _estimate_rows(document, entry))
    known = (
        words.limit(document),
        words.file_limits(document),
        words.certainty(document),
        words.freshness(document),
        words.price(document),
    )
    for sentence in (*document["reasons"], *known):
        if sentence is not None:
            say(words.capital(sentence), indent=2)


def _estimate_rows(document: dict[str, Any], entry: dict[str, Any]) -> list[tuple[str, ...]]:
    length = words.length(document).replace("\u00a0", " ")
    rows: tuple[Row, ...] = (
        ("requests that get 503", "fraction_503", percent),
        *FAILED,
        runs_within(document["slo"]),
        *latencies(entry, "p99"),
        ("mean ready replicas", "mean_replicas", plain),
        (f"replica-hours in {length}", "replica_hours", plain),
        (f"cost of {length}", "cost", plain),
        ("cost per hour", "cost_per_hour", plain),
    )
    return [(name, *cells(entry[key], form)) for name, key, form in rows if entry.get(key) is not None]


def _show_compared(document: dict[str, Any]) -> None:
    """The recommended setting, its neighbours and the alternatives, each with its reason."""
    rows = words.compared(document)
    if not rows:
        return
    sizes = words.has_other_sizes(document)
    names = words.setting_columns(document, with_sizes=sizes)
    failures = words.failures_shown(document)
    lines = [
        (
            _MARKS[row.kind],
            *words.setting_cells(document, row.entry, with_sizes=sizes),
            *(in_one_cell(row.entry[key], percent) for key, _ in failures),
            in_one_cell(row.entry["replica_hours"], plain),
        )
        for row in rows
    ]
    print()
    say(_kinds(rows) if document["recommended"] is not None else "The nearest misses:")
    columns(
        ("", *names, *(f"{name} (95 % interval)" for _, name in failures), "replica-hours (95 %)"),
        lines,
        notes=[words.note(document, row) for row in rows],
        n_right=1 + len(names),
    )


def _kinds(rows: list[words.Compared]) -> str:
    """What the marks mean that there are."""
    shown = {row.kind for row in rows}
    return ", ".join(text for kind, text in _KINDS.items() if kind in shown) + ":"


_MARKS = {"recommended": ">", "neighbour": "~", "alternative": "+"}
_KINDS = {"recommended": "Recommended (>)", "neighbour": "one step from it (~)", "alternative": "alternatives (+)"}


def _show_rules(document: dict[str, Any]) -> None:
    """The published rule for the same traffic, beside the plan."""
    rules, entry = words.rules(document), document["recommended"]
    if not rules:
        return
    print()
    say(words.capital(rules[0]["sentence"]))
    heads = [f"rule, {words.rule_rate(rule)}" for rule in rules] + (["this plan"] if entry is not None else [])
    rows = [("replicas", *(words.either(rule["replicas"], str) for rule in rules))]
    measures = [*((name, key, percent) for key, name in words.failures_shown(document)), *_COSTS]
    rows += [
        (name, *(words.either(rule.get(key), form, in_one_cell) for rule in rules)) for name, key, form in measures
    ]
    if entry is not None:
        own = (words.either(entry.get(key), form, in_one_cell) for _, key, form in measures)
        chosen = [words.replicas_text(entry), *own]
        rows = [(*row, cell) for row, cell in zip(rows, chosen, strict=True)]
    if len(heads) > 2:  # intervals below their values, or 80 columns would not hold them
        rows = [tuple(cell.replace(" (", "\n(") for cell in row) for row in rows]
    print_table(("", *heads), [row for row in rows if any(row[1:])])
    if rules[0]["method"]:
        say(f"503s of the rule: {rules[0]['method']}.", indent=2)


_COSTS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("replica-hours", "replica_hours", plain),
    ("cost per hour", "cost_per_hour", plain),
)


def _show_answers(document: dict[str, Any]) -> None:
    """The what-if questions."""
    answers = words.answers(document)
    if answers:
        print()
        print("What if:")
        for sentence in answers:
            say(sentence, indent=2)


def _show_robust(document: dict[str, Any]) -> None:
    """What uncertain inputs do to the plan."""
    if document["robust"] is None:
        return
    print()
    print("Uncertain inputs:")
    for sentence in robust.sentences(document):
        say(sentence, indent=2)
    print_table(robust.INPUT_COLUMNS, [_cut(row) for row in robust.input_rows(document)])
    rows = robust.candidate_rows(document)
    columns(
        ("", *robust.CANDIDATE_COLUMNS),
        [(">" if row.is_recommended else "", *row.cells) for row in rows],
        notes=[row.reason for row in rows],
        n_right=1,
    )


def _cut(row: tuple[str, ...]) -> tuple[str, ...]:
    """An input's cells in two lines: value, and what it takes."""
    return tuple(cell.replace(": ", ":\n") for cell in row)


def _show_search(document: dict[str, Any]) -> None:
    """What was searched, and what discarded the rest."""
    print()
    say(words.effort(document))
    for group in words.rejected_groups(document):
        meaning = f" ({group.by.meaning})" if group.by.meaning else ""
        say(
            f"{group.size:,} discarded by {group.by.name}{meaning}, for example {group.example}: {group.reason}",
            indent=2,
        )
    say(f"seed {document['scenario']['seed']}", indent=2)
