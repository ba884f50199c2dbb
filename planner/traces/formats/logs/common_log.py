"""Access logs in the common log format, or the combined one: when each request came or ended, by the second.

    host ident user [10/Oct/2000:13:55:36 -0700] "POST /score HTTP/1.1" 200 2326 "referer" "user agent"

What Apache, nginx and gunicorn vary is read: a host in front (`vhost_combined`), IPv6, users with spaces, escaped
quotes, `-` for a size, fractions of a second, anything after the size. Each line is a request, also one whose request
line is broken.

The three write the same line with stamps of two meanings, so the format alone does not tell which:

* Apache: %t is the time the request was received (httpd.apache.org/docs/current/mod/mod_log_config.html).
* nginx: $time_local is the time of the log write, which comes after the last byte was sent
  (nginx.org/en/docs/http/ngx_http_log_module.html, under $msec and $request_time).
* gunicorn: %(t)s is taken when the line is written, after the answer (`Logger.atoms` in gunicorn/glogging.py).

After the user agent two forms of a duration are read: `rt=0.12` (or `request_time=`, with `urt=` or
`upstream_response_time=`) and a number with three to six decimals, both seconds, as nginx ($request_time) and gunicorn
(%(L)s) write them; such a line has its stamp at the end. A named one may have its unit (`rt=250ms`).
A whole number there (%D of Apache and of gunicorn, microseconds) is read by the formats `apache` and `gunicorn`, which
nothing but the user can tell apart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from planner.traces.formats.format import Format, ReadOptions, Sample, sample_of
from planner.traces.formats.logs.lines import NOT_SAID, Entry, LogForm, Parse, holds, new_entry, read_lines
from planner.traces.formats.logs.stamps import (
    NOTHING,
    clf_moment,
    iso_moment,
    last_of_list,
    request_line,
    seconds,
    seconds_with_unit,
)
from planner.traces.records import Recorded, Stamps

_INSIDE = rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+'
_QUOTED = rb'"' + _INSIDE + rb'"'
LINE = re.compile(
    rb'\S++ \S++ [^\n]+? \[([^\]\n]{25,40})\] "(' + _INSIDE + rb')" ([0-9]{3}|-) (?:[0-9]++|-)(?=\s|$)'
    rb"(?: " + _QUOTED + rb' "(' + _INSIDE + rb')")?([^\n\r]*+)'
)
"""Groups: stamp, request line, status, user agent, what follows."""

_ONE = rb"(?:-|[0-9][0-9.,]*+[^\s,;:\"'|\])}=]*+(?: (?:[m\xc2\xb5\xce\xbcun]{0,2}s)(?![^\s,;:\"'|\])}]))?)"
_NAMED = re.compile(
    rb"\b(rt|request_time|urt|upstream_response_time)[=:][\"']? ?((?:" + _ONE + rb"(?:, ?| ?: ?)?)+|[^\s\"';]*)"
)
_DECIMAL = re.compile(rb"(?: " + _QUOTED + rb")? (\d{1,9}\.\d{3,6})(?=\s|$)")
_WHOLE = re.compile(rb"(?: " + _QUOTED + rb")? (\d{1,12})\s*")

Times = tuple[float, float, bytes]
"""Duration and service time in seconds, and what stands in the place of one and is none."""
Durations = Callable[[bytes], Times]
"""Of what stands behind the user agent."""


def of_nginx(rest: bytes) -> Times:
    if found := _DECIMAL.match(rest):
        return seconds(found[1]), NOT_SAID, b""
    named: dict[bytes, bytes] = dict(_NAMED.findall(rest))
    if not named:
        return _NO_TIMES
    duration, unread = _named(named, b"rt", b"request_time")
    upstream, also_unread = _named(named, b"urt", b"upstream_response_time")
    return (upstream if math.isnan(duration) else duration), upstream, unread or also_unread


def _named(named: dict[bytes, bytes], *names: bytes) -> tuple[float, bytes]:
    """The last value under the first of these names, and the text of one that is no time."""
    name = next((name for name in names if name in named), None)
    if name is None:
        return NOT_SAID, b""
    text = named[name].rstrip(b", :")
    last = last_of_list(text)
    taken = seconds_with_unit(last)
    return taken, name + b"=" + text if math.isnan(taken) and last not in NOTHING else b""


def in_microseconds(rest: bytes) -> Times:
    if found := _WHOLE.fullmatch(rest):
        return seconds(found[1], 1e-6), NOT_SAID, b""
    return of_nginx(rest)


def ending_with(
    rest: re.Pattern[bytes], parse_line: Callable[[bytes], Entry | None]
) -> Callable[[bytes], Entry | None]:
    """What reads a line only if all that follows its common part has one form."""

    def own(line: bytes) -> Entry | None:
        found = LINE.match(line)
        return parse_line(line) if found and rest.fullmatch(found[5]) else None

    return own


def parse(line: bytes, durations: Durations = of_nginx) -> Entry | None:
    found = LINE.match(line)
    if found is None:
        return None
    stamp, request, status, agent, rest = found.groups()
    moment = clf_moment(stamp) or iso_moment(stamp)  # nginx may be set to write $time_iso8601 in its place
    if moment is None:
        return None
    status, agent = b"" if status == b"-" else status, agent or b""
    times = durations(rest) if rest else _NO_TIMES
    return new_entry(Entry, (*moment, *request_line(request), status, agent, *times))


_NO_TIMES = (NOT_SAID, NOT_SAID, b"")

SERVICE_TIME_OF = "the duration of the whole request on the line (or upstream_response_time, where there is one)"


def form(stamps: Stamps | None, parse: Parse) -> LogForm:
    return LogForm(name="common log format", parse=parse, stamps=stamps, service_time_of=SERVICE_TIME_OF)


def _read(path: Path, options: ReadOptions) -> Recorded:
    requests = read_lines(path, form(None, parse))
    if requests.duration_s is not None:
        return replace(requests, stamps=Stamps.END)
    matches = (LINE.match(line) for line in sample_of(path).lines)
    if any(found and _WHOLE.fullmatch(found[5]) for found in matches):
        unread = (
            "has a whole number after the user agent, which was not read; if it is the duration in microseconds, "
            "`format: apache` or `format: gunicorn` reads it so"
        )
        return replace(requests, notes=(*requests.notes, unread))
    return requests


def _read_as(stamps: Stamps, path: Path, options: ReadOptions) -> Recorded:
    return read_lines(path, form(stamps, partial(parse, durations=in_microseconds)))


def _recognises(sample: Sample) -> bool:
    return holds(sample, parse)


def _never(sample: Sample) -> bool:
    return False


_TAKEN = "time, method, path, status, user agent"

FORMAT = Format(
    name="common_log",
    title="Access log, common or combined (nginx, Apache, gunicorn)",
    sample='10.0.0.1 - - [22/Nov/2026:10:00:03 +0000] "POST /score HTTP/1.1" 200 59 "-" "curl/8.0" rt=0.120 urt=0.118',
    taken=f"{_TAKEN}; after it `rt=`, `urt=`, `request_time=`, `upstream_response_time=` (s, or their own unit), or "
    "decimals, in s",
    left="address, user, size, referer",
    stamps=None,
    recognises=_recognises,
    read=_read,
)
GUNICORN = Format(
    name="gunicorn",
    title="The same of gunicorn with %(D)s (only by `format`)",
    sample='10.0.0.1 - - [22/Nov/2026:10:00:03 +0000] "POST /score HTTP/1.1" 200 59 "-" "curl/8.0" 120345',
    taken=f"{_TAKEN}; after it the duration in us",
    left="address, user, size, referer",
    stamps=Stamps.END,
    recognises=_never,
    read=partial(_read_as, Stamps.END),
)
APACHE = Format(
    name="apache",
    title="The same of Apache, with %D or without (only by `format`)",
    sample='10.0.0.1 - - [22/Nov/2026:10:00:03 +0000] "POST /score HTTP/1.1" 200 59 "-" "curl/8.0" 120345',
    taken=f"{_TAKEN}; after it the duration in us",
    left="address, user, size, referer",
    stamps=Stamps.START,
    recognises=_never,
    read=partial(_read_as, Stamps.START),
)
