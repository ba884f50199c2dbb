"""Rates over time, as monitoring exports them: a row for each step, its number held until the next stamp."""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.errors import InputError
from planner.model import FloatArray
from planner.rates import LARGEST_RATE_RPS
from planner.traces.columns import Columns
from planner.traces.records import Rates
from planner.traces.tables.names import without_unit
from planner.traces.tables.number_forms import number, number_reader

LARGEST_GAP_S = 10.0
"""A step may be half as long again as the others, or this long; a longer one is a gap, where the rate is not known."""


def rates_of(columns: Columns, name: str, per_s: float) -> FloatArray:
    """Requests per second of each row, shape (n,). per_s: of one unit of the numbers, which a unit may follow."""
    split = [without_unit(cell) if isinstance(cell, str) else (cell, 1.0) for cell in columns.values[name]]
    read = number_reader([cell for cell, _ in split], delimiter=columns.delimiter)
    result = np.empty(len(split))
    for i, (cell, scale) in enumerate(split):
        try:
            result[i] = _in_range(read(cell) * scale * per_s)
        except ValueError as bound:
            raise columns.refused(i, name, str(bound)) from None
    return result


def _in_range(rps: Any) -> float:
    if not 0 <= number(rps) <= LARGEST_RATE_RPS:
        raise ValueError(f"must be a rate, from 0 to {LARGEST_RATE_RPS:g} per second")
    return float(rps)


def steps(
    columns: Columns,
    time_name: str,
    *,
    stamp_s: FloatArray,
    rate_rps: FloatArray,
    utc_offset_s: float | None,
    bin_s: float | None = None,
    looks_back: bool = False,
    notes: tuple[str, ...] = (),
) -> Rates:
    """A piecewise constant rate. Gaps and second values for one time are refused.

    stamp_s, rate_rps: of each row, shape (n,). bin_s: length of the last step, else as long as most. looks_back: a
    value holds for the time before its stamp, as a rate() of Prometheus does, not from it on.
    """
    if not rate_rps.any():
        raise InputError(f"{columns.path}: every rate is 0")
    order = np.argsort(stamp_s, kind="stable")
    sorted_s = stamp_s[order]
    distances = np.diff(sorted_s)
    if len(twice := np.flatnonzero(distances <= 0)):
        raise columns.refused(int(order[twice[0] + 1]), time_name, "is a second rate for one time")
    if bin_s is None and len(distances) == 0:
        raise InputError(f"{columns.path}: one stamp does not show how long its rate holds, give it as `bin`")
    usual_s = float(np.median(distances)) if bin_s is None else bin_s
    if len(gaps := np.flatnonzero(distances > max(1.5 * usual_s, LARGEST_GAP_S) + 1e-6)):
        gap = f"comes {distances[gaps[0]]:g} s after the one before, the others {usual_s:g} s"
        raise columns.refused(int(order[gaps[0] + 1]), time_name, f"{gap}: the rate between is not known")
    since_s = sorted_s - sorted_s[0]
    edge_s = np.append(since_s, since_s[-1] + usual_s)
    if looks_back:
        edge_s = np.append(0.0, since_s + usual_s)
    return Rates(
        first_s=float(sorted_s[0]) - (usual_s if looks_back else 0.0),
        edge_s=edge_s,
        rate_rps=rate_rps[order],
        utc_offset_s=utc_offset_s,
        notes=notes,
    )
