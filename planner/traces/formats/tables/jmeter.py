"""Results of JMeter and Azure Load Testing as CSV (JTL). timeStamp is the start of a sample, in ms since 1970."""

from __future__ import annotations

import re

from planner.errors import InputError
from planner.traces.categories import categories
from planner.traces.columns import Columns, milliseconds_taken
from planner.traces.formats.format import ReadOptions
from planner.traces.formats.logs.stamps import path_of
from planner.traces.formats.tables.csv_format import csv_format, has
from planner.traces.records import Recorded, Requests, Stamps
from planner.traces.series import rows_are
from planner.traces.tables.csv_table import TableStart
from planner.traces.tables.table import Table


def _matches(start: TableStart) -> bool:
    return has(start, "timestamp", "elapsed") and any(has(start, name) for name in ("label", "responsecode"))


def recorded(table: Table, options: ReadOptions) -> Recorded:
    """Each row is a request, but for the sums that a transaction controller writes."""
    time, elapsed = table.find("timeStamp"), table.find("elapsed")
    if time is None or elapsed is None:
        raise InputError(f"{table.path}: no columns timeStamp and elapsed in the header")
    label, code, url = table.find("label"), table.find("responseCode"), table.find("URL")
    message = table.find("responseMessage")
    columns = table.read([name for name in (time, elapsed, label, code, url, message) if name])
    columns, notes = _without_transactions(columns, message)
    if len(columns) == 0:
        raise InputError(f"{columns.path}: no request in the trace")
    stamps = columns.stamps(time, options.dates)
    elapsed_s = columns.numbers(elapsed, milliseconds_taken)
    blank = [""] * len(columns)
    labels, urls = (columns.values[name] if name else blank for name in (label, url))
    targets = [_method_and_path(str(at), str(text)) for at, text in zip(urls, labels, strict=True)]
    return Requests(
        stamp_s=stamps.stamp_s,
        utc_offset_s=stamps.utc_offset_s,
        stamps=Stamps.START,
        duration_s=elapsed_s,
        service_time_of="what JMeter waited for the answer, queueing and network in it",
        method=categories([method for method, _ in targets]),
        path=categories([path for _, path in targets]),
        status=categories([str(value) for value in columns.values[code]]) if code else None,
        notes=notes,
    )


def _without_transactions(columns: Columns, message: str | None) -> tuple[Columns, tuple[str, ...]]:
    if message is None:
        return columns, ()
    texts = columns.values[message]
    chosen = [i for i, text in enumerate(texts) if not str(text).startswith("Number of samples in transaction")]
    left = len(texts) - len(chosen)
    return columns.rows(chosen), (f"{rows_are(left)} the sum of a transaction's samples, left out",) if left else ()


def _method_and_path(url: str, label: str) -> tuple[str, str]:
    """The path of a URL, else of a label such as `GET /score`; another label as it is."""
    found = _REQUEST.fullmatch(label.strip())
    method, target = (found[1], found[2]) if found else ("", label.strip())
    known = url.strip() not in ("", "null")
    return method, path_of((url.strip() if known else target).encode()).decode("utf-8", "replace")


_REQUEST = re.compile(r"([A-Z]{3,7}) ([/\w]\S*)")

FORMAT = csv_format(
    name="jmeter",
    title="JMeter and Azure Load Testing results (CSV, JTL)",
    sample="timeStamp,elapsed,label,responseCode,success\n1795341600123,115,/score,200,true",
    taken="start, elapsed time (also as service time), path (of the URL, else the label), status",
    left="threads, bytes, latency and connect time; sums of transactions",
    stamps=Stamps.START,
    matches=_matches,
    recorded=recorded,
)
