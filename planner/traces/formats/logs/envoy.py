"""The text access log of Envoy in its default format, and that of Istio, which adds four fields.

    [2026-11-22T10:00:00.054Z] "POST /score HTTP/1.1" 200 - 34 366 31 30 "10.0.0.9" "curl/8.0" "id" "host" "10.0.0.5:80"

(envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage,
istio.io/latest/docs/tasks/observability/logs/access-log). START_TIME is when the request came. DURATION is
the whole request in milliseconds; X-ENVOY-UPSTREAM-SERVICE-TIME is the upstream's part, with the network to it.
"""

from __future__ import annotations

import re

from planner.traces.formats.logs.lines import Entry, LogForm, log_format
from planner.traces.formats.logs.stamps import iso_moment, request_line, seconds
from planner.traces.records import Stamps

_LINE = re.compile(
    rb'\[(\d{4}-[^\]\s]{15,40})\] "([^"\n]*)" (\d{1,3}) (\S+)(?: [^"\n]{1,500}? (?:"[^"\n]*"|-))? '
    rb"\d+ \d+ (\d+|-) (\d+|-) "
    rb'(?:"[^"\n]*"|-) (?:"([^"\n]*)"|-)'
)


def parse(line: bytes) -> Entry | None:
    found = _LINE.search(line, 0, 4096)
    moment = iso_moment(found[1]) if found else None
    if found is None or moment is None:
        return None
    method, path = request_line(found[2])
    status = found[3] if found[3] != b"0" else b""
    return Entry(*moment, method, path, status, found[7] or b"", seconds(found[5], 1e-3), seconds(found[6], 1e-3))


_FORM = LogForm(
    name="text format of Envoy",
    parse=parse,
    stamps=Stamps.START,
    service_time_of="x-envoy-upstream-service-time (or the duration, where no line has it)",
)

FORMAT = log_format(
    _FORM,
    name="envoy",
    title="Envoy and Istio, text",
    sample='[2026-11-22T10:00:00.054Z] "POST /score HTTP/1.1" 200 - 34 366 31 30 "10.0.0.9" "curl/8.0" "4f0c" '
    '"host.example" "10.0.0.5:5001"',
    taken="time, method, path, status, user agent, duration; x-envoy-upstream-service-time as service time",
    left="response flags, sizes, addresses, ids",
)
