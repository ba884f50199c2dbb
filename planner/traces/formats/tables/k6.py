"""Results of k6: its CSV and its JSON lines.

k6 writes a row `http_reqs` for each request and then one `http_req_duration` (ms), both with the time of its end.
Connecting is not part of that duration.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from planner.errors import InputError
from planner.reading import opened, reading
from planner.traces.categories import categories
from planner.traces.columns import Columns, milliseconds_taken
from planner.traces.formats.format import Format, ReadOptions, Sample
from planner.traces.formats.logs.lines import line_text
from planner.traces.formats.logs.stamps import path_of
from planner.traces.formats.tables.csv_format import csv_format, has
from planner.traces.records import Recorded, Requests, Stamps
from planner.traces.tables.csv_table import TableStart
from planner.traces.tables.table import Table

REQUEST, DURATION = "http_reqs", "http_req_duration"


class _Point(NamedTuple):
    """A row about requests. line: from 1."""

    line: int
    metric: str
    time: Any
    value: Any
    method: str
    url: str
    status: str


def _matches(start: TableStart) -> bool:
    return has(start, "metric_name", "timestamp", "metric_value")


def recorded(table: Table, options: ReadOptions) -> Recorded:
    """The requests of k6's CSV."""
    names = {key: table.find(key) for key in ("metric_name", "timestamp", "metric_value", "method", "url", "status")}
    columns = table.read([name for name in names.values() if name])
    if not all(names[key] for key in ("metric_name", "timestamp", "metric_value")):
        raise InputError(f"{table.path}: no columns metric_name, timestamp and metric_value in the header")
    blank = [""] * len(columns)
    cells = [columns.values[name] if name else blank for name in names.values()]
    lines = columns.lines or range(len(columns))
    return _requests(table.path, (_Point(*row) for row in zip(lines, *cells, strict=True)), options)


def _requests(path: Path, points: Iterable[_Point], options: ReadOptions) -> Requests:
    chosen: list[_Point] = []
    durations: list[Any] = []
    for point in points:
        if point.metric == REQUEST:
            chosen.append(point)
            durations.append(None)
        elif point.metric == DURATION and durations and durations[-1] is None:
            durations[-1] = point.value if point.time == chosen[-1].time else None
    if not chosen:
        raise InputError(f"{path}: no row {REQUEST}, so no request")
    rows = {"timestamp": [point.time for point in chosen], DURATION: durations}
    columns = Columns(path, tuple(rows), rows, [point.line for point in chosen])
    stamps = columns.stamps("timestamp", options.dates)
    duration_s = columns.floats(DURATION, lambda value: np.nan if value is None else milliseconds_taken(value))
    known = not np.isnan(duration_s).all()
    is_whole = bool(np.all(np.abs(stamps.stamp_s - np.round(stamps.stamp_s)) < 1e-6))
    return Requests(
        stamp_s=stamps.stamp_s,
        utc_offset_s=stamps.utc_offset_s,
        resolution_s=1.0 if is_whole else 0.0,
        stamps=Stamps.END,
        duration_s=duration_s if known else None,
        service_time_of="what k6 waited for the answer, queueing and network in it",
        method=categories([point.method for point in chosen]),
        path=categories([path_of(point.url.encode()).decode("utf-8", "replace") for point in chosen]),
        status=categories(["" if point.status == "0" else point.status for point in chosen]),
    )


def _json_points(path: Path, notes: list[str]) -> Iterator[_Point]:
    """The points about requests; a cut last line, which a k6 that was killed leaves, becomes one of the notes."""
    with reading(path, str(path)), opened(path) as file:
        lines = enumerate(file, 1)
        for number, line in lines:
            is_known = b'"Point"' in line and b"http_req" in line
            if not is_known and line.endswith(b"\n"):
                continue
            try:
                document = json.loads(line)
                if is_known:
                    yield _point(number, document)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                if next(lines, None) is not None or not line.lstrip().startswith(b"{"):
                    raise InputError(f"{path}: line {number} is no point of k6's JSON") from None
                notes.append(f"the last line is cut and left out, line {number} ({line_text(line)})")


def _point(number: int, document: Any) -> _Point:
    data = document["data"]
    tags: dict[str, Any] = data.get("tags") or {}
    texts = [str(tags.get(key) or "") for key in ("method", "url", "status")]
    return _Point(number, document["metric"], data["time"], data["value"], *texts)


def _is_k6_json(sample: Sample) -> bool:
    for line in sample.lines[:50]:
        if line.startswith(b"{") and b'"metric"' in line and (b'"type":"Point"' in line or b'"type":"Metric"' in line):
            return True
    return False


def _read_json(path: Path, options: ReadOptions) -> Recorded:
    notes: list[str] = []
    held = _requests(path, _json_points(path, notes), options)
    return replace(held, notes=(*held.notes, *notes))


_TAKEN = "end, duration (also as service time), method, path, status of each request"
_LEFT = "all other metrics; connecting is not in the duration"

CSV = csv_format(
    name="k6_csv",
    title="k6 results (CSV)",
    sample="metric_name,timestamp,metric_value,status,url\nhttp_reqs,1795341600,1.000000,200,http://x/score\n"
    "http_req_duration,1795341600,114.365,200,http://x/score",
    taken=_TAKEN,
    left=_LEFT,
    stamps=Stamps.END,
    matches=_matches,
    recorded=recorded,
)

JSON = Format(
    name="k6_json",
    title="k6 results (JSON lines)",
    sample='{"metric":"http_reqs","type":"Point","data":{"time":"2026-11-22T10:00:00.5Z","value":1,"tags":'
    '{"status":"200","url":"http://x/score"}}}',
    taken=_TAKEN,
    left=_LEFT,
    stamps=Stamps.END,
    recognises=_is_k6_json,
    read=_read_json,
)
