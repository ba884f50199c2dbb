"""Rows of a table that are a time and a number: which of them count, in what order, and what is left out."""

from __future__ import annotations

import re

from planner.errors import InputError
from planner.traces.columns import Columns

_TOTAL = re.compile(
    r"(?:grand )?totals?|sum|average|avg|mean|min|max|minimum|maximum|count|summe|gesamt|gesamtergebnis"
)


def is_blank(value: object) -> bool:
    """A cell without a number: nothing, or how tools write that they know none."""
    return value is None or str(value).strip().casefold() in ("", "null", "none", "nan", "n/a", "-", "undefined")


def rows_are(n: int) -> str:
    """1 row is, 3 rows are"""
    return "1 row is" if n == 1 else f"{n:,} rows are"


def without_totals(columns: Columns, time_name: str) -> tuple[Columns, tuple[str, ...]]:
    """Without rows at the end that sum the others up, and a note about them."""
    times = columns.values[time_name]
    last = len(times)
    while last > 0 and _TOTAL.fullmatch(str(times[last - 1]).strip().rstrip(":").casefold()):
        last -= 1
    if last == len(times):
        return columns, ()
    words = ", ".join(str(time).strip() for time in times[last : last + 4])
    return columns.rows(range(last)), (f"{rows_are(len(times) - last)} no time at the end ({words}), left out",)


def without_blank_ends(columns: Columns, name: str, what: str) -> tuple[Columns, tuple[str, ...]]:
    """Without rows at both ends whose number is blank. InputError for one between others: unknown is not 0."""
    blank = [is_blank(value) for value in columns.values[name]]
    if not any(blank):
        return columns, ()
    if all(blank):
        raise InputError(f"{columns.path}: the column {name} is blank in every row")
    first, last = blank.index(False), len(blank) - blank[::-1].index(False)
    if True in blank[first:last]:
        i = blank.index(True, first)
        raise columns.refused(i, name, f"is not known, which is not 0: write 0 or {what}")
    left = rows_are(len(blank) - (last - first))
    return columns.rows(range(first, last)), (f"{left} blank in the column {name} at an end, left out",)
