"""Recorded traces: reading their files.

A file is CSV or Parquet, its columns found by their header, or an access log (`planner.access_log`). A row is a
request: `time_s` (seconds from any zero) or `timestamp` / `TIMESTAMP` (ISO 8601); optional `service_time_s`,
`context_tokens` / `ContextTokens`, `generated_tokens` / `GeneratedTokens`, `payload`. With a column `requests` a row is
a bin, and says how many came in it (`planner.counts`). Other columns are left alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from planner.access_log import ENDINGS, read_access_log
from planner.clock import Clock
from planner.columns import (
    Columns,
    not_negative,
    read_columns,
    seconds_from_zero,
    seconds_taken,
    timestamp,
    utc_offset_s,
)
from planner.counts import COUNT_COLUMN, read_counts
from planner.errors import InputError
from planner.model import FloatArray
from planner.playing import JITTER_S, MOST_REQUESTS, Trace, play
from planner.reading import ending, reading

__all__ = ["JITTER_S", "MOST_REQUESTS", "Trace", "play", "read_column", "read_trace"]

TIME_COLUMNS = ("time_s", "timestamp", "TIMESTAMP")
NUMBER_COLUMNS = {
    "service_time_s": ("service_time_s",),
    "context_tokens": ("context_tokens", "ContextTokens"),
    "generated_tokens": ("generated_tokens", "GeneratedTokens"),
}
"""Field of `Trace` -> the headers it may have."""

PAYLOAD_COLUMN = "payload"


def read_trace(
    path: Path, *, form: str | None = None, url_path: str | None = None, bin_s: float | None = None
) -> Trace:
    """A trace file, sorted by time, its first request (or bin) at 0.

    form: csv, parquet or common_log, where the file's ending does not say it. url_path: of an access log only the
    requests for this path. bin_s: of counts, where the stamps do not show it.
    """
    is_log = form == "common_log" or (form is None and ending(path) in ENDINGS)
    if url_path is not None and not is_log:
        raise InputError(f"{path}: only an access log has a `path` for each request")
    if is_log and bin_s is not None:
        raise InputError(f"{path}: an access log has no counts, and so no `bin`")
    trace = _of_log(path, url_path) if is_log else _of_table(path, form, bin_s)
    with reading(path, str(path)), path.open("rb") as file:
        return replace(trace, source=path.name, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _of_log(path: Path, url_path: str | None) -> Trace:
    log = read_access_log(path, url_path)
    first_s = float(log.times_s.min())
    times_s = np.sort(np.round(log.times_s - first_s, 7), kind="stable")
    return Trace(times_s=times_s, has_cut_stamps=log.has_whole_seconds, clock=Clock(first_s, log.utc_offset_s))


def _of_table(path: Path, form: str | None, bin_s: float | None) -> Trace:
    wanted = [TIME_COLUMNS, *NUMBER_COLUMNS.values(), (PAYLOAD_COLUMN,), (COUNT_COLUMN,)]
    columns = read_columns(path, wanted, form)
    time_name = next((name for name in TIME_COLUMNS if name in columns), None)
    if time_name is None:
        raise InputError(f"{path}: no column time_s or timestamp in the header ({', '.join(columns.found) or 'empty'})")
    if COUNT_COLUMN in columns:
        return _of_counts(columns, time_name, bin_s)
    if bin_s is not None:
        raise InputError(f"{path}: `bin` is the width of counts, which stand in a column {COUNT_COLUMN}")
    parse = seconds_from_zero if time_name == "time_s" else timestamp
    times = columns.floats(time_name, parse)
    if len(times) == 0:
        raise InputError(f"{path}: no request in the trace")
    numbers: dict[str, Any] = {}
    for field, headers in NUMBER_COLUMNS.items():
        name = next((name for name in headers if name in columns), None)
        parse_field = seconds_taken if field == "service_time_s" else not_negative
        numbers[field] = None if name is None else columns.floats(name, parse_field)
    payload = columns.texts(PAYLOAD_COLUMN) if PAYLOAD_COLUMN in columns else None
    clock = _clock(columns, time_name, times)
    # Timestamps are exact to 100 ns; what lies below is the rounding of a float.
    times = np.round(times - times.min(), 7) if parse is timestamp else times - times.min()
    trace = Trace(times_s=times, payload=payload, clock=clock, **numbers).rows(np.argsort(times, kind="stable"))
    return replace(trace, has_cut_stamps=_are_cut(trace.times_s))


def _of_counts(columns: Columns, time_name: str, bin_s: float | None) -> Trace:
    beside = [name for name in columns.values if name not in (time_name, COUNT_COLUMN) and name not in TIME_COLUMNS]
    if beside:
        of_requests = f"describes single requests, but the column {COUNT_COLUMN} makes a row of many"
        raise InputError(f"{columns.path}: the column {beside[0]} {of_requests}: leave one of the two out")
    parse = seconds_from_zero if time_name == "time_s" else timestamp
    counts = read_counts(columns, time_name, parse, bin_s)
    return Trace(
        times_s=counts.start_s,
        counts=counts.requests,
        has_cut_stamps=True,
        bin_s=counts.bin_s,
        is_derived=counts.is_derived,
        clock=_clock(columns, time_name, np.array([counts.first_s])),
    )


def _clock(columns: Columns, time_name: str, times: FloatArray) -> Clock | None:
    """The clock at the earliest of some times, with the offset of the file's first."""
    if time_name == "time_s":
        return None
    offset_s = columns.offsets_s.get(time_name)
    return Clock(float(times.min()), utc_offset_s(columns.values[time_name][0]) if offset_s is None else offset_s)


def _are_cut(times_s: FloatArray) -> bool:
    """Every time is a whole second and some second holds several requests: finer times were cut off."""
    whole = np.all(np.abs(times_s - np.round(times_s)) < 1e-6)
    return bool(whole and np.any(np.diff(np.round(times_s)) == 0))


def read_column(path: Path, name: str | None = None) -> FloatArray:
    """One column of times in seconds, in file order: the named one, or the only one the file has."""
    columns = read_columns(path, [(name,)] if name else None)
    if name is None and len(columns.found) != 1:
        raise InputError(f"{path}: say which `column` to read: {', '.join(columns.found)}")
    chosen = name or columns.found[0]
    if chosen not in columns:
        raise InputError(f"{path}: column {chosen} is missing (the header has {', '.join(columns.found)})")
    return columns.floats(chosen, seconds_taken)
