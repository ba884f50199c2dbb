"""The container log of Azure ML's scoring server, as `az ml online-deployment get-logs` shows it.

    2026-11-22 10:00:20,823 I [119] azmlinfsrv.print - received 6 values
    2026-11-22 10:00:21,128 I [119] azmlinfsrv - POST /score 200 305.413ms 1121
    2026-11-22 10:00:21,128 I [119] gunicorn.access - 127.0.0.1 - - [22/Nov/2026:10:00:21 +0000] "POST /score ..."

The stamp is UTC (learn.microsoft.com/azure/machine-learning/how-to-inference-server-http, "server logs") and is when
the line was written, after the answer. The milliseconds are the time inside the worker, without its queue. The line of
gunicorn.access is the same request again, and is left out.
"""

from __future__ import annotations

import re

from planner.traces.formats.logs.lines import Entry, LogForm, log_format
from planner.traces.formats.logs.stamps import iso_moment, path_of, seconds
from planner.traces.records import Stamps

_LINE = re.compile(
    rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) [A-Z] \[\d+\] azmlinfsrv - ([A-Z]{1,20}) (\S{1,8000}) (\d{3}) "
    rb"(\d+(?:\.\d+)?)ms(?: (?:\d+|None|-))?\s*$"
)


def parse(line: bytes) -> Entry | None:
    found = _LINE.match(line)
    moment = iso_moment(found[1]) if found else None
    if found is None or moment is None:
        return None
    taken_s = seconds(found[5], 1e-3)
    return Entry(*moment, found[2], path_of(found[3]), found[4], b"", taken_s, taken_s)


_REQUEST = re.compile(
    rb"\d{4}-\d\d-\d\d \S{8,16} [A-Z] \[\d+\] azmlinfsrv - (?:GET|POST|PUT|HEAD|OPTIONS|PATCH|DELETE) /"
)


def _is_other(line: bytes) -> bool:
    """Whatever a container prints stands in this log. A request that cannot be read is none of that."""
    return _REQUEST.match(line) is None


_FORM = LogForm(name="log of the scoring server", parse=parse, stamps=Stamps.END, is_other=_is_other)

FORMAT = log_format(
    _FORM,
    name="azmlinfsrv",
    title="Log of Azure ML's scoring server (`az ml online-deployment get-logs`)",
    sample="2026-11-22 10:00:21,128 I [119] azmlinfsrv - POST /score 200 305.413ms 1121",
    taken="time, method, path, status, service time",
    left="size; every other line, also those of gunicorn.access, which are the same requests",
)
