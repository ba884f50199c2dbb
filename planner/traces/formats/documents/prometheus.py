"""Rates over time as Prometheus answers `/api/v1/query_range`: a matrix, whose series are added up.

A rate() looks back, so a value holds for the step that ends at its stamp.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from planner.errors import InputError
from planner.traces.formats.documents.document import begins_with_key, document_of, objects
from planner.traces.formats.format import Format, ReadOptions, Sample
from planner.traces.rate_steps import rates_of, steps
from planner.traces.records import Recorded
from planner.traces.tables.table import of_rows

HEADER = ("time", "rate")
_NAMED_RATE = re.compile(r":|rate|rps|qps|per_s", re.IGNORECASE)
"""In the name of a recording rule; the answer of rate() has no name."""


def _recognises(sample: Sample) -> bool:
    return begins_with_key(sample, b"resultType") and begins_with_key(sample, b"result")


def _read(path: Path, options: ReadOptions) -> Recorded:
    document = document_of(path)
    data = document.get("data", document) if isinstance(document, dict) else None
    if not isinstance(data, dict) or data.get("resultType") != "matrix":
        raise InputError(f"{path}: is no matrix over time: ask /api/v1/query_range, with a step")
    series = objects(data.get("result"), path, "result")
    if not series:
        raise InputError(f"{path}: holds no series")
    _refuse_counters(path, series)
    sums: dict[Any, float] = {}
    for time, rate in (pair for one in series for pair in _values(path, one)):
        sums[time] = sums.get(time, 0.0) + rate
    columns = of_rows(path, HEADER, list(sums.items())).read(HEADER)
    stamps = columns.stamps("time", options.dates)
    added = (f"{len(series)} series are added up",) if len(series) > 1 else ()
    return steps(
        columns,
        "time",
        stamp_s=stamps.stamp_s,
        rate_rps=rates_of(columns, "rate", 1.0),
        utc_offset_s=stamps.utc_offset_s,
        bin_s=options.bin_s,
        looks_back=True,
        notes=("its values are taken as requests per second", *added),
    )


def _refuse_counters(path: Path, series: list[dict[str, Any]]) -> None:
    """A rate() has lost its name; a counter that still has it goes up for ever."""
    for one in series:
        metric = one.get("metric")
        name = str(metric.get("__name__", "")) if isinstance(metric, dict) else ""
        if name.endswith(("_total", "_count", "_sum", "_bucket")):
            raise InputError(f"{path}: holds the counter {name[:60]}, no rate: ask for sum(rate({name[:60]}[1m]))")
        if name and not _NAMED_RATE.search(name):
            raise InputError(f"{path}: holds {name[:60]}, whose name is not that of a rate: ask for a rate(...)")


def _values(path: Path, series: dict[str, Any]) -> Iterator[tuple[Any, float]]:
    values = series.get("values")
    if not isinstance(values, list):
        raise InputError(f"{path}: a series has no values over time")
    for pair in values:
        try:
            time, rate = pair
            yield time, float(rate)
        except (TypeError, ValueError):
            raise InputError(f"{path}: {str(pair)[:60]} must be a pair of time and number") from None


FORMAT = Format(
    name="prometheus",
    title="Prometheus `query_range` (JSON)",
    sample='{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": '
    '[[1795341600, "5.25"], [1795341660, "6.25"]]}]}}',
    taken="time and rate (requests per second) of each step, which ends at its stamp; several series are added up",
    left="labels; counters are refused, ask for rate(...)",
    stamps=None,
    recognises=_recognises,
    read=_read,
)
