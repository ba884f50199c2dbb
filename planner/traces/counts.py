"""Counts of requests per bin (second, minute), as monitoring exports them: a row for each bin, missing bins hold 0."""

from __future__ import annotations

import numpy as np

from planner.errors import InputError
from planner.model import FloatArray
from planner.traces.columns import Columns, whole_count
from planner.traces.records import Counts


def read_counts(
    columns: Columns,
    time_name: str,
    count_name: str,
    *,
    stamp_s: FloatArray,
    utc_offset_s: float | None,
    bin_s: float | None,
    split_by: tuple[str, ...] = (),
) -> Counts:
    """The counts of a file whose columns are read. Stamps on no lattice of bins are refused.

    stamp_s: of each row, shape (n,). split_by: columns whose values split a bin into several rows, which are added up.
    """
    requests = columns.numbers(count_name, whole_count, whole=True).astype(np.int64)
    if not requests.any():
        raise InputError(f"{columns.path}: no request in the trace")
    width_s = _smallest_distance(columns, stamp_s) if bin_s is None else bin_s
    number = _bin_numbers(columns, time_name, stamp_s, width_s, is_given=bin_s is not None)
    order = np.argsort(number, kind="stable")
    twice = np.flatnonzero(np.diff(number[order]) == 0)
    if len(twice) and not split_by:
        raise columns.refused(int(order[twice[0] + 1]), time_name, f"is a second count for one bin of {width_s:g} s")
    starts, first = np.unique(number[order], return_index=True)
    return Counts(
        first_s=float(stamp_s.min()),
        start_s=starts * width_s,
        requests=np.add.reduceat(requests[order], first),
        bin_s=width_s,
        is_derived=bin_s is None,
        utc_offset_s=utc_offset_s,
        notes=(f"the rows of one bin (by {', '.join(split_by)}) are added up",) if len(twice) else (),
    )


def _bin_numbers(
    columns: Columns, time_name: str, stamp_s: FloatArray, width_s: float, *, is_given: bool
) -> FloatArray:
    """Which bin after the first each row is, shape (n,)."""
    since_s = stamp_s - stamp_s.min()
    number = np.rint(since_s / width_s)
    tolerance_s = 1e-6 + 4 * np.spacing(np.abs(stamp_s).max())
    if len(off := np.flatnonzero(np.abs(since_s - number * width_s) > tolerance_s)):
        after = f"comes {since_s[off[0]]:g} s after the first bin, not a whole number of bins of {width_s:g} s"
        hint = "" if is_given else " (the smallest distance of two stamps): give their width, `bin`"
        raise columns.refused(int(off[0]), time_name, after + hint)
    return np.asarray(number)


def _smallest_distance(columns: Columns, stamp_s: FloatArray) -> float:
    distances = np.diff(np.sort(stamp_s))
    distances = np.round(distances[distances > 0], 6)
    if len(distances) == 0 or distances.min() == 0:
        raise InputError(f"{columns.path}: the stamps do not show how wide a bin is, give it as `bin`, for example 60s")
    return float(distances.min())
