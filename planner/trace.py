"""Recorded traces: reading CSV and Parquet, and playing a slice of one faster, slower, thinned or multiplied.

A row is a request. Columns, found by their header: `time_s` (seconds from any zero) or `timestamp` / `TIMESTAMP` (ISO
8601); optional `service_time_s`, `context_tokens` / `ContextTokens`, `generated_tokens` / `GeneratedTokens`. Others are
left alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from planner.columns import not_negative, read_columns, seconds_from_zero, seconds_taken, timestamp
from planner.draws import LARGEST_BLOCK, Stream, block_generator
from planner.errors import InputError
from planner.model import FloatArray

TIME_COLUMNS = ("time_s", "timestamp", "TIMESTAMP")
NUMBER_COLUMNS = {
    "service_time_s": ("service_time_s",),
    "context_tokens": ("context_tokens", "ContextTokens"),
    "generated_tokens": ("generated_tokens", "GeneratedTokens"),
}
"""Field of `Trace` -> the headers it may have."""

MOST_REQUESTS = 10_000_000
"""Of a played trace: all of them are held in memory, in several columns."""

JITTER_S = 1.0
"""A copy that `rate_scale` above 1 adds is at most this far from its original."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Requests in order of time. times_s: seconds from the first request, or from the slice's start once played.

    All columns have length n; a column that the file does not have is None. has_cut_stamps: the file's stamps were cut
    to whole seconds; spread: they have been spread inside their second.
    """

    times_s: FloatArray
    service_time_s: FloatArray | None = None
    context_tokens: FloatArray | None = None
    generated_tokens: FloatArray | None = None
    source: str = "trace"
    has_cut_stamps: bool = False
    spread: bool = False

    def __len__(self) -> int:
        return len(self.times_s)

    def rows(self, index: Any) -> Trace:
        """The trace of some rows, in the order of `index`."""
        columns: dict[str, Any] = {name: getattr(self, name) for name in ("times_s", *NUMBER_COLUMNS)}
        taken: dict[str, Any] = {name: None if c is None else c[index] for name, c in columns.items()}
        return replace(self, **taken)


# Playing


class _Purpose(IntEnum):
    """What the trace's draws are for; each has its own blocks of the stream."""

    SPREAD = 0
    THIN = 1
    COPY = 2
    JITTER = 3


def play(
    trace: Trace,
    *,
    from_s: float = 0.0,
    for_s: float | None = None,
    time_scale: float = 1.0,
    rate_scale: float = 1.0,
    seed: int = 0,
    spread: bool = True,
) -> Trace:
    """The slice [from_s, from_s + for_s) of a trace, from its own zero, at another speed and rate.

    Whole-second stamps are spread inside their second first, unless `spread` is false. time_scale 0.5 plays twice as
    fast. rate_scale below 1 keeps each request with that probability; above 1 it adds copies of each row, jittered by
    up to JITTER_S either way but kept inside the slice. Every draw belongs to a row of the whole trace, so that another
    slice of the same trace with the same seed agrees where both overlap.
    """
    if spread and trace.has_cut_stamps:
        whole = np.round(trace.times_s)
        trace = replace(trace, times_s=whole + _uniforms(seed, _Purpose.SPREAD, len(trace)), spread=True)
    row = np.arange(len(trace))
    end_s = math.inf if for_s is None else from_s + for_s
    inside = (trace.times_s >= from_s) & (trace.times_s < end_s)
    played, row = trace.rows(inside), row[inside]
    if len(played) * rate_scale > MOST_REQUESTS:
        raise InputError(f"makes {len(played) * rate_scale:,.0f} requests, at most {MOST_REQUESTS:,} are supported")
    # A product may round up to the slice's end; no request may lie there.
    last_s = math.inf if for_s is None else np.nextafter(for_s * time_scale, 0.0)
    played = replace(played, times_s=np.minimum((played.times_s - from_s) * time_scale, last_s))
    played = _scaled(played, row, len(trace), rate_scale, seed, None if for_s is None else for_s * time_scale)
    return played.rows(np.argsort(played.times_s, kind="stable"))


def _scaled(
    played: Trace, row: np.ndarray[Any, Any], rows: int, rate_scale: float, seed: int, length_s: float | None
) -> Trace:
    """Thinned or multiplied by rate_scale; `row` says which of the trace's `rows` each request is."""
    if rate_scale < 1:
        return played.rows(_uniforms(seed, _Purpose.THIN, rows)[row] < rate_scale)
    whole = math.floor(rate_scale)
    copies = np.full(len(row), whole - 1)
    copies += _uniforms(seed, _Purpose.COPY, rows)[row] < rate_scale - whole
    if not copies.any():
        return played
    end_s = float(played.times_s[-1]) if length_s is None else length_s
    index, times = [np.arange(len(row))], [played.times_s]
    for n in range(int(copies.max())):
        chosen = np.flatnonzero(copies > n)
        jitter = JITTER_S * (2 * _uniforms(seed, _Purpose.JITTER + n, rows)[row[chosen]] - 1)
        index.append(chosen)
        times.append(_reflected(played.times_s[chosen] + jitter, end_s))
    order = np.concatenate(index)
    return replace(played.rows(order), times_s=np.concatenate(times))


def _reflected(times_s: FloatArray, end_s: float) -> FloatArray:
    """Times that left [0, end) turned back at its edges, so that jitter changes no count."""
    inside = np.abs(times_s)
    inside = np.where(inside >= end_s, 2 * end_s - inside, inside)
    return np.clip(inside, 0.0, np.nextafter(end_s, 0.0) if end_s > 0 else 0.0)


def _uniforms(seed: int, purpose: int, n: int) -> FloatArray:
    """n uniforms on [0, 1): the i-th belongs to row i of the trace, whatever the slice."""
    blocks = [
        block_generator(seed, 0, Stream.TRACE, (purpose << 32) + block).random(LARGEST_BLOCK)
        for block in range(-(-n // LARGEST_BLOCK))
    ]
    return np.concatenate([np.empty(0), *blocks])[:n]


# Reading


def read_trace(path: Path) -> Trace:
    """A trace file, sorted by time, its first request at 0."""
    columns = read_columns(path, [TIME_COLUMNS, *NUMBER_COLUMNS.values()])
    time_name = next((name for name in TIME_COLUMNS if name in columns), None)
    if time_name is None:
        raise InputError(f"{path}: no column time_s or timestamp in the header ({', '.join(columns.found) or 'empty'})")
    parse = seconds_from_zero if time_name == "time_s" else timestamp
    times = columns.floats(time_name, parse)
    if len(times) == 0:
        raise InputError(f"{path}: no request in the trace")
    numbers: dict[str, Any] = {}
    for field, headers in NUMBER_COLUMNS.items():
        name = next((name for name in headers if name in columns), None)
        parse_field = seconds_taken if field == "service_time_s" else not_negative
        numbers[field] = None if name is None else columns.floats(name, parse_field)
    # Timestamps are exact to 100 ns; what lies below is the rounding of a float.
    times = np.round(times - times.min(), 7) if parse is timestamp else times - times.min()
    trace = Trace(times_s=times, source=path.name, **numbers).rows(np.argsort(times, kind="stable"))
    return replace(trace, has_cut_stamps=_are_cut(trace.times_s))


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
