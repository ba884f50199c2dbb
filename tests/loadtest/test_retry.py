"""When a client may try again."""

import math
from email.utils import formatdate

import pytest

from loadtest.replay.retry import LONGEST_S, RetryPolicy, retry_after_s

NOW = 1_794_000_000.25


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("9" * 50, LONGEST_S),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0.0),
        ("Sun Nov  6 08:49:37 1994", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_S),
    ],
)
def test_seconds_and_dates(value: str, seconds: float) -> None:
    assert retry_after_s(value, NOW) == pytest.approx(seconds, abs=1.0)


@pytest.mark.parametrize(
    "value",
    [None, "", "-1", "1.5", "+3", "1e3", "soon", "٣", "Mon, 99 Foo 2026 25:61:61 GMT", "Sun, 06 Nov", "M" * 5000],
)
def test_what_is_neither(value: str | None) -> None:
    assert retry_after_s(value, NOW) is None


def test_a_policy_follows_the_server_and_its_own_bounds() -> None:
    policy = RetryPolicy(max_attempts=5, longest_wait_s=10.0, default_wait_s=1.0)
    assert policy.wait_s(1, "4", NOW) == 4.0
    assert policy.wait_s(1, "0", NOW) == 0.0
    assert policy.wait_s(1, "11", NOW) is None
    assert policy.wait_s(1, formatdate(NOW + 5, usegmt=True), NOW) == pytest.approx(5, abs=1)
    assert [policy.wait_s(attempt, None, NOW) for attempt in range(1, 6)] == [1.0, 2.0, 4.0, 8.0, None]
    assert policy.wait_s(4, "nonsense", NOW) == 8.0
    assert policy.wait_s(5, "1", NOW) is None


def test_the_doubling_ends_at_the_longest_wait() -> None:
    policy = RetryPolicy(max_attempts=10_000, longest_wait_s=10.0, default_wait_s=1.0)
    assert policy.wait_s(9_000, None, NOW) == 10.0


def test_one_attempt_is_no_retry() -> None:
    assert RetryPolicy(max_attempts=1).wait_s(1, "1") is None


@pytest.mark.parametrize(
    "bad",
    [{"max_attempts": 0}, {"default_wait_s": -1.0}, {"default_wait_s": 40.0}, {"longest_wait_s": math.inf}],
)
def test_a_policy_without_sense_cannot_exist(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        RetryPolicy(**bad)  # type: ignore[arg-type]
