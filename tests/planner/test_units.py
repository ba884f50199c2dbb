"""Durations, rates, percents and counts as a person writes them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import units


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("250ms", 0.25),
        ("20s", 20),
        ("5m", 300),
        ("5min", 300),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1m0.5s", 60.5),
        ("2d", 172800),
        (" 0s ", 0),
        ("0.1ms", 0.0001),
        ("150us", 0.00015),
    ],
)
def test_a_duration_is_read_with_its_units(text: str, expected_s: float) -> None:
    assert units.seconds(text) == expected_s


@pytest.mark.parametrize("value", [20, 0, 0.5, "20", " 0.5 ", "1e3"])
def test_a_duration_without_a_unit_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="needs a unit"):
        units.seconds(value)


@pytest.mark.parametrize("value", ["", "soon", "5x", "-5s", "30m1h", "5m5m", "1h30", "5 meters", None, True, [], "s"])
def test_what_is_not_a_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        units.seconds(value)


def test_only_a_place_in_a_trace_may_be_later_than_a_week() -> None:
    assert units.seconds("7d") == 604_800
    for read, value in (
        (units.seconds, "8d"),
        (units.positive_seconds, "169h"),
        (units.milliseconds_or_duration, 604_800_001),
        (units.positive_seconds_or_duration, 604_801),
    ):
        with pytest.raises(ValueError, match="must be at most 7d"):
            read(value)
    assert units.unbounded_seconds("8d") == 691_200


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 999))
def test_durations_are_exact(minutes: int, seconds: int, milliseconds: int) -> None:
    text = f"{minutes}m{seconds}s{milliseconds}ms"
    assert units.duration_fraction(text) == minutes * 60 + seconds + Fraction(milliseconds, 1000)


@pytest.mark.parametrize(("value", "expected_s"), [(500, 0.5), (0, 0), ("500ms", 0.5), ("2s", 2), (1.5, 0.0015)])
def test_azure_milliseconds_may_carry_a_unit(value: object, expected_s: float) -> None:
    assert units.milliseconds_or_duration(value) == expected_s


@pytest.mark.parametrize(
    ("value", "expected"), [("0.1%", 0.001), ("100%", 1), (0.001, 0.001), (0, 0), (1, 1), ("95 %", 0.95)]
)
def test_a_fraction_may_be_a_percent(value: object, expected: float) -> None:
    assert units.fraction(value) == expected


@pytest.mark.parametrize(
    ("value", "bound"),
    [
        (5, "did you mean 5%"),
        (1.01, "percent sign"),
        ("105%", "from 0% to 100%"),
        ("-1%", "from 0% to 100%"),
        ("9" * 400 + "%", "must be a finite number"),
        (-0.1, "from 0 to 1"),
        ("0.1", "must be a number"),
        (float("nan"), "finite"),
    ],
)
def test_a_fraction_out_of_bounds_is_refused(value: object, bound: str) -> None:
    with pytest.raises(ValueError, match=bound):
        units.fraction(value)


@pytest.mark.parametrize(("value", "expected"), [(70, 70), ("70%", 70), (70.0, 70), (1, 1), (100, 100)])
def test_a_target_is_an_integer_percent(value: object, expected: int) -> None:
    assert units.target_percent(value) == expected


@pytest.mark.parametrize(
    ("value", "bound"),
    [
        (0.7, "did you mean 70?"),
        (0.07, "did you mean 7?"),
        (1.0, "did you mean 100?"),
        (0, "from 1 to 100"),
        (101, "from 1 to 100"),
        (70.5, "integer percent"),
        (-5, "from 1 to 100"),
        ("high", "must be a number"),
        (True, "must be a number"),
    ],
)
def test_a_target_that_is_no_percent_is_refused(value: object, bound: str) -> None:
    with pytest.raises(ValueError) as raised:
        units.target_percent(value)
    assert bound in str(raised.value)


@pytest.mark.parametrize(
    ("value", "rps"), [(20, 20), (0, 0), ("20/s", 20), ("1200/min", 20), ("72000/h", 20), ("20 rps", 20)]
)
def test_rates_are_per_second(value: object, rps: float) -> None:
    assert units.rate_rps(value) == rps


def test_a_negative_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        units.rate_rps(-1)


@pytest.mark.parametrize("value", [0, 1.0, "1", None, True, 11])
def test_a_count_is_an_integer_within_its_bounds(value: object) -> None:
    with pytest.raises(ValueError, match="must be an integer from 1 to 10"):
        units.count(least=1, most=10)(value)
