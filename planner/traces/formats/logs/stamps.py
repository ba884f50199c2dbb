"""Times, durations and requests as logs write them. What cannot be read is None or NaN, never an exception."""

from __future__ import annotations

import math
import re
from datetime import datetime
from functools import lru_cache

from planner.clock import REFERENCE
from planner.units import LONGEST_S

Moment = tuple[float, float, bool]
"""Seconds since 2020 (UTC), offset from UTC in seconds, whether a fraction of a second was written."""

_CLF = re.compile(
    r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(?: ([-+]\d\d)([0-5]\d))?", re.ASCII
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,12}))?\s?(Z|UTC|[-+]\d\d:?[0-5]\d)?", re.ASCII | re.IGNORECASE
)
_NUMBER = re.compile(rb"\d{1,12}(?:\.\d{1,12})?(?:[eE][-+]?\d{1,2})?")
_EPOCH_S = REFERENCE.timestamp()
_UNITS_S = {b"s": 1.0, b"ms": 1e-3, b"us": 1e-6, "\u00b5s".encode(): 1e-6, "\u03bcs".encode(): 1e-6, b"ns": 1e-9}
_WITH_UNIT = re.compile(rb"([0-9.eE+-]*[0-9.]) ?([^0-9.\s]*)")
_NEXT = re.compile(rb", +| *: *|,(?=-|\d+\.)")
NOTHING = (b"", b"-")
"""What stands where a request took no time that a server knows."""


def clf_moment(stamp: bytes) -> Moment | None:
    """Of 10/Oct/2000:13:55:36 -0700, with a fraction or without."""
    if b"." not in stamp:
        return _clf(stamp)
    head, _, fraction = stamp.partition(b".")  # the second is looked up, its fraction added
    digits, _, zone = fraction.partition(b" ")
    if not (digits.isdigit() and len(digits) <= 9):
        return None
    moment = _clf(head + b" " + zone if zone else head)
    return None if moment is None else (moment[0] + int(digits) / 10.0 ** len(digits), moment[1], True)


@lru_cache(maxsize=4096)
def _clf(stamp: bytes) -> Moment | None:
    found = _CLF.fullmatch(stamp.decode("ascii", "replace"))
    if found is None or found[2] not in _MONTHS:
        return None
    day, month, year, time, fraction, hours, minutes = found.groups()
    date = f"{year}-{_MONTHS.index(month) + 1:02d}-{day}"
    return _moment(date, time, fraction, f"{hours}:{minutes}" if hours else "+00:00")


@lru_cache(maxsize=4096)
def iso_moment(stamp: bytes) -> Moment | None:
    """Of 2026-11-22T10:00:00.054352Z or 2026-11-22 10:00:21,128; without an offset it is UTC."""
    found = _ISO.fullmatch(stamp.decode("ascii", "replace"))
    if found is None:
        return None
    date, time, fraction, zone = found.groups()
    return _moment(date, time, fraction, "+00:00" if (zone or "Z").upper() in ("Z", "UTC") else zone)


def _moment(date: str, time: str, fraction: str | None, zone: str) -> Moment | None:
    try:
        moment = datetime.fromisoformat(f"{date}T{time}{zone}")
    except ValueError:
        return None
    offset = moment.utcoffset()
    assert offset is not None
    since = (moment - REFERENCE).total_seconds() + float(f"0.{fraction or 0}")
    return since, offset.total_seconds(), fraction is not None


def epoch_moment(seconds: float) -> Moment | None:
    """Of seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size: 2001 to 2100."""
    for unit in (1.0, 1e3, 1e6, 1e9):
        if 1e9 <= seconds / unit < 4.1e9:
            since = seconds / unit
            return since - _EPOCH_S, 0.0, unit > 1.0 or since != math.floor(since)
    return None


def seconds(text: bytes, unit: float = 1.0) -> float:
    """A time that something took, in units of `unit` seconds; NaN for `-`, for no number and for more than a week."""
    if not _NUMBER.fullmatch(text):
        return math.nan
    taken = float(text) * unit
    return taken if taken <= LONGEST_S else math.nan


def seconds_with_unit(text: bytes, unit: float = 1.0) -> float:
    """Of `0.25`, in units of `unit` seconds, and of `250ms` or `250 us`.

    NaN for another unit, for `0,25` and where `seconds` says NaN.
    """
    if _NUMBER.fullmatch(text):
        return seconds(text, unit)
    found = _WITH_UNIT.fullmatch(text)
    own = None if found is None else _UNITS_S.get(found[2]) if found[2] else unit
    return math.nan if found is None or own is None else seconds(found[1], own)


def last_of_list(text: bytes) -> bytes:
    """nginx lists a value for each upstream that was tried (`0.001, 0.200`, `-, 0.2`, `0.1 : 0.2`): the last one's.

    The comma of `0,250` separates nothing.
    """
    return _NEXT.split(text)[-1].strip() if b"," in text or b":" in text else text.strip()


@lru_cache(maxsize=4096)
def request_line(request: bytes) -> tuple[bytes, bytes]:
    """POST and /score of `POST /score?x=1 HTTP/1.1` and of `POST http://host/score HTTP/1.1`; a broken one has none."""
    parts = request.split(b" ", 2)
    if len(parts) < 2 or not parts[0].isalpha():
        return b"", b""
    return parts[0], path_of(parts[1])


@lru_cache(maxsize=4096)
def path_of(target: bytes) -> bytes:
    """A target without scheme, host and query."""
    target = target.partition(b"?")[0]
    if target.lower().startswith((b"http://", b"https://")):
        target = b"/" + target.split(b"/", 3)[3] if target.count(b"/") > 2 else b"/"
    return target
