"""Azure Monitor metrics as `az monitor metrics list` and its REST API answer: totals of each interval."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from planner.errors import InputError
from planner.traces.counts import read_counts
from planner.traces.formats.documents.document import begins_with_key, document_of, objects
from planner.traces.formats.format import Format, ReadOptions, Sample
from planner.traces.records import Recorded
from planner.traces.series import is_blank, without_blank_ends
from planner.traces.tables.names import shown
from planner.traces.tables.table import of_rows

_NO_COUNT = re.compile(r"latency|duration|time|bytes|size|memory|cpu|gpu|disk|percent|utilization|capacity", re.I)
_INTERVAL = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?|(?:(\d+)[.:])?(\d+):(\d\d):(\d\d)")


def _recognises(sample: Sample) -> bool:
    return begins_with_key(sample, b"timeStamp") and (
        begins_with_key(sample, b"value") or begins_with_key(sample, b"timeseries") or begins_with_key(sample, b"total")
    )


def _read(path: Path, options: ReadOptions) -> Recorded:
    document = document_of(path)
    metric = _metric(path, document)
    points = list(_points(path, metric))
    if not points:
        raise InputError(f"{path}: no point with a timeStamp")
    if all(is_blank(point.get("total")) for point in points):
        held = sorted({key for point in points for key, value in point.items() if key != "timeStamp" and value})
        raise InputError(f"{path}: the points hold no total ({shown(held) or 'nothing'}): ask for --aggregation Total")
    several = len(_series(path, metric)) > 1
    points, silent = _without_silent_series(points) if several else (points, ())
    rows = [(point.get("timeStamp"), point.get("total")) for point in points]
    columns = of_rows(path, ("timeStamp", "total"), rows).read(("timeStamp", "total"))
    columns, notes = without_blank_ends(columns, "total", "a count")
    stamps = columns.stamps("timeStamp", options.dates)
    counts = read_counts(
        columns,
        "timeStamp",
        "total",
        stamp_s=stamps.stamp_s,
        utc_offset_s=stamps.utc_offset_s,
        bin_s=options.bin_s or _interval_s(document),
        split_by=("timeseries",) if several else (),
    )
    return replace(counts, notes=(*notes, *silent, *counts.notes))


def _without_silent_series(points: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """A series that a dimension has split off has no total where it saw no request.

    Where all are silent nobody knows that, as with a single series: one such point stays, to be told or refused. In
    order of time.
    """
    spoken = {point.get("timeStamp") for point in points if not is_blank(point.get("total"))}
    kept, silent = [], 0
    for point in points:
        stamp = point.get("timeStamp")
        if not is_blank(point.get("total")):
            kept.append(point)
        elif stamp in spoken:
            silent += 1
        else:
            kept.append(point)
            spoken.add(stamp)
    note = f"{silent:,} of {len(points):,} points hold no total beside other series of their time: they count as 0"
    return sorted(kept, key=lambda point: str(point.get("timeStamp"))), (note,) if silent else ()


def _metric(path: Path, document: Any) -> dict[str, Any]:
    """The one metric about requests."""
    if isinstance(document, list):
        document = {"value": document}
    entries = objects(document.get("value") if isinstance(document, dict) else None, path, "value")
    if any("timeStamp" in entry for entry in entries):
        return {"data": entries}
    names = {_name(entry): entry for entry in entries}
    wanted = [name for name in names if not _NO_COUNT.search(name)]
    of_requests = [name for name in wanted if "request" in name.casefold()] or wanted
    if len(of_requests) != 1:
        raise InputError(f"{path}: holds the metrics {shown(names)}: keep the one that counts requests")
    return names[of_requests[0]]


def _name(entry: dict[str, Any]) -> str:
    name = entry.get("name")
    return str(name.get("value", "") if isinstance(name, dict) else name or "")


def _series(path: Path, metric: dict[str, Any]) -> list[dict[str, Any]]:
    return [metric] if "data" in metric else objects(metric.get("timeseries"), path, "timeseries")


def _points(path: Path, metric: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for series in _series(path, metric):
        yield from objects(series.get("data"), path, "data")


def _interval_s(document: Any) -> float | None:
    """Width of the bins as the document says it: PT1M, or 0:01:00."""
    text = document.get("interval") if isinstance(document, dict) else None
    found = _INTERVAL.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    d, h, m, s, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(86400 * (d + days) + 3600 * (h + hours) + 60 * (m + minutes) + s + seconds) or None


FORMAT = Format(
    name="azure_metrics",
    title="Azure Monitor metrics (JSON of `az monitor metrics list`)",
    sample='{"interval": "PT1M", "value": [{"name": {"value": "RequestsPerMinute"}, "timeseries": [{"data": '
    '[{"timeStamp": "2026-11-22T10:00:00Z", "total": 60}]}]}]}',
    taken="timeStamp and total of each interval; series that a dimension has split are added up, a silent one as 0",
    left="averages and other aggregates, other metrics",
    stamps=None,
    recognises=_recognises,
    read=_read,
)
