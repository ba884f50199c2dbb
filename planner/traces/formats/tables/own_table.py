"""Surgeproof's own tables, from CSV or Parquet.

A row is a request: `time_s` (seconds from any zero) or `timestamp` / `TIMESTAMP` (ISO 8601); optional `service_time_s`,
`context_tokens` / `ContextTokens`, `generated_tokens` / `GeneratedTokens`, `payload`. With a column `requests` a row is
a bin, and says how many came in it (`planner.traces.counts`). Other columns are left alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from planner.errors import InputError
from planner.model import FloatArray
from planner.traces.columns import Columns, not_negative, seconds_from_zero, seconds_taken, timestamp, utc_offset_s
from planner.traces.counts import COUNT_COLUMN, read_counts
from planner.traces.formats.format import ReadOptions
from planner.traces.records import Counts, Recorded, Requests

TIME_COLUMNS = ("time_s", "timestamp", "TIMESTAMP")
NUMBER_COLUMNS = {
    "service_time_s": ("service_time_s",),
    "context_tokens": ("context_tokens", "ContextTokens"),
    "generated_tokens": ("generated_tokens", "GeneratedTokens"),
}
"""Field of `Requests` -> the headers it may have."""

PAYLOAD_COLUMN = "payload"

WANTED = [TIME_COLUMNS, *NUMBER_COLUMNS.values(), (PAYLOAD_COLUMN,), (COUNT_COLUMN,)]


def recorded(columns: Columns, options: ReadOptions) -> Recorded:
    """What a table holds: requests, or counts where it has a column of them."""
    path = columns.path
    time_name = next((name for name in TIME_COLUMNS if name in columns), None)
    if time_name is None:
        raise InputError(f"{path}: no column time_s or timestamp in the header ({', '.join(columns.found) or 'empty'})")
    if COUNT_COLUMN in columns:
        return _counts(columns, time_name, options.bin_s)
    parse = seconds_from_zero if time_name == "time_s" else timestamp
    stamp_s = columns.floats(time_name, parse)
    if len(stamp_s) == 0:
        raise InputError(f"{path}: no request in the trace")
    numbers: dict[str, Any] = {}
    for field, headers in NUMBER_COLUMNS.items():
        name = next((name for name in headers if name in columns), None)
        parse_field = seconds_taken if field == "service_time_s" else not_negative
        numbers[field] = None if name is None else columns.floats(name, parse_field)
    return Requests(
        stamp_s=stamp_s,
        utc_offset_s=_offset_s(columns, time_name),
        resolution_s=1.0 if _are_cut(stamp_s) else 0.0,
        payload=columns.texts(PAYLOAD_COLUMN) if PAYLOAD_COLUMN in columns else None,
        **numbers,
    )


def _counts(columns: Columns, time_name: str, bin_s: float | None) -> Counts:
    beside = [name for name in columns.values if name not in (time_name, COUNT_COLUMN) and name not in TIME_COLUMNS]
    if beside:
        of_requests = f"describes single requests, but the column {COUNT_COLUMN} makes a row of many"
        raise InputError(f"{columns.path}: the column {beside[0]} {of_requests}: leave one of the two out")
    parse = seconds_from_zero if time_name == "time_s" else timestamp
    counts = read_counts(columns, time_name, parse, bin_s)
    return replace(counts, utc_offset_s=_offset_s(columns, time_name))


def _offset_s(columns: Columns, time_name: str) -> float | None:
    """UTC offset of the file's first time; None where it has no clock."""
    if time_name == "time_s":
        return None
    offset_s = columns.offsets_s.get(time_name)
    if offset_s is not None:
        return offset_s
    return utc_offset_s(columns.values[time_name][0])


def _are_cut(stamp_s: FloatArray) -> bool:
    """Every time is a whole number of seconds after the first, and some second holds several: finer ones were cut."""
    since_s = np.sort(stamp_s) - stamp_s.min()
    whole = np.all(np.abs(since_s - np.round(since_s)) < 1e-6)
    return bool(whole and np.any(np.diff(np.round(since_s)) == 0))
