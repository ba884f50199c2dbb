"""Counts of requests per bin (second, minute), as monitoring exports them: a row for each bin, missing bins hold 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from planner.errors import InputError
from planner.model import FloatArray
from planner.traces.columns import Columns, whole_count
from planner.traces.records import Counts

COUNT_COLUMN = "requests"


def read_counts(columns: Columns, time_name: str, parse: Callable[[Any], float], bin_s: float | None) -> Counts:
    """The counts of a file whose columns are read, without a clock. Stamps on no lattice of bins are refused."""
    stamps = columns.floats(time_name, parse)
    requests = columns.floats(COUNT_COLUMN, whole_count).astype(np.int64)
    if not requests.any():
        raise InputError(f"{columns.path}: no request in the trace")
    width_s = _smallest_distance(columns, stamps) if bin_s is None else bin_s
    since_s = stamps - stamps.min()
    number = np.rint(since_s / width_s)
    tolerance_s = 1e-6 + 4 * np.spacing(np.abs(stamps).max())
    if len(off := np.flatnonzero(np.abs(since_s - number * width_s) > tolerance_s)):
        after = f"comes {since_s[off[0]]:g} s after the first bin, not a whole number of bins of {width_s:g} s"
        hint = "" if bin_s else " (the smallest distance of two stamps): give their width, `bin`"
        raise columns.refused(int(off[0]), time_name, after + hint)
    order = np.argsort(number, kind="stable")
    if len(twice := np.flatnonzero(np.diff(number[order]) == 0)):
        raise columns.refused(int(order[twice[0] + 1]), time_name, f"is a second count for one bin of {width_s:g} s")
    return Counts(
        first_s=float(stamps.min()),
        start_s=number[order] * width_s,
        requests=requests[order],
        bin_s=width_s,
        is_derived=bin_s is None,
        utc_offset_s=None,
    )


def _smallest_distance(columns: Columns, stamps: FloatArray) -> float:
    distances = np.diff(np.sort(stamps))
    distances = np.round(distances[distances > 0], 6)
    if len(distances) == 0 or distances.min() == 0:
        raise InputError(f"{columns.path}: the stamps do not show how wide a bin is, give it as `bin`, for example 60s")
    return float(distances.min())
