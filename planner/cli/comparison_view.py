"""How comparisons with other scenarios look in a terminal: what-ifs, and the readings of assumptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from planner.cli.estimates import cells, difference_cells, interval_cell
from planner.cli.output import console, print_indented, print_table
from planner.percent import percent

_COLUMNS = ("95 % interval", "difference in points", "95 % interval", "")

_FAILURES = (
    ("requests that get 503", "fraction_503", "difference"),
    ("requests that get 504", "fraction_504", "difference_504"),
    ("requests that fail", "fraction_failed", "difference_failed"),
)
"""Heading, key of the fraction and of its difference. The last two are the first again where nothing gets 504."""


def show_what_ifs(document: dict[str, Any]) -> None:
    """The scenario as it is and with single values replaced: its failures, and the causes of the 503s."""
    what_ifs = document["what_if"]
    for what_if in what_ifs:
        for warning in what_if["warnings"]:
            console.print(f"warning: with {what_if['what_if']}: {warning}", markup=False, soft_wrap=True)
    _show_tables("what if", document, [(what_if["what_if"], what_if) for what_if in what_ifs])
    if not all(what_if["same_random_numbers"] for what_if in what_ifs):
        print_indented("Another seed means other random numbers: that difference is one of chance.")
    for what_if in what_ifs:
        if causes := _cause_rows(document["causes_503"], what_if["causes_503"]):
            print_table(("cause of 503s", "as it is", "95 % interval", what_if["what_if"], "95 % interval"), causes)


def _cause_rows(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, ...]]:
    """Of the causes that either has."""
    return [
        (cause, *_share(before[cause]), *_share(after[cause]))
        for cause in before
        if any(share is not None and share["value"] > 0 for share in (before[cause], after[cause]))
    ]


def show_assumptions(document: dict[str, Any]) -> None:
    """The failures under each reading of what no source documents, on the same random numbers."""
    _show_tables(
        "instead",
        document,
        [(_reading(row), row) for row in document["assumptions"] if row["cannot_matter"] is None],
    )
    for reason, names in _moot(document["assumptions"]).items():
        print_indented(f"{', '.join(names)}: cannot matter, {reason}")


def _moot(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """What cannot matter, by reason."""
    names: dict[str, list[str]] = {}
    for row in rows:
        if row["cannot_matter"] is not None:
            names.setdefault(row["cannot_matter"], []).append(_reading(row))
    return names


def _show_tables(title: str, document: dict[str, Any], others: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """The 503s of the scenario and of the others; where any has 504s also these, and all that fail."""
    has_504 = any(one["fraction_504"]["value"] > 0 for one in (document, *(other for _, other in others)))
    for heading, fraction, difference in _FAILURES if has_504 else _FAILURES[:1]:
        as_it_is = ("as it is", *cells(document[fraction], percent)[:2], "", "", "")
        rows = [
            (name, *cells(other[fraction], percent)[:2], *difference_cells(other[difference])) for name, other in others
        ]
        print_table((title, heading, *_COLUMNS), [as_it_is, *rows])


def _share(estimate: dict[str, Any] | None) -> tuple[str, str]:
    if estimate is None:
        return "", ""
    return percent(estimate["value"]), interval_cell(estimate, percent)


def _reading(row: dict[str, Any]) -> str:
    """An assumption's name and the other value, if there is one."""
    name = row["setting"].rpartition(".")[2]
    return name if row["value"] is None else f"{name} {str(row['value']).lower()}"
