"""Access logs in the common log format, or the combined one: when each request came, by the second.

    host ident user [10/Oct/2000:13:55:36 -0700] "POST /score HTTP/1.1" 200 2326 "referer" "user agent"

What Apache and nginx vary is read: a host in front (`vhost_combined`), IPv6, users with spaces, escaped quotes, `-` for
a size, fractions of a second, anything after the size. Each line is a request, also one whose request line is broken.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from planner.clock import REFERENCE
from planner.errors import InputError
from planner.model import FloatArray
from planner.reading import opened, reading

ENDINGS = (".log", ".clf", ".txt")

LONGEST_LINE = 65_536
"""Bytes. Servers refuse requests that could fill more."""

_LINE = re.compile(
    rb'\S++ \S++ [^\n]+? \[([^\]\n]{20,40})\] "((?:[^"\\\n]++|\\[^\n])*+)" (?:[0-9]{3}|-) (?:[0-9]++|-)(?=\s|$)'
)
_STAMP = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))? ([-+]\d\d)([0-5]\d)", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, kw_only=True)
class AccessLog:
    """times_s: seconds since 2020 (UTC), in the order of the lines; utc_offset_s: of the earliest request."""

    times_s: FloatArray
    utc_offset_s: float
    has_whole_seconds: bool


def read_access_log(path: Path, url_path: str | None = None) -> AccessLog:
    """Every request of a log, or those for exactly one path, without its query. A line of another form is refused."""
    reader = _Reader(None if url_path is None else url_path.encode())
    with reading(path, str(path)), opened(path) as file:
        while line := file.readline(LONGEST_LINE + 1):
            reader.take(line)
    reader.check(path, url_path)
    times_s = np.array(reader.times_s)
    return AccessLog(
        times_s=times_s,
        utc_offset_s=reader.offsets_s[int(np.argmin(times_s))],
        has_whole_seconds=not reader.has_fractions,
    )


class _Reader:
    """What has been read so far; a line at a time, because logs are large."""

    def __init__(self, wanted: bytes | None) -> None:
        self.wanted = wanted
        self.times_s, self.offsets_s = array("d"), array("d")
        self.has_fractions = False
        self.number = self.lines = self.bad = 0
        self.first_bad = (0, b"")
        self.other_paths: dict[bytes, None] = {}

    def take(self, line: bytes) -> None:
        self.number += 1
        found = _LINE.match(line) if len(line) <= LONGEST_LINE else None
        moment = _seconds(found[1]) if found else None
        if found is None or moment is None:
            if line.strip():
                self.lines += 1
                self.first_bad = self.first_bad if self.bad else (self.number, line)
                self.bad += 1
            return
        self.lines += 1
        if self.wanted is not None and (path := _path(found[2])) != self.wanted:
            if len(self.other_paths) < 3:
                self.other_paths[path] = None
            return
        seconds, offset_s, has_fraction = moment
        self.times_s.append(seconds)
        self.offsets_s.append(offset_s)
        self.has_fractions |= has_fraction

    def check(self, path: Path, url_path: str | None) -> None:
        if self.bad:
            number, line = self.first_bad
            text = _text(line)
            raise InputError(
                f"{path}: line {number} is not in the common log format ({text}); "
                f"{self.bad} of {self.lines} lines are not (if it is a table, say `format: csv`)"
            )
        if not self.lines:
            raise InputError(f"{path}: no request in the log")
        if not self.times_s:
            others = ", ".join(_text(other) for other in self.other_paths)
            raise InputError(f"{path}: no request for the path {url_path} in {self.lines} lines (there are {others})")


@lru_cache(maxsize=4096)
def _seconds(stamp: bytes) -> tuple[float, float, bool] | None:
    """Seconds since 2020, offset from UTC in seconds, and whether there was a fraction; None for no time."""
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


def url_path(value: object) -> str:
    """A path to look for, as a person writes it. Raises ValueError with the bound."""
    if not isinstance(value, str) or not re.fullmatch(r"/[^\s?]*", value):
        raise ValueError("must be a path without a query, for example /score")
    return value


def _path(request: bytes) -> bytes:
    """/score of `POST /score?x=1 HTTP/1.1` and of `POST http://host/score HTTP/1.1`; a broken request line has none."""
    parts = request.split(b" ", 2)
    target = parts[1].partition(b"?")[0] if len(parts) > 1 else b""
    if target.startswith((b"http://", b"https://")):
        target = b"/" + target.split(b"/", 3)[3] if target.count(b"/") > 2 else b"/"
    return target


def _text(line: bytes) -> str:
    text = " ".join(line[:200].decode("utf-8", "replace").split())
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= 60 else text[:57] + "..."
