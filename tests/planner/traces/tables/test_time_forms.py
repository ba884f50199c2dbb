"""Times as people's tables write them: one reading, or a refusal with both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.clock import REFERENCE
from planner.traces.tables.time_forms import DateOrder, time_form

TEN = datetime(2026, 11, 22, 10, tzinfo=UTC)


def read(cells: list[object], order: DateOrder | None = None) -> list[datetime]:
    form = time_form(cells, order)
    return [REFERENCE + timedelta(seconds=form.read(cell).stamp_s) for cell in cells]


@pytest.mark.parametrize(
    "cell",
    [
        "2026-11-22T10:00:00Z",
        "2026-11-22 10:00:00 UTC",
        "2026-11-22 10:00",
        "2026-11-22T12:00:00+02:00",
        "2026-11-22 10:00:00 +0000 UTC",
        "2026/11/22 10:00:00",
        "22/11/2026 10:00",
        "22.11.2026 10:00:00",
        "11/22/2026, 10:00:00.000 AM",
        "11/22/2026 10:00:00 +00:00",
        "Nov 22, 2026 10:00 AM",
        "22 Nov 2026 10:00:00",
        "Sun, 22 Nov 2026 10:00:00 GMT",
        "1795341600",
        "1795341600.0",
        "1795341600000",
        "1795341600000000",
        "1795341600000000000",
        1795341600,
    ],
)
def test_the_same_moment_in_every_form(cell: object) -> None:
    assert read([cell]) == [TEN]


def test_counts_since_1970_are_said() -> None:
    note = "counts milliseconds since 1970: the first is 2026-11-22 10:00:00 UTC"
    assert time_form(["1795341600000"]).note == note
    assert time_form(["2026-11-22"]).note == ""
    assert read(["1711111600"]) == [datetime(2024, 3, 22, 12, 46, 40, tzinfo=UTC)]  # not the ISO year 1711


def test_one_day_above_12_shows_the_order_of_all() -> None:
    assert read(["04/05/2026", "13/05/2026"])[0].month == 5
    assert read(["04/05/2026", "04/13/2026"])[0].month == 4
    assert read(["04.05.2026"])[0].month == 5  # a point has the day first wherever it is written
    assert read(["11/11/2026 10:00"])[0].day == 11  # both readings are the same
    assert read(["04/05/2026"], DateOrder.MONTH_FIRST)[0].month == 4
    assert read(["12/31/2026 12:30 AM"]) == [datetime(2026, 12, 31, 0, 30, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["04/05/2026 10:00"], "may be 2026-05-04 or 2026-04-05, and no row tells: say `dates: day_first` or"),
        (["13/05/2026", "05/13/2026"], "is no date with the day first"),
        (["22/11/26 10:00"], "a year of four digits"),
        (["1.795342E+12"], "was rounded, as spreadsheets do"),
        (["1795341600", "1795341601000"], "counts milliseconds since 1970.*the first row counts seconds"),
        (["1795341600", "2026-11-22"], "must be seconds since 1970, as the first row is"),
        (["2026-11-22", "1795341600"], "counts seconds since 1970, and the first row is of another form"),
        (["123456789"], "is no time from 2000 to 2100"),
        (["46348.41667"], "must be an ISO 8601 time"),
        (["13:00 PM 22/11/2026"], "must be an ISO 8601 time"),
        (["11/22/2026 13:00 PM"], "must have an hour from 1 to 12 before PM"),
        (["31/02/2026"], "is no time .day is out of range"),
    ],
)
def test_what_has_two_readings_or_none_is_refused(cells: list[object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(cells)


@given(st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 31)), st.sampled_from([10**0, 10**3, 10**6, 10**9]))
def test_counts_since_1970_come_back(moment: datetime, per_s: int) -> None:
    moment = moment.replace(tzinfo=UTC, microsecond=0)
    assert read([str(int(moment.timestamp()) * per_s)]) == [moment]


@given(
    st.lists(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)), min_size=1, max_size=8),
    st.sampled_from(["%d/%m/%Y %H:%M:%S", "%m/%d/%Y, %I:%M:%S %p", "%d-%m-%Y %H:%M:%S"]),
)
def test_dates_come_back_or_are_refused_never_another_day(moments: list[datetime], form: str) -> None:
    moments = [moment.replace(tzinfo=UTC, microsecond=0) for moment in moments]
    cells = [f"{moment:{form}}" for moment in moments]
    if all(moment.day <= 12 for moment in moments) and any(moment.day != moment.month for moment in moments):
        with pytest.raises(ValueError, match="may be"):
            read(cells)
    else:
        assert read(cells) == moments
