"""init() by the scoring server's log."""

from __future__ import annotations

import pytest

from loadtest.observe.init_time import init_seconds

_LINE = "2026-11-25T19:54:{stamp}Z 2026-11-25 19:54:26,844 I [7] azmlinfsrv.user_script - {words}"


def log(*lines: tuple[str, str]) -> str:
    return "\n".join(_LINE.format(stamp=stamp, words=words) for stamp, words in lines)


def test_the_time_between_its_two_lines() -> None:
    text = log(
        ("26.844597530", "Invoking user's init function"), ("29.344719759", "Users's init has completed successfully")
    )
    assert init_seconds(text) == pytest.approx(2.500122, abs=1e-5)


def test_of_several_workers_the_slowest_counts() -> None:
    text = log(
        ("10.0", "Invoking user's init function"),
        ("10.5", "Invoking user's init function"),
        ("12.0", "Users's init has completed successfully"),
        ("15.0", "Users's init has completed successfully"),
    )
    assert init_seconds(text) == pytest.approx(4.5)


@pytest.mark.parametrize("text", ["", "no line of it", log(("26.8", "Invoking user's init function"))])
def test_an_init_that_has_not_ended_has_no_time(text: str) -> None:
    assert init_seconds(text) is None
