"""The reference simulator against cases worked out on paper (on_paper.py): the end, and what is measured."""

from __future__ import annotations

import math

import pytest

from .on_paper import run


@pytest.mark.parametrize(
    ("arrivals_s", "service_times_s", "duration_s", "ticks"),
    [
        ([], [], 2.5, 2),
        ([], [], 2.0, 1),  # 2 * 1 < 2 is false
        ([0], [2.5], 1.0, 2),
        ([0], [3], 1.0, 2),  # the finish at 3 comes before the tick
        ([0, 2], [9, 1], 2.5, 5),  # r0 gets its 504 at 6, before the tick; r1 503 at 3
        ([0, 5], [9, 1], 5.5, 6),  # r1 expires at 6, after the tick
    ],
)
def test_ticks_go_on_until_the_last_request_is_resolved(
    arrivals_s: list[float], service_times_s: list[float], duration_s: float, ticks: int
) -> None:
    result = run(arrivals_s, service_times_s, duration=duration_s, scoring_timeout_s=6.0)
    assert [tick.time_s for tick in result.ticks] == [float(k) for k in range(1, ticks + 1)]


def test_the_fraction_leaves_the_warm_up_out() -> None:
    """r1 and r3 expire after 0.5 s; r4 does not. From 2 on (included) one of three, from 3 on none of one."""
    arrivals_s, service_times_s = [0, 0, 2, 2, 3.5], [1, 1, 1, 1, 1]

    def fraction(warm_up: float) -> float:
        return run(arrivals_s, service_times_s, warm_up=warm_up, max_request_wait_s=0.5).fraction_503

    assert [fraction(t) for t in (0, 2, 3)] == [2 / 5, 1 / 3, 0]
    assert math.isnan(fraction(4))
