"""Azure ML's log of an online endpoint's traffic, AmlOnlineEndpointTrafficLog.

TimeGenerated is when the line was written, after the answer. TotalDurationMs runs from the request's start to the last
byte of the answer; between RequestDurationMs (the request is there) and ResponseDurationMs (the model's first byte) the
request waited and was worked on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.errors import InputError
from planner.traces.categories import categories
from planner.traces.columns import milliseconds_taken
from planner.traces.formats.format import ReadOptions
from planner.traces.formats.logs.stamps import path_of
from planner.traces.formats.tables.csv_format import csv_format, has
from planner.traces.records import Recorded, Requests, Stamps
from planner.traces.series import is_blank
from planner.traces.tables.csv_table import TableStart
from planner.traces.tables.table import Table


def _matches(start: TableStart) -> bool:
    return has(start, "timegenerated", "totaldurationms", "responsecode")


def recorded(table: Table, options: ReadOptions) -> Recorded:
    """Each row is a request."""
    time, total = table.find("TimeGenerated"), table.find("TotalDurationMs")
    if time is None or total is None:
        raise InputError(f"{table.path}: no columns TimeGenerated and TotalDurationMs in the header")
    received, answered = table.find("RequestDurationMs"), table.find("ResponseDurationMs")
    texts = {field: table.find(name) for field, name in _TEXTS.items()}
    columns = table.read([name for name in (time, total, received, answered, *texts.values()) if name])
    if len(columns) == 0:
        raise InputError(f"{columns.path}: no request in the trace")
    stamps = columns.stamps(time, options.dates)
    duration_s = columns.numbers(total, milliseconds_taken)
    service_s = None
    if received and answered:
        taken = [
            columns.floats(name, lambda value: np.nan if is_blank(value) else milliseconds_taken(value))
            for name in (received, answered)
        ]
        service_s = np.maximum(taken[1] - taken[0], 0.0)
    said: dict[str, Any] = {}
    for field, name in texts.items():
        values = [] if name is None else [str(value or "") for value in columns.values[name]]
        if field == "path":
            values = [path_of(value.encode()).decode("utf-8", "replace") for value in values]
        said[field] = categories(values)
    return Requests(
        stamp_s=stamps.stamp_s,
        utc_offset_s=stamps.utc_offset_s,
        stamps=Stamps.END,
        duration_s=duration_s,
        service_time_s=service_s,
        service_time_of="ResponseDurationMs less RequestDurationMs, with any wait in it",
        notes=(stamps.note,) if stamps.note else (),
        **said,
    )


_TEXTS = {"method": "Method", "path": "Path", "status": "ResponseCode", "agent": "UserAgent"}
"""Field of `Requests` -> column."""

FORMAT = csv_format(
    name="aml_traffic_log",
    title="Azure ML `AmlOnlineEndpointTrafficLog` (CSV)",
    sample="TimeGenerated [UTC],Method,Path,ResponseCode,TotalDurationMs,RequestDurationMs,ResponseDurationMs\n"
    '"11/22/2026, 10:00:00.054 AM",POST,/score,200,316,1,310',
    taken="end (TimeGenerated), total duration, service time (response less request duration), method, path, status",
    left="deployment, sizes, throttling delays, the model's own status",
    stamps=Stamps.END,
    matches=_matches,
    recorded=recorded,
)
