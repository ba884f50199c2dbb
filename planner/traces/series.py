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


def without_totals(columns: Columns, time_name: str) -> tuple[Columns, tuple[str, ...]]:
    """Without rows at the end that sum the others up, and a note about them."""
    times = columns.values[time_name]
    last = len(times)
    while last > 0 and _TOTAL.fullmatch(str(times[last - 1]).strip().rstrip(":").casefold()):
        last -= 1
    if last == len(times):
        return columns, ()
    words = ", ".join(str(time).strip() for time in times[last : last + 4])
    rows = "row is" if len(times) - last == 1 else f"{len(times) - last} rows are"
    return columns.rows(range(last)), (f"the last {rows} no time ({words}), left out",)


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
        raise columns.refused(i, name, f"is blank: {what} that is not known is not 0, so write 0 or the number")
    left = len(blank) - (last - first)
    rows = "1 row at an end is" if left == 1 else f"{left} rows at the ends are"
    return columns.rows(range(first, last)), (f"{rows} blank in the column {name}, left out",)
