"""The published rule in exact arithmetic, and what is said beside it."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from planner.errors import InputError
from planner.queueing import WaitLimitQueue
from planner.queueing.search import LARGEST_SLOTS
from planner.replicas import document, read_sizing, text


@pytest.mark.parametrize(
    ("arguments", "replicas"),
    [
        (("20", "10", "1", "0.7"), 286),  # the documented example
        (("7", "0.1", "1", "0.7"), 1),  # 7 x 0.1 / 0.7 is 1.0000000000000002 in floats
        (("1", "0.5", "1", "0.7"), 1),
        (("5", "0.2", "1", "0.7"), 2),
        (("100", "1", "1", "0.7"), 143),
        (("20", "10", "4", "0.7"), 72),
        (("21", "100ms", "1", "0.7"), 3),
        (("0.000001", "1ms", "1", "1"), 1),
        (("1e2", "1s", "1", "1.0"), 100),
    ],
)
def test_the_published_rule(arguments: tuple[str, str, str, str], replicas: int) -> None:
    assert read_sizing(*arguments).replicas == replicas


@given(st.integers(1, 5000), st.integers(1, 20000), st.integers(1, 100), st.integers(1, 8))
def test_the_rule_is_exact_for_every_decimal(rps: int, milliseconds: int, percent_target: int, concurrent: int) -> None:
    assume(rps * milliseconds / (10 * percent_target) < LARGEST_SLOTS - 8)
    sizing = read_sizing(str(rps), f"{milliseconds}ms", str(concurrent), f"{percent_target / 100}")
    assert sizing.replicas == -(-rps * milliseconds * 100 // (1000 * percent_target * concurrent))
    assert sizing.replicas == ceil(Fraction(rps * milliseconds * 100, 1000 * percent_target * concurrent))


def test_the_document_names_what_the_command_line_promises() -> None:
    answer = document(read_sizing("20", "10"))
    assert answer["replicas"] == 286
    assert answer["offered_load_erlangs"] == 200.0
    assert answer["fraction_503"] == pytest.approx(2.7e-11, rel=0.01)
    assert answer["replicas_for"] == [
        {"max_fraction_503": 0.01, "replicas": 213},
        {"max_fraction_503": 0.001, "replicas": 229},
        {"max_fraction_503": 0.0001, "replicas": 240},
    ]
    assert answer["method"]["fraction_503"].startswith("exact")
    assert answer["method"]["fraction_503_constant_service"].startswith("approximation")
    assert answer["method"]["fraction_503_variable_service"].startswith("approximation")
    assert answer["fraction_503_constant_service"] < answer["fraction_503"] < answer["fraction_503_variable_service"]


def test_slots_are_replicas_times_concurrency_and_the_assumption_is_said() -> None:
    sizing = read_sizing("20", "1", "4", "0.7")
    assert sizing.replicas == 8
    assert sizing.fraction_503 == WaitLimitQueue(32, 20.0, 1.0, 0.5).fraction_503
    assert sizing.replicas_for(0.01) == 6  # 24 slots
    assert "WORKER_COUNT = 4" in " ".join(document(sizing)["assumptions"])
    assert "WORKER_COUNT" not in " ".join(document(read_sizing("20", "1"))["assumptions"])


def test_the_wait_limit_is_in_milliseconds_as_azure_has_it() -> None:
    plain, with_unit = (read_sizing("10", "1", max_request_wait_time=t) for t in ("250", "0.25s"))
    assert plain == with_unit
    assert plain.fraction_503 == WaitLimitQueue(15, 10.0, 1.0, 0.25).fraction_503


def test_the_text_says_what_is_exact_and_what_is_not() -> None:
    answer = text(read_sizing("5", "1"))
    assert "8 replicas" in answer
    assert "1.43 %" in answer
    assert "exact" in answer
    assert "approximation" in answer
    assert "surgeproof simulate" in answer


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-1", "10"), "--target-rps = -1"),
        (("0", "10"), "--target-rps = 0, must be above 0"),
        (("nan", "10"), "--target-rps = nan"),
        (("20", "ten"), "--request-time = ten"),
        (("20", "0ms"), "--request-time = 0ms, must be above 0"),
        (("20", "10", "0"), "--max-concurrent = 0, must be an integer"),
        (("20", "10", "1.5"), "--max-concurrent = 1.5"),
        (("20", "10", "1", "70"), "did you mean 0.7?"),
        (("20", "10", "1", "70%"), "did you mean 0.7?"),
        (("20", "10", "1", "0"), "--target-utilization = 0, must be above 0"),
        (("20", "10", "1", "1.5"), "at most 1"),
        (("20", "10", "1", "0.7", "-5"), "--max-request-wait-time = -5"),
        (("20", "10", "1", "0.7", "1e400"), "--max-request-wait-time = 1e400, must be at most 7d"),
        (("20", "10", "9" * 5000), "must be an integer from 1 to 200000"),
        (("1e9", "10"), "not supported"),
        (("20", "10", "1", "1e-300"), "more than 1,000,000 slots (rps x request time / utilization)"),
        (("20000", "10", "1", "0.001"), "more than 1,000,000 slots"),
    ],
)
def test_bad_input_is_named(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError) as raised:
        read_sizing(*arguments)
    assert message in str(raised.value)


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(InputError) as raised:
        read_sizing("-1", "x", "0", "70")
    assert len(raised.value.problems) == 4
