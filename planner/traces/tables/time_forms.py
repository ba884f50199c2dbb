"""Times as a column of text or numbers writes them: ISO 8601, seconds since 1970, dates of a country, month names.

A column is read as a whole: its first cell shows the form, and one day above 12 shows the order of day and month.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from planner.clock import REFERENCE


class DateOrder(StrEnum):
    """What comes first in 04/05/2026."""

    DAY_FIRST = "day_first"
    MONTH_FIRST = "month_first"


class Moment(NamedTuple):
    """stamp_s: seconds since 2020 (UTC); utc_offset_s: 0 where the text has none."""

    stamp_s: float
    utc_offset_s: float


@dataclass(frozen=True)
class TimeForm:
    """How the cells of one column are read. read raises ValueError with the bound; note: what the user must know."""

    read: Callable[[Any], Moment]
    note: str = ""


class Nanoseconds(int):
    """A time since 1970, as Arrow counts it."""


_REFERENCE_S = int(REFERENCE.timestamp())
_EPOCH_S = (946_684_800, 4_102_444_800)
"""From 2000 to 2100: a count of that many seconds, ms, us or ns is no count of any other."""

_UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_COUNT = re.compile(r"(\d{9,19})(?:\.(\d*))?", re.ASCII)
_ROUNDED = re.compile(r"\d[.,]?\d{0,8}e\+?\d{1,2}", re.ASCII | re.IGNORECASE)

_CLOCK = (
    r"(?:[,T]?\s*(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,:](?P<fraction>\d{1,9}))?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?\s*(?P<zone>Z|UTC|GMT|[-+]\d\d:?\d\d)?"
)
_NUMERIC = re.compile(r"(?P<a>\d{1,4})(?P<mark>[/.\-])(?P<b>\d{1,2})(?P=mark)(?P<c>\d{1,4})" + _CLOCK, re.ASCII)
_NAMED = (
    re.compile(
        r"(?:[A-Za-z]{3,9},? )?(?P<day>\d{1,2})[ \-/](?P<month>[A-Za-z]{3,9})\.?[ \-/,]+(?P<year>\d{4})" + _CLOCK
    ),
    re.compile(r"(?:[A-Za-z]{3,9}, )?(?P<month>[A-Za-z]{3,9})\.? (?P<day>\d{1,2}),? (?P<year>\d{4})" + _CLOCK),
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ZONE_AT_END = re.compile(r"\s*(?:([-+]\d\d:?\d\d)\s*)?(?:UTC|GMT|\bZ|([-+]\d\d:?\d\d))$")

NO_TIME = "must be an ISO 8601 time, for example 2023-11-16 18:17:03.98"


def time_form(cells: Sequence[Any], order: DateOrder | None = None) -> TimeForm:
    """The form of a column. order: what the user says of its dates."""
    first = next((cell for cell in cells if str(cell if cell is not None else "").strip()), None)
    if first is None or isinstance(first, Nanoseconds):
        return TimeForm(iso_moment)
    text = str(first).strip()
    if _is_count(first) and (unit := _unit_of(text)):
        return TimeForm(_Epoch(unit).read, f"counts {unit} since 1970: the first is {_shown(_Epoch(unit).read(text))}")
    found = _NUMERIC.fullmatch(text)
    if found and len(found["a"]) < 4:
        return _dated(cells, found["mark"], order)
    if found and found["mark"] != "-":
        return TimeForm(_year_first)
    if any(named.fullmatch(text) for named in _NAMED):
        return TimeForm(_named)
    return TimeForm(iso_moment)


def iso_moment(value: Any) -> Moment:
    """An ISO 8601 time; without an offset it is taken as UTC. Digits below 1 us are kept."""
    if isinstance(value, Nanoseconds):
        return Moment((value - _REFERENCE_S * 10**9) / 1e9, 0.0)
    text = str(value).strip()
    if text[4:5] != "-":
        _refuse_numbers(text)
    digits = text.partition(".")[2]
    fraction = digits[: len(digits) - len(digits.lstrip("0123456789"))]
    below_us = float(f"0.000000{fraction[6:]}") if len(fraction) > 6 else 0.0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _with_zone_words(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return _of(moment, below_us)


def _refuse_numbers(text: str) -> None:
    """A number is no ISO time, though Python reads 1711111600 as one of the year 1711."""
    if _COUNT.fullmatch(text):
        raise ValueError(_bound_of_count(text))
    if _ROUNDED.fullmatch(text):
        raise ValueError("was rounded, as spreadsheets do with long numbers: export it anew")


def _with_zone_words(text: str) -> datetime:
    """2026-11-22 10:00:00 UTC, and the +0000 UTC of Go."""
    found = _ZONE_AT_END.search(text)
    try:
        if found is None:
            raise ValueError
        return datetime.fromisoformat(text[: found.start()] + (found[1] or found[2] or "+00:00"))
    except ValueError:
        raise ValueError(NO_TIME) from None


def _of(moment: datetime, below_us: float = 0.0) -> Moment:
    offset = moment.utcoffset() or timedelta()
    return Moment((moment - REFERENCE).total_seconds() + below_us, offset.total_seconds())


def _shown(moment: Moment) -> str:
    return f"{REFERENCE + timedelta(seconds=moment.stamp_s):%Y-%m-%d %H:%M:%S} UTC"


# Counts since 1970


def _is_count(cell: Any) -> bool:
    return not isinstance(cell, bool) and _COUNT.fullmatch(str(cell).strip()) is not None


def _unit_of(text: str) -> str | None:
    found = _COUNT.fullmatch(text)
    return next(
        (u for u, per_s in _UNITS.items() if found and _EPOCH_S[0] <= int(found[1]) / per_s < _EPOCH_S[1]), None
    )


def _bound_of_count(text: str) -> str:
    unit = _unit_of(text)
    if unit is None:
        return "is no time from 2000 to 2100, in whatever unit it counts since 1970"
    return f"counts {unit} since 1970, and the first row is of another form"


@dataclass(frozen=True)
class _Epoch:
    unit: str

    def read(self, value: Any) -> Moment:
        text = str(value).strip()
        found = _COUNT.fullmatch(text)
        if found is None:
            raise ValueError(f"must be {self.unit} since 1970, as the first row is")
        if _unit_of(text) != self.unit:
            raise ValueError(f"{_bound_of_count(text)}: the first row counts {self.unit}")
        per_s = _UNITS[self.unit]
        return Moment((int(found[1]) - _REFERENCE_S * per_s + float(f"0.{found[2] or 0}")) / per_s, 0.0)


# Dates


def _dated(cells: Sequence[Any], mark: str, order: DateOrder | None) -> TimeForm:
    """Day and month in the order that the whole column shows; 22.11.2026 has the day first wherever it is written."""
    shown = DateOrder.DAY_FIRST if mark == "." else _order_shown(cells)
    chosen = shown or order
    if chosen is None:
        return TimeForm(_with_two_readings)
    return TimeForm(lambda value: _in_order(value, chosen))


def _order_shown(cells: Sequence[Any]) -> DateOrder | None:
    for cell in cells:
        found = _NUMERIC.fullmatch(str(cell).strip())
        if found and int(found["a"]) > 12:
            return DateOrder.DAY_FIRST
        if found and int(found["b"]) > 12:
            return DateOrder.MONTH_FIRST
    return None


def _in_order(value: Any, order: DateOrder) -> Moment:
    found = _NUMERIC.fullmatch(str(value).strip())
    if found is None or len(found["a"]) > 2:
        raise ValueError("must be a time of the same form as the first row's")
    if len(found["c"]) != 4:
        raise ValueError("must have a year of four digits, for example 22/11/2026 10:00")
    day, month = (found["a"], found["b"]) if order is DateOrder.DAY_FIRST else (found["b"], found["a"])
    if int(month) > 12:
        word = order.value.replace("_", " ")
        raise ValueError(f"is no date with the {word}, which is the order of another row or of `dates`")
    return _clocked(found, int(found["c"]), int(month), int(day))


def _with_two_readings(value: Any) -> Moment:
    """A date with one reading, such as 11/11/2026. Raises ValueError with both where there are two."""
    day_first, month_first = (_in_order(value, order) for order in DateOrder)
    if day_first != month_first:
        both = " or ".join(f"{_shown(moment)[:10]}" for moment in (day_first, month_first))
        raise ValueError(f"may be {both}, and no row tells: say `dates: day_first` or `dates: month_first`")
    return day_first


def _year_first(value: Any) -> Moment:
    found = _NUMERIC.fullmatch(str(value).strip())
    if found is None or len(found["a"]) != 4:
        raise ValueError("must be a time of the same form as the first row's")
    return _clocked(found, int(found["a"]), int(found["b"]), int(found["c"]))


def _named(value: Any) -> Moment:
    text = str(value).strip()
    found = next((found for named in _NAMED if (found := named.fullmatch(text))), None)
    if found is None or found["month"][:3].lower() not in _MONTHS:
        raise ValueError("must be a time with an English month, for example 22 Nov 2026 10:00:00")
    return _clocked(found, int(found["year"]), _MONTHS.index(found["month"][:3].lower()) + 1, int(found["day"]))


def _clocked(found: re.Match[str], year: int, month: int, day: int) -> Moment:
    hour = int(found["hour"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(f"must have an hour from 1 to 12 before {found['half']}")
        hour = hour % 12 + (12 if found["half"][0] in "pP" else 0)
    zone = found["zone"] or ""
    offset = datetime.strptime(zone, "%z").tzinfo if zone[:1] in ("+", "-") else UTC
    try:
        moment = datetime(year, month, day, hour, int(found["minute"] or 0), int(found["second"] or 0), tzinfo=offset)
    except ValueError as bound:
        raise ValueError(f"is no time ({bound})") from None
    return _of(moment, float(f"0.{found['fraction'] or 0}"))
