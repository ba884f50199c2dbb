"""Clock times of a trace: `from: "12:00"` found on the time axis of a trace whose requests carry timestamps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from planner import units

REFERENCE = datetime(2020, 1, 1, tzinfo=UTC)
"""Near enough to today's traces that a float of seconds still holds 100 ns."""

DAY_S = 86400.0

_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d(?:\.\d{1,9})?))?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d.*)?", re.ASCII)
_WITH_SECONDS = re.compile(r":\d\d:\d\d")


@dataclass(frozen=True, kw_only=True)
class ClockTime:
    """A time of day (time_of_day_s, seconds after midnight) or a moment; a moment without an offset has the trace's.

    precision_s: a minute, or a second if seconds were written.
    """

    text: str
    precision_s: float
    time_of_day_s: float = 0.0
    moment: datetime | None = None


def start(value: object) -> float | ClockTime:
    """Where a slice starts: a duration after the first request, or a clock time. Raises ValueError with the bound."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        quotes = '; a time of day needs quotes in some files: "12:00"'  # YAML 1.1 makes 720 of it
        raise ValueError(f"needs a unit, {units.DURATION_EXAMPLES}{quotes}")
    text = value.strip() if isinstance(value, str) else ""
    precision_s = 1.0 if _WITH_SECONDS.search(text) else 60.0
    if found := _TIME_OF_DAY.fullmatch(text):
        time_of_day_s = 3600.0 * int(found[1]) + 60.0 * int(found[2]) + float(found[3] or 0)
        return ClockTime(text=text, precision_s=precision_s, time_of_day_s=time_of_day_s)
    if _DATE.fullmatch(text):
        try:
            return ClockTime(text=text, precision_s=precision_s, moment=datetime.fromisoformat(text))
        except ValueError:
            raise ValueError("must be an ISO 8601 time, for example 2023-11-16T18:20:00") from None
    try:
        return units.unbounded_seconds(value)
    except ValueError as bound:
        raise ValueError(f'{bound}, or a time such as "12:00" or "2023-11-16T18:20:00"') from None


@dataclass(frozen=True)
class Clock:
    """What the clock showed at second 0 of a trace. origin_s: seconds since 2020 (UTC); utc_offset_s: of the trace."""

    origin_s: float
    utc_offset_s: float = 0.0

    def shown(self, t_s: float) -> str:
        """The clock at second t_s of the trace, to the second: 2023-11-16 18:17:03+00:00"""
        zone = timezone(timedelta(seconds=self.utc_offset_s))
        moment = REFERENCE + timedelta(seconds=self.origin_s + t_s)
        return moment.astimezone(zone).replace(microsecond=0).isoformat(sep=" ")

    def seconds_at(self, when: ClockTime, last_s: float) -> float:
        """Second of the trace at a clock time; of a time of day, the first occurrence.

        A time within its own precision before the first request is inside: a log whose first line is of 12:00:03 can be
        sliced from 12:00. Raises ValueError for a time outside [0, last_s].
        """
        earliest_s = -when.precision_s
        if when.moment is None:
            local_s = self.origin_s + self.utc_offset_s
            t_s = when.time_of_day_s - local_s % DAY_S
            t_s += DAY_S if t_s <= earliest_s else 0.0
        else:
            zone = timezone(timedelta(seconds=self.utc_offset_s))
            moment = when.moment if when.moment.tzinfo else when.moment.replace(tzinfo=zone)
            t_s = (moment - REFERENCE).total_seconds() - self.origin_s
        t_s = round(t_s, 7)  # as the times of a trace are
        if not earliest_s < t_s <= last_s:
            raise ValueError(f"outside the trace, which runs from {self.shown(0.0)} to {self.shown(last_s)}")
        return t_s
