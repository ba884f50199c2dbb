"""Clock times: how a slice's start is read, and where it lies on a trace."""

from __future__ import annotations

from datetime import datetime

import pytest

from planner.clock import REFERENCE, Clock, ClockTime, start

NOON = (datetime.fromisoformat("2026-03-01T12:00:03.5+02:00") - REFERENCE).total_seconds()
CLOCK = Clock(NOON, 7200.0)
"""A trace whose first request came at 12:00:03.5, two hours before UTC."""


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("12:00", -3.5),  # the minute of the first request
        ("12:01", 56.5),
        ("12:00:03", -0.5),
        ("12:00:04", 0.5),
        ("12:00:03.500", 0.0),
        ("13:00", 3596.5),
        ("0:00", 43196.5),  # the next day
        ("11:59", 86400 - 63.5),
        ("12:00:02", 86400 - 1.5),
        ("2026-03-01T12:01", 56.5),
        ("2026-03-01 12:00:05", 1.5),
        ("2026-03-01T10:01:00Z", 56.5),
        ("2026-03-01T12:01:00+02:00", 56.5),
        ("2026-03-02", 43196.5),
    ],
)
def test_a_clock_time_is_found_at_its_first_occurrence(text: str, second: float) -> None:
    when = start(text)
    assert isinstance(when, ClockTime)
    assert CLOCK.seconds_at(when, 200_000.0) == second


@pytest.mark.parametrize("text", ["11:59", "2026-02-28T12:01", "2026-03-01T12:00:02", "14:00", "2026-03-01T12:01Z"])
def test_a_time_outside_names_the_first_and_the_last(text: str) -> None:
    when = start(text)
    assert isinstance(when, ClockTime)
    with pytest.raises(ValueError, match=r"from 2026-03-01 12:00:03\+02:00 to 2026-03-01 13:00:03\+02:00"):
        CLOCK.seconds_at(when, 3600.0)


def test_durations_stay_durations() -> None:
    assert (start("90s"), start("1h30m"), start(" 5m ")) == (90.0, 5400.0, 300.0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (720, 'needs a unit, for example .* a time of day needs quotes in some files: "12:00"'),
        (12.5, "needs a unit"),
        ("720", "needs a unit"),
        ("24:00", 'must be a duration, .*, or a time such as "12:00"'),
        ("12:60", "must be a duration"),
        ("noon", "must be a duration"),
        (None, "must be a duration"),
        (True, "must be a duration"),
        ("2026-13-01", "must be an ISO 8601 time"),
        ("2026-03-01T25:00", "must be an ISO 8601 time"),
    ],
)
def test_what_is_neither_says_what_it_should_be(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        start(value)
