"""HAProxy's `option httplog`, with whatever syslog puts in front.

    ... haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ----
    1/1/1/1/0 0/0 {captured} {captured} "GET /index.html HTTP/1.1"

(docs.haproxy.org/2.8/configuration.html, 8.2.3 "HTTP log format" and 8.4 "Timing events"). The stamp is when the
request began to arrive (%tr; before HAProxy 1.7 the accept date), in the local time of the machine, taken as UTC. The
timers are TR/Tw/Tc/Tr/Ta in milliseconds: receiving the request, waiting in HAProxy's queue, connecting, the server's
answer, all of it. -1 is a step that was never reached. The service time is Ta - TR - Tw, of requests that a server
answered.
"""

from __future__ import annotations

import re

from planner.traces.formats.logs.lines import NOT_SAID, Entry, LogForm, log_format
from planner.traces.formats.logs.stamps import clf_moment, request_line, seconds
from planner.traces.records import Stamps

_LINE = re.compile(
    rb" \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3})\] \S+ [^\s/]+/\S+ "
    rb"(-?\d{1,12})/(-?\d{1,12})/(-?\d{1,12})/(-?\d{1,12})/\+?(-?\d{1,12}) "
    rb'(\d{3}|-1) \+?-?\d+ \S+ \S+ \S{4} \d+/\d+/\d+/\d+/\+?\d+ \d+/\d+ (?:\{[^}]*\} ){0,2}"([^"\n]*)'
)


def parse(line: bytes) -> Entry | None:
    found = _LINE.search(line)
    moment = clf_moment(found[1]) if found else None
    if found is None or moment is None:
        return None
    receiving, waiting, _, answer, whole = (int(found[i]) for i in range(2, 7))
    duration_s = seconds(b"%d" % whole, 1e-3)
    is_served = answer >= 0 and waiting >= 0
    served = whole - max(receiving, 0) - waiting
    method, path = request_line(found[8])
    status = b"" if found[7] == b"-1" else found[7]
    return Entry(
        *moment, method, path, status, b"", duration_s, seconds(b"%d" % served, 1e-3) if is_served else NOT_SAID
    )


_FORM = LogForm(
    name="HTTP log format of HAProxy", parse=parse, stamps=Stamps.START, service_time_of="Ta - TR - Tw of the line"
)

FORMAT = log_format(
    _FORM,
    name="haproxy",
    title="HAProxy, `option httplog`",
    sample="Feb  6 12:14:14 host haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 "
    '10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "POST /score HTTP/1.1"',
    taken="time, method, path, status, timers; Ta - TR - Tw as service time",
    left="addresses, names, size, cookies, captured headers, connection counts; the zone, which the line does not say",
)
