"""Access logs of AWS's Application Load Balancer, and of the Classic Load Balancer.

    https 2026-11-22T10:00:00.054352Z app/my-lb/50dc 10.1.1.1:2817 10.0.0.1:80 0.000 0.054 0.000 200 200 34 366
    "POST https://host.example:443/score HTTP/1.1" "curl/8.0" - - arn:aws:x "Root=1" "-" "-" 0 2026-11-22T10:00:00.0Z

(docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html). Its first time is when
the answer was generated, request_creation_time when the request was received: that one is the stamp here, or the first
less the three processing times where it is missing. The Classic Load Balancer's only time is when the request was
received. target_processing_time ends with the first bytes of the answer. -1 is a step that was never reached.
"""

from __future__ import annotations

import math
import re

from planner.traces.formats.logs.lines import Entry, LogForm, log_format
from planner.traces.formats.logs.stamps import iso_moment, request_line, seconds
from planner.traces.records import Stamps

_TIME = rb"(\d{4}-\d\d-\d\dT[0-9:.]{8,18}Z)"
_LINE = re.compile(
    rb"(?:(https?|h2|grpcs|wss?) )?"
    + _TIME
    + rb" \S+ \S+ \S+ (-?[0-9.]+) (-?[0-9.]+) (-?[0-9.]+) (\d{3}|-) (?:\d{3}|-) "
    rb'-?\d+ -?\d+ "([^"\n]*)" "((?:[^"\\\n]++|\\[^\n])*+)"(?: \S+ \S+ \S+ "[^"\n]*" "[^"\n]*" "[^"\n]*" \S+ '
    + _TIME
    + rb")?"
)


def parse(line: bytes) -> Entry | None:
    found = _LINE.match(line)
    moment = iso_moment(found[2]) if found else None
    if found is None or moment is None:
        return None
    parts = [seconds(found[i]) for i in (3, 4, 5)]
    duration_s = math.fsum(parts) if not any(map(math.isnan, parts)) else math.nan
    received = iso_moment(found[9]) if found[9] else None
    if received is None and found[1] and not math.isnan(duration_s):
        received = (moment[0] - duration_s, moment[1], moment[2])
    method, path = request_line(found[7])
    status = b"" if found[6] == b"-" else found[6]
    return Entry(*(received or moment), method, path, status, found[8], duration_s, parts[1])


_FORM = LogForm(
    name="log format of the AWS load balancers",
    parse=parse,
    stamps=Stamps.START,
    service_time_of="target_processing_time",
)

FORMAT = log_format(
    _FORM,
    name="aws_alb",
    title="AWS Application and Classic Load Balancer",
    sample="https 2026-11-22T10:00:00.054352Z app/my-lb/50dc 10.1.1.1:2817 10.0.0.1:80 0.000 0.054 0.000 200 200 34 "
    "366 "
    '"POST https://host.example:443/score HTTP/1.1" "curl/8.0" - - arn:aws:x "Root=1-5833" "-" "-" 0 '
    '2026-11-22T10:00:00.000352Z "forward" "-" "-"',
    taken="request_creation_time, method, path, status, user agent, the three processing times; "
    "target_processing_time as service time",
    left="addresses, sizes, TLS, ids, rule, actions",
)
