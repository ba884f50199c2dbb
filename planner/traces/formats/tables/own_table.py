"""Tables with a time in each row, from CSV or Parquet.

A row is a request: a time (`time_s`, seconds from any zero, or `timestamp`); optional `service_time_s`,
`context_tokens` / `ContextTokens`, `generated_tokens` / `GeneratedTokens`, `payload`. With a column of counts
(`requests`, `count_`, `RequestsPerMinute (Sum)`) a row is a bin, with one of rates (`requests/s`) a step of a rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from planner.errors import InputError
from planner.model import FloatArray
from planner.traces.bins_or_requests import OF_ONE_REQUEST, refuse_bins
from planner.traces.columns import Columns, not_negative, seconds_from_zero, seconds_taken
from planner.traces.counts import read_counts
from planner.traces.formats.format import ReadOptions
from planner.traces.rate_steps import rates_of, steps
from planner.traces.records import Recorded, Requests
from planner.traces.series import without_blank_ends, without_totals
from planner.traces.tables.names import Measure, Role, is_counter, measure, plain, shown, unit_of
from planner.traces.tables.number_forms import number
from planner.traces.tables.table import Table

SECONDS_COLUMN = "time_s"
TIME_COLUMNS = (SECONDS_COLUMN, "timestamp", "TIMESTAMP")
MONITORS_TIME_COLUMNS = (
    "time",
    "datetime",
    "date",
    "date time",
    "date/time",
    "timegenerated",
    "@timestamp",
    "_time",
    "ts",
)
"""Beside a count or a rate, or alone."""

NUMBER_COLUMNS = {
    "service_time_s": ("service_time_s",),
    "context_tokens": ("context_tokens", "ContextTokens"),
    "generated_tokens": ("generated_tokens", "GeneratedTokens"),
}
"""Field of `Requests` -> the headers it may have."""

PAYLOAD_COLUMN = "payload"
REQUEST_COLUMNS = (*(name for names in NUMBER_COLUMNS.values() for name in names), PAYLOAD_COLUMN)
COUNT_COLUMN = "requests"


@dataclass(frozen=True)
class Measured:
    """The column of counts or rates of a table."""

    name: str
    measure: Measure


def measured_column(header: Sequence[str], cells: Sequence[Sequence[Any]] = ()) -> Measured | None:
    """The column of counts or rates that a table has: by the names, else by a unit in some cells of each column.

    Raises ValueError where there are several, or none but averages and counters.
    """
    counters = [name for name in header if is_counter(name)]
    known = [Measured(name, found) for name in header if name not in counters and (found := measure(name)) is not None]
    if not known:
        columns = zip(header, cells, strict=False)
        known = [Measured(name, found) for name, some in columns if (found := unit_of(some)) is not None]
    if not known and counters:
        name = shown(counters[:1], 60)
        ask = f"ask for sum(rate({name.partition('{')[0].strip()}[1m]))"
        raise ValueError(f"holds the counter {name}, no count of each row: {ask}, or name a count per row `requests`")
    for role in (Role.COUNT, Role.RATE):
        of_role = [found for found in known if found.measure.role is role]
        own = [found for found in of_role if found.name in ("requests", "requests/s")]
        if len(of_role) > 1 and len(own) != 1:
            raise ValueError(
                f"has several columns of requests ({shown(f.name for f in of_role)}): keep one, or their sum"
            )
        if of_role:
            return (own or of_role)[0]
    if known:
        raise ValueError(f"the column {known[0].name} is no count of all requests: export the sum (or total)")
    return None


def recorded(table: Table, options: ReadOptions) -> Recorded:
    """What a table holds: requests, counts where it has a column of them, or rates."""
    time_name = table.find(*TIME_COLUMNS) or table.find(*MONITORS_TIME_COLUMNS)
    if time_name is None:
        header = shown(table.header) or "empty"
        raise InputError(f"{table.path}: no column time_s or timestamp in the header ({header})")
    others = [name for name in table.header if name != time_name]
    if COUNT_COLUMN in others or table.find(*REQUEST_COLUMNS) is None:
        try:
            found = measured_column(others, _first_cells(table, others))
        except ValueError as bound:
            raise InputError(f"{table.path}: {bound}") from None
        if found is not None:
            return _measured(table, time_name, found, options)
    return _requests(table, time_name, options)


def _first_cells(table: Table, names: Sequence[str]) -> list[list[Any]]:
    """Of each column the cells of the first rows."""
    place = {name: i for i, name in enumerate(table.header)}
    return [[row[place[name]] for row in table.first_rows if place[name] < len(row)] for name in names]


def _requests(table: Table, time_name: str, options: ReadOptions) -> Requests:
    numbers_of = {field: table.find(*headers) for field, headers in NUMBER_COLUMNS.items()}
    payload_name = table.find(PAYLOAD_COLUMN)
    known = [name for name in (*numbers_of.values(), payload_name) if name is not None]
    beside = [name for name in table.header if name not in (time_name, *known)]
    if plain(time_name) not in (SECONDS_COLUMN, "timestamp") and beside and not known:
        hint = "name a count per row `requests`, a rate `requests/s`, a table of single requests' times `timestamp`"
        raise InputError(f"{table.path}: no known column beside {time_name} ({shown(beside)}): {hint}")
    doubted = () if known else tuple(name for name in beside if plain(name) not in OF_ONE_REQUEST)
    columns, notes = without_totals(table.read([time_name, *known, *doubted]), time_name)
    stamp_s, utc_offset_s, time_notes = _times(columns, time_name, options)
    if len(stamp_s) == 0:
        raise InputError(f"{columns.path}: no request in the trace")
    doubts = refuse_bins(columns, doubted, stamp_s)
    numbers: dict[str, Any] = {}
    for field, name in numbers_of.items():
        check = seconds_taken if field == "service_time_s" else not_negative
        numbers[field] = None if name is None else columns.numbers(name, check)
    return Requests(
        stamp_s=stamp_s,
        utc_offset_s=utc_offset_s,
        resolution_s=1.0 if _are_cut(stamp_s) else 0.0,
        payload=columns.texts(payload_name) if payload_name else None,
        notes=(*notes, *time_notes, *doubts),
        **numbers,
    )


def _times(columns: Columns, time_name: str, options: ReadOptions) -> tuple[FloatArray, float | None, tuple[str, ...]]:
    """Stamps, UTC offset (None without a clock), notes."""
    if time_name.casefold() == SECONDS_COLUMN:
        return columns.numbers(time_name, seconds_from_zero), None, ()
    stamps = columns.stamps(time_name, options.dates)
    return stamps.stamp_s, stamps.utc_offset_s, (stamps.note,) if stamps.note else ()


def _measured(table: Table, time_name: str, found: Measured, options: ReadOptions) -> Recorded:
    split_by = _splits(table, time_name, found)
    columns, total_notes = without_totals(table.read([time_name, found.name, *split_by]), time_name)
    what = "a count" if found.measure.role is Role.COUNT else "a rate"
    columns, blank_notes = without_blank_ends(columns, found.name, what) if len(columns) else (columns, ())
    stamp_s, utc_offset_s, time_notes = _times(columns, time_name, options)
    notes = (*total_notes, *blank_notes, *time_notes)
    if len(stamp_s) == 0:
        raise InputError(f"{columns.path}: no request in the trace")
    if found.measure.role is Role.COUNT or _are_counts_per_minute(columns, found, stamp_s):
        counts = read_counts(
            columns,
            time_name,
            found.name,
            stamp_s=stamp_s,
            utc_offset_s=utc_offset_s,
            bin_s=options.bin_s,
            split_by=split_by,
        )
        return replace(counts, notes=(*notes, *counts.notes))
    return steps(
        columns,
        time_name,
        stamp_s=stamp_s,
        rate_rps=rates_of(columns, found.name, None if found.measure.in_cells else found.measure.per_s),
        utc_offset_s=utc_offset_s,
        bin_s=options.bin_s,
        notes=notes,
    )


def _splits(table: Table, time_name: str, found: Measured) -> tuple[str, ...]:
    """The columns that may split a bin into several rows; those about single requests are refused."""
    beside = [name for name in table.header if name not in (time_name, found.name)]
    single = next((name for name in beside if name in REQUEST_COLUMNS), None)
    if single is not None:
        what = f"describes single requests, but the column {found.name} makes a row of many"
        raise InputError(f"{table.path}: the column {single} {what}: leave one of the two out")
    is_summary = found.name.casefold().startswith(("count_", "sum_")) and found.measure.role is Role.COUNT
    return tuple(name for name in beside if name not in TIME_COLUMNS) if is_summary else ()


def _are_counts_per_minute(columns: Columns, found: Measured, stamp_s: FloatArray) -> bool:
    """Whole numbers of requests per minute, a minute apart, are what was counted in each."""
    if found.measure.per_s != 1 / 60 or len(stamp_s) < 2:
        return False
    minutes = np.abs(np.diff(np.sort(stamp_s)) - 60) < 1e-6
    try:
        return bool(minutes.all()) and all(number(value).is_integer() for value in columns.values[found.name])
    except ValueError:
        return False


def _are_cut(stamp_s: FloatArray) -> bool:
    """Every time is a whole number of seconds after the first, and some second holds several: finer ones were cut."""
    since_s = np.sort(stamp_s) - stamp_s.min()
    whole = np.all(np.abs(since_s - np.round(since_s)) < 1e-6)
    return bool(whole and np.any(np.diff(np.round(since_s)) == 0))
