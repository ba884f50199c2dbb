"""What the options of `plan` may say."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.cli.plan_options import check_modes, read_price, read_ranges, read_robustness
from planner.cli.ranges import MOST_VALUES, read_range
from planner.errors import InputError
from planner.plan.robust import Criterion
from planner.plan.space import Ranges
from planner.uncertain import UncertainInput
from tests.planner.plan.plan_cases import fixed, scenario


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (None, None),
        ("4", (4,)),
        ("4..7", (4, 5, 6, 7)),
        ("50..90:20", (50, 70, 90)),
        ("50..85:20", (50, 70)),
        ("1,2,4", (1, 2, 4)),
        (" 4 , 1..2 ,4", (1, 2, 4)),
        ("7..7", (7,)),
        ("007", (7,)),
    ],
)
def test_ranges(text: str | None, values: tuple[int, ...] | None) -> None:
    assert read_range("autoscale-min-replicas", text, 1, 100) == values


@given(st.lists(st.tuples(st.integers(1, 100), st.integers(0, 30), st.integers(1, 9)), min_size=1, max_size=4))
def test_a_list_of_ranges_is_all_of_them(parts: list[tuple[int, int, int]]) -> None:
    text = ",".join(f"{low}..{low + more}:{step}" for low, more, step in parts)
    expected = sorted({v for low, more, step in parts for v in range(low, low + more + 1, step)})
    assert read_range("x", text, 1, 1000) == tuple(expected)


FORM = "must be a number, a range or a list: 4, 4..40, 50..90:5 or 1,2,4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", FORM),
        ("x", FORM),
        ("4-7", FORM),
        ("4..", FORM),
        ("4...7", FORM),
        ("-1", FORM),
        ("1.5", FORM),
        ("1,,2", FORM),
        ("4:2", FORM),
        ("1e3", FORM),
        ("9999999", FORM),
        ("7..4", "7..4 ends at 4, below its start"),
        ("4..7:0", "4..7:0 has a step of 0"),
        ("0..3", "must be from 1 to 100"),
        ("90..101", "must be from 1 to 100"),
    ],
)
def test_what_is_no_range(text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        read_range("autoscale-min-replicas", text, 1, 100)
    assert raised.value.problems == (f"--autoscale-min-replicas = {text}, {message}",)


def test_ranges_are_of_a_size_that_can_be_searched() -> None:
    assert len(read_range("x", f"1..{MOST_VALUES}", 1, 100_000) or ()) == MOST_VALUES
    with pytest.raises(InputError, match=r"holds more than 10,000 values; give it a step \(1\.\.90000:100\)"):
        read_range("x", f"1..{MOST_VALUES + 1}", 1, 100_000)
    assert len(read_range("x", "1..100000:100", 1, 100_000) or ()) == 1000


NONE: dict[str, Any] = {"min_replicas": None, "max_replicas": None, "target_percent": None, "max_concurrent": None}


def test_all_ranges() -> None:
    given_ones = {
        "min_replicas": "1..3",
        "max_replicas": "100000",
        "target_percent": "100",
        "max_concurrent": "1,10",
    }
    assert read_ranges(scenario(), **given_ones) == Ranges(
        min_replicas=(1, 2, 3), max_replicas=(100_000,), target_percent=(100,), max_concurrent=(1, 10)
    )
    assert read_ranges(scenario(), **NONE) == Ranges()


def test_more_than_memory_holds_is_refused() -> None:
    asked = NONE | {"max_replicas": "100000", "max_concurrent": "1000"}
    with pytest.raises(InputError, match=r"max-replicas = 100000, holds 100,000,000 requests, at most 1,000,000"):
        read_ranges(scenario(), **asked)


def test_replicas_that_hold_too_many_requests_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"--autoscale-max-replicas = 1\.\.100000:99999, holds 1,100,000 requests, at most "
    ):
        read_ranges(scenario(), **NONE | {"max_replicas": "1..100000:99999", "max_concurrent": "11"})


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(InputError) as raised:
        read_ranges(scenario(), min_replicas="x", max_replicas="100001", target_percent="101", max_concurrent="0")
    assert raised.value.problems == (
        f"--autoscale-min-replicas = x, {FORM}",
        "--autoscale-max-replicas = 100001, must be from 1 to 100,000",
        "--autoscale-target-utilization = 101, must be from 1 to 100",
        "--replica-max-concurrent-requests = 0, must be from 1 to 10,000",
    )


def test_under_fixed_there_is_no_target() -> None:
    with pytest.raises(InputError) as raised:
        read_ranges(fixed(), **NONE | {"min_replicas": "4", "target_percent": "70"})
    assert raised.value.problems == (
        "--autoscale-min-replicas = 4, not used with autoscaler: fixed",
        "--autoscale-target-utilization = 70, not used with autoscaler: fixed",
    )
    assert read_ranges(fixed(), **NONE | {"max_replicas": "3..5"}) == Ranges(max_replicas=(3, 4, 5))


@pytest.mark.parametrize("price", [-0.01, float("nan"), float("inf"), 1.1e9])
def test_a_price_is_a_number(price: float) -> None:
    with pytest.raises(InputError, match=r"--price = .*, must be from 0 to 1e.09"):
        read_price(price)
    for good in (None, 0.0, 1e-9, 1e9):
        read_price(good)


MODES: dict[str, Any] = {
    "exhaustive": False,
    "as_is": False,
    "replications": None,
    "max_requests": None,
    "ranges": Ranges(),
}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"exhaustive": True, "as_is": True}, "--exhaustive searches everything and --as-is nothing"),
        ({"replications": 50}, "--replications = 50, only used with --exhaustive and --as-is"),
        ({"exhaustive": True, "max_requests": 7}, "--max-requests = 7, only used by the search"),
        ({"as_is": True, "max_requests": 7}, "--max-requests = 7, only used by the search"),
        ({"as_is": True, "ranges": Ranges(max_replicas=(4,))}, "--as-is searches nothing: it takes no ranges"),
    ],
)
def test_options_that_say_nothing_together(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_modes(**MODES | asked)


def test_options_that_do() -> None:
    check_modes(**MODES)
    check_modes(**MODES | {"max_requests": 7, "ranges": Ranges(max_replicas=(4,))})
    for mode in ("exhaustive", "as_is"):
        check_modes(**MODES | {mode: True, "replications": 50})


UNCERTAIN = dataclasses.replace(
    scenario(), uncertain=(UncertainInput(name="rate", low=1, mid=2, high=3, unit="requests per second", paths=()),)
)
ASKED_NOTHING: dict[str, Any] = {"kept_in": None, "least_regret": False, "worlds": None}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, {"criterion": Criterion.KEPT}),
        ({"kept_in": "80%"}, {"criterion": Criterion.KEPT, "kept_in": 0.8}),
        ({"kept_in": "100%", "worlds": 3}, {"criterion": Criterion.KEPT, "kept_in": 1.0, "worlds": 3}),
        ({"least_regret": True}, {"criterion": Criterion.LEAST_REGRET}),
    ],
)
def test_how_a_plan_over_worlds_is_chosen(asked: dict[str, Any], found: dict[str, Any]) -> None:
    assert read_robustness(UNCERTAIN, **ASKED_NOTHING | asked) == found


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"kept_in": "0%"}, "--kept-in = 0%, must be above 0%"),
        ({"kept_in": "101%"}, "--kept-in = 101%, "),
        ({"kept_in": "many"}, "--kept-in = many, "),
        ({"kept_in": "80%", "least_regret": True}, "--kept-in and --least-regret are two ways to choose"),
    ],
)
def test_what_cannot_be_asked(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_robustness(UNCERTAIN, **ASKED_NOTHING | asked)


@pytest.mark.parametrize("asked", [{"kept_in": "80%"}, {"least_regret": True}, {"worlds": 3}])
def test_one_world_leaves_nothing_to_choose(asked: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"tiny has no interval .*, so there is one world"):
        read_robustness(scenario(), **ASKED_NOTHING | asked)
    assert read_robustness(scenario(), **ASKED_NOTHING) == {"criterion": Criterion.KEPT}
