"""Rates over time, as monitoring exports them: a row for each step, its number held until the next stamp."""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.errors import InputError
from planner.model import FloatArray
from planner.rates import LARGEST_RATE_RPS
from planner.traces.columns import Columns
from planner.traces.records import Rates
from planner.traces.tables.names import Quantity, per_words, quantity
from planner.traces.tables.number_forms import number, number_reader

MOST_STEPS_APART = 1.5
"""A longer distance of two stamps is a gap, where the rate is not known."""


def rates_of(columns: Columns, name: str, per_s: float | None) -> FloatArray:
    """Requests per second of each row, shape (n,), by the scale and the unit of each cell.

    per_s: of one unit of the numbers, which no cell may contradict; None: each cell says its own unit.
    """
    split: list[Quantity | None] = []
    for i, cell in enumerate(columns.values[name]):
        try:
            split.append(quantity(cell) if isinstance(cell, str) else None)
        except ValueError as bound:
            raise columns.refused(i, name, str(bound)) from None
    cells = [cell if one is None else one.number for cell, one in zip(columns.values[name], split, strict=True)]
    read = number_reader(cells, delimiter=columns.delimiter)
    result = np.empty(len(split))
    for i, (cell, one) in enumerate(zip(cells, split, strict=True)):
        try:
            result[i] = _in_range(_rate(read(cell), one or Quantity(""), per_s))
        except ValueError as bound:
            raise columns.refused(i, name, str(bound)) from None
    return result


def _rate(read: float, cell: Quantity, per_s: float | None) -> float:
    if per_s is None and cell.per_s is None:
        if read:
            raise ValueError("says no unit, as other cells of its column do: write it as they are, for example 5 req/s")
        return 0.0
    if per_s is not None and cell.per_s not in (None, per_s):
        own, of_column = per_words(cell.per_s or 1.0), per_words(per_s)
        raise ValueError(f"is a rate {own}, and the header says {of_column}: make them one")
    return read * cell.scale * (per_s or cell.per_s or 1.0)


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
    known_for_s: float = 0.0,
    notes: tuple[str, ...] = (),
) -> Rates:
    """A piecewise constant rate. Gaps and second values for one time are refused.

    stamp_s, rate_rps: of each row, shape (n,). bin_s: length of a step, which several stamps show by themselves: their
    smallest distance. looks_back: a value holds for the time before its stamp, as a rate() of Prometheus does, not from
    it on. known_for_s: a distance of at most this is no gap, however short the steps are.
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
    step_s = round(float(distances.min()), 6) if len(distances) else float(bin_s or 0.0)
    if bin_s is not None and abs(bin_s - step_s) > 1e-6:
        raise InputError(
            f"{columns.path}: bin = {bin_s:g} s, but the stamps show steps of {step_s:g} s: leave `bin` out, "
            "or average the rates over longer steps"
        )
    if len(gaps := np.flatnonzero(distances > max(MOST_STEPS_APART * step_s, known_for_s) + 1e-6)):
        gap = f"comes {distances[gaps[0]]:g} s after the one before, others {step_s:g} s"
        raise columns.refused(int(order[gaps[0] + 1]), time_name, f"{gap}: the rate between is not known")
    since_s = sorted_s - sorted_s[0]
    edge_s = np.append(since_s, since_s[-1] + step_s)
    if looks_back:
        edge_s = np.append(0.0, since_s + step_s)
    return Rates(
        first_s=float(sorted_s[0]) - (step_s if looks_back else 0.0),
        edge_s=edge_s,
        rate_rps=rate_rps[order],
        utc_offset_s=utc_offset_s,
        notes=notes,
    )
