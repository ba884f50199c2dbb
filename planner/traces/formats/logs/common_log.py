"""Access logs in the common log format, or the combined one: when each request came, by the second.

    host ident user [10/Oct/2000:13:55:36 -0700] "POST /score HTTP/1.1" 200 2326 "referer" "user agent"

What Apache and nginx vary is read: a host in front (`vhost_combined`), IPv6, users with spaces, escaped quotes, `-` for
a size, fractions of a second, anything after the size. Each line is a request, also one whose request line is broken.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from planner.clock import REFERENCE
from planner.traces.formats.format import Format, ReadOptions, Sample
from planner.traces.formats.logs.lines import Entry, LogForm, read_lines
from planner.traces.records import Recorded

_LINE = re.compile(
    rb'\S++ \S++ [^\n]+? \[([^\]\n]{20,40})\] "((?:[^"\\\n]++|\\[^\n])*+)" ([0-9]{3}|-) (?:[0-9]++|-)(?=\s|$)'
    rb'(?: "(?:[^"\\\n]++|\\[^\n])*+" "((?:[^"\\\n]++|\\[^\n])*+)")?'
)
_STAMP = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))? ([-+]\d\d)([0-5]\d)", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def parse(line: bytes) -> Entry | None:
    found = _LINE.match(line)
    moment = clf_seconds(found[1]) if found else None
    if found is None or moment is None:
        return None
    method, path = request_line(found[2])
    return Entry(*moment, method, path, found[3], found[4] or b"")


@lru_cache(maxsize=4096)
def clf_seconds(stamp: bytes) -> tuple[float, float, bool] | None:
    """Of 10/Oct/2000:13:55:36 -0700: seconds since 2020, offset in seconds, and whether there was a fraction."""
    found = _STAMP.fullmatch(stamp.decode("ascii", "replace"))
    if found is None or found[2] not in _MONTHS:
        return None
    day, month, year, time, fraction, hours, minutes = found.groups()
    try:
        moment = datetime.fromisoformat(f"{year}-{_MONTHS.index(month) + 1:02d}-{day}T{time}{hours}:{minutes}")
    except ValueError:
        return None
    offset = moment.utcoffset()
    assert offset is not None
    since = (moment - REFERENCE).total_seconds() + float(f"0.{fraction or 0}")
    return since, offset.total_seconds(), fraction is not None


@lru_cache(maxsize=4096)
def request_line(request: bytes) -> tuple[bytes, bytes]:
    """POST and /score of `POST /score?x=1 HTTP/1.1` and of `POST http://host/score HTTP/1.1`; a broken one has none."""
    parts = request.split(b" ", 2)
    if len(parts) < 2:
        return b"", b""
    return parts[0], path_of(parts[1])


def path_of(target: bytes) -> bytes:
    """A target without host and query."""
    target = target.partition(b"?")[0]
    if target.startswith((b"http://", b"https://")):
        target = b"/" + target.split(b"/", 3)[3] if target.count(b"/") > 2 else b"/"
    return target


FORM = LogForm(name="common log format", parse=parse, stamps=None)


def _recognises(sample: Sample) -> bool:
    return any(parse(line) for line in sample.lines)


def _read(path: Path, options: ReadOptions) -> Recorded:
    return read_lines(path, FORM)


FORMAT = Format(
    name="common_log",
    title="Access log in the common or combined log format (nginx, Apache)",
    sample='10.0.0.1 - - [22/Nov/2026:10:00:03 +0000] "POST /score HTTP/1.1" 200 59 "-" "curl/8.0"',
    taken="time, method, path, status, user agent",
    left="address, user, size, referer",
    stamps=None,
    recognises=_recognises,
    read=_read,
)
