"""Whether the rows of a table that names no column of ours are single requests, or bins of time with a number each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from planner.errors import InputError
from planner.model import FloatArray
from planner.traces.columns import Columns
from planner.traces.series import is_blank
from planner.traces.tables.names import quantity, shown
from planner.traces.tables.number_forms import number_reader

OF_ONE_REQUEST = {
    *("status", "status_code", "statuscode", "code", "resultcode", "responsecode", "response_code"),
    *("id", "request_id", "requestid", "trace_id", "pid", "port", "line"),
}
"""Plain names of columns whose numbers say something of one request: no sum of many."""


def refuse_bins(columns: Columns, doubted: Sequence[str], stamp_s: FloatArray) -> tuple[str, ...]:
    """Refuses rows at the stamps of bins that hold a number; a note where rows with one are played as requests.

    doubted: names of columns that say nothing known; stamp_s: of each row, shape (n,).
    """
    numbers = [name for name in doubted if _holds_numbers(columns.values[name])]
    if not numbers:
        return ()
    one = shown(numbers[:1], 40)
    if (where := _steps(stamp_s)) is not None:
        raise InputError(
            f"{columns.path}: holds the numbers {one} {where}, and may be bins of time: rename {one} to `requests` "
            "(counts) or `requests/s` (rates), or leave it out where each row is one request"
        )
    if _distances(stamp_s)[1] and _whole(stamp_s - stamp_s.min()):
        return (f"each row is played as one request, though it holds the number {one}",)
    return ()


def _distances(stamp_s: FloatArray) -> tuple[FloatArray, bool]:
    """The distances of different stamps in s, and whether some stamp is there twice."""
    distances = np.round(np.diff(np.sort(stamp_s)), 6)
    return distances[distances > 0], bool((distances == 0).any())


def _steps(stamp_s: FloatArray) -> str | None:
    """How the stamps lie where they are those of bins; None where they are those of requests.

    Bins that hold nothing may be left out, so every distance is a multiple of the smallest. Requests in whole seconds
    lie so too: they are told by two in one second.
    """
    if len(stamp_s) == 1:
        return "in one row"
    distances, are_twice = _distances(stamp_s)
    if len(distances) == 0:
        return None
    step_s = float(distances.min())
    is_even = len(distances) > 1 and not are_twice and float(np.ptp(distances)) <= 1e-6
    are_multiples = bool(np.all(np.abs(distances - np.rint(distances / step_s) * step_s) < 1e-5))
    if is_even or (are_multiples and _whole(distances) and (step_s > 1 or not are_twice)):
        return f"at multiples of {step_s:g} s"
    return None


def _whole(seconds: FloatArray) -> bool:
    return bool(np.all(np.abs(seconds - np.rint(seconds)) < 1e-5))


def _holds_numbers(cells: Sequence[Any]) -> bool:
    """Every cell that is not blank is a number, whatever scale or unit stands behind it."""
    known = [cell for cell in cells if not is_blank(cell)]
    if not known or any(isinstance(cell, bool) for cell in known):
        return False
    try:
        texts = [quantity(cell).number if isinstance(cell, str) else cell for cell in known]
        read = number_reader(texts, whole=True)
        for text in texts:
            read(text)
    except ValueError as bound:
        return str(bound).startswith("may be")
    return True
