"""The access log of ingress-nginx, in its default format `upstreaminfo`.

    address - user [stamp] "request" status size "referer" "agent" request_length request_time [upstream] [alternative]
    upstream_addr upstream_response_length upstream_response_time upstream_status req_id

(kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/log-format). The stamp is $time_local, the time of
the log write; $request_time runs from the first byte read from the client to it. A request that was tried on several
upstreams has lists; the last upstream is the one that answered. `-` is a request that reached none.
"""

from __future__ import annotations

import re

from planner.traces.formats.logs import common_log
from planner.traces.formats.logs.lines import Entry, LogForm, log_format
from planner.traces.formats.logs.stamps import last_of_list, seconds
from planner.traces.records import Stamps

_LIST = rb"[^\s,]++(?:(?:, | : )[^\s,]++)*+"
_TIMES = rb"(?:\d+\.\d+|-)(?:(?:, | : )(?:\d+\.\d+|-))*+"
_REST = re.compile(
    rb" \d+ (\d+\.\d+) \[[^\]]*\](?: \[[^\]]*\])? "
    + rb" ".join((_LIST, _LIST, rb"(" + _TIMES + rb")", _LIST))
    + rb"(?: \S+)?\s*"
)


def _durations(rest: bytes) -> common_log.Times:
    found = _REST.fullmatch(rest)
    return common_log.of_nginx(rest) if found is None else (seconds(found[1]), seconds(last_of_list(found[2])), b"")


def parse(line: bytes) -> Entry | None:
    return common_log.parse(line, _durations)


_FORM = LogForm(
    name="log format of ingress-nginx",
    parse=parse,
    stamps=Stamps.END,
    service_time_of="upstream_response_time",
    duration_of="request_time, the duration of the whole request",
    own=common_log.ending_with(_REST, parse),
)

FORMAT = log_format(
    _FORM,
    name="ingress_nginx",
    title="Access log of ingress-nginx",
    sample='10.0.0.1 - - [22/Nov/2026:10:00:03 +0000] "POST /score HTTP/1.1" 200 59 "-" "curl/8.0" 89 2.356 '
    "[ml-blue-5001] [] 10.244.1.5:5001 59 2.350 200 4f0c",
    taken="time, method, path, status, user agent, request_time; upstream_response_time as service time",
    left="address, user, sizes, referer, upstream, request id",
)
