"""The access log of Traefik: common log format with its own end.

    address - user [stamp] "request" status size "referer" "agent" count "router" "server" 123ms

(doc.traefik.io/traefik/observability/access-logs). The stamp is StartUTC, when the request came; the milliseconds at
the end are the whole request (`CommonLogFormatter` in traefik's pkg/middlewares/accesslog/logger_formatters.go).
"""

from __future__ import annotations

import re

from planner.traces.formats.logs import common_log
from planner.traces.formats.logs.lines import NOT_SAID, Entry, LogForm, log_format
from planner.traces.formats.logs.stamps import seconds
from planner.traces.records import Stamps

_REST = re.compile(rb' (?:\d+|-) (?:"[^"]*"|-) (?:"[^"]*"|-) (\d+)ms\s*')


def _durations(rest: bytes) -> common_log.Times:
    found = _REST.fullmatch(rest)
    return (seconds(found[1], 1e-3) if found else NOT_SAID), NOT_SAID, b""


def parse(line: bytes) -> Entry | None:
    return common_log.parse(line, _durations)


_FORM = LogForm(
    name="log format of Traefik",
    parse=parse,
    stamps=Stamps.START,
    service_time_of="the duration of the whole request",
    own=common_log.ending_with(_REST, parse),
)

FORMAT = log_format(
    _FORM,
    name="traefik",
    title="Access log of Traefik",
    sample='10.0.0.1 - - [22/Nov/2026:10:00:03 +0000] "POST /score HTTP/1.1" 200 59 "-" "curl/8.0" 12 "ml@docker" '
    '"http://10.0.0.5:5001" 123ms',
    taken="time, method, path, status, user agent, duration",
    left="address, user, size, referer, router, server",
)
