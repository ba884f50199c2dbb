"""Requests that Application Insights recorded: its table `requests`, or `AppRequests` of Log Analytics.

The time is when the request started, the duration what the application took for it.
"""

from __future__ import annotations

import numpy as np

from planner.errors import InputError
from planner.traces.categories import categories
from planner.traces.columns import Columns, milliseconds_taken, whole_count
from planner.traces.formats.format import ReadOptions
from planner.traces.formats.logs.stamps import path_of
from planner.traces.formats.tables.csv_format import csv_format, has
from planner.traces.records import Recorded, Requests, Stamps
from planner.traces.series import is_blank, rows_are
from planner.traces.tables.csv_table import TableStart
from planner.traces.tables.table import Table

_TIMES = ("timestamp", "TimeGenerated")
_DURATIONS = ("duration", "DurationMs")
_CODES = ("resultCode",)
_ITEMS = ("itemCount",)


def _matches(start: TableStart) -> bool:
    return (has(start, "timestamp", "duration") or has(start, "timegenerated", "durationms")) and has(
        start, "name", "resultcode"
    )


def recorded(table: Table, options: ReadOptions) -> Recorded:
    """Each row is a request; rows of other telemetry are left out. InputError where the export is a sample."""
    time, duration, code = table.find(*_TIMES), table.find(*_DURATIONS), table.find(*_CODES)
    if time is None or duration is None:
        raise InputError(f"{table.path}: no columns timestamp and duration in the header")
    name, url, items = table.find("name"), table.find("url"), table.find(*_ITEMS)
    kind = table.find("itemType", "Type")
    columns = table.read([column for column in (time, duration, code, name, url, items, kind) if column])
    columns, notes = _requests_only(columns, kind)
    if len(columns) == 0:
        raise InputError(f"{columns.path}: no request in the trace")
    _refuse_samples(columns, items)
    stamps = columns.stamps(time, options.dates)
    duration_s = columns.numbers(duration, milliseconds_taken)
    names = [] if name is None else [str(text or "") for text in columns.values[name]]
    urls = [""] * len(names) if url is None else [str(text or "") for text in columns.values[url]]
    methods, paths = zip(*map(_method_and_path, names, urls), strict=True) if names else ((), ())
    return Requests(
        stamp_s=stamps.stamp_s,
        utc_offset_s=stamps.utc_offset_s,
        stamps=Stamps.START,
        duration_s=duration_s,
        service_time_of="the duration in the application, with any wait in it",
        method=categories(methods),
        path=categories(paths),
        status=None if code is None else categories([str(value or "") for value in columns.values[code]]),
        notes=(*notes, *((stamps.note,) if stamps.note else ())),
    )


def _requests_only(columns: Columns, kind: str | None) -> tuple[Columns, tuple[str, ...]]:
    """The rows whose type is request, or blank."""
    if kind is None:
        return columns, ()
    types = [str(value or "").strip().casefold() for value in columns.values[kind]]
    chosen = [i for i, text in enumerate(types) if text in ("", "request", "requests", "apprequests")]
    left = len(types) - len(chosen)
    return columns.rows(chosen), (f"{rows_are(left)} no request (by {kind}), left out",) if left else ()


def _refuse_samples(columns: Columns, items: str | None) -> None:
    """A row with an itemCount of 5 stands for five requests, of which four were not kept."""
    if items is None:
        return
    known = [i for i, value in enumerate(columns.values[items]) if not is_blank(value)]
    counts = columns.rows(known).numbers(items, whole_count, whole=True)
    if len(known) and counts.max() > 1:
        hint = "export counts: requests | summarize sum(itemCount) by bin(timestamp, 1s)"
        raise columns.refused(known[int(np.argmax(counts))], items, f"stands for that many requests (sampling); {hint}")


def _method_and_path(name: str, url: str) -> tuple[str, str]:
    """POST and /score of the name `POST /score`, the path rather from the URL, which has no template in it."""
    method, _, target = name.partition(" ") if name.partition(" ")[0].isupper() else ("", "", name)
    path = path_of((url or target).strip().encode()).decode("utf-8", "replace")
    return method, path


FORMAT = csv_format(
    name="app_insights",
    title="Application Insights `requests`, Log Analytics `AppRequests` (CSV)",
    sample='"timestamp [UTC]",name,resultCode,duration\n"11/22/2026, 10:00:00.054 AM",POST /score,200,316.3996',
    taken="start, duration (also as service time), method, path, status",
    left="ids, client, custom dimensions; rows of other telemetry; a sampled export (itemCount above 1) is refused",
    stamps=Stamps.START,
    matches=_matches,
    recorded=recorded,
)
