"""The reference simulator against cases worked out on paper (on_paper.py): scaling up."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest

from planner.model import NO_CAUSE, Api, Cause, Outcome, UtilizationOver

from .decision import unclamped_count
from .on_paper import OK, STATUS_503, run


def test_v2_counts_the_queue_and_v1_does_not() -> None:
    """r0 works 0-5, r1 waits up to 1.5 s. Tick 1 in v2: x = 2, R1 is created and ready at 1.5, exactly r1's deadline.
    In v1: x = 1, nothing is created; at 1.5 one replica is ready, as many as desired and fewer than max = 2.
    """
    v2 = run([0, 0], [5, 1], cold=[0.5], api=Api.V2, max_replicas=2, max_request_wait_s=1.5)
    assert v2.outcome == [OK, OK]
    assert v2.dispatch_s == [0, 1.5]
    assert v2.replica == [0, 1]
    assert v2.ticks[0] == (1, 2, 2, 2, 2)
    v1 = run([0, 0], [5, 1], max_replicas=2, max_request_wait_s=1.5)
    assert v1.outcome == [OK, STATUS_503]
    assert v1.cause == [NO_CAUSE, Cause.HEADROOM_TOO_SMALL]
    assert v1.ticks[0] == (1, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("cold_start_s", "outcome", "cause"), [(0.0, OK, NO_CAUSE), (0.25, STATUS_503, Cause.SCALE_UP_LAG)]
)
def test_a_tick_comes_before_an_expiry_of_the_same_instant(cold_start_s: float, outcome: Outcome, cause: int) -> None:
    """r1 expires at 1, the instant of tick 1, which makes desired 2. A cold start of 0 s is ready in between."""
    result = run([0, 0], [5, 1], cold=[cold_start_s], api=Api.V2, max_replicas=2)
    assert result.outcome == [OK, outcome]
    assert result.finish_s[1] == (2 if outcome is OK else 1)
    assert result.cause[1] == cause


def test_scale_up_takes_the_cold_starts_in_order_of_creation() -> None:
    """Four requests at 0, one works: tick 1 (v2) asks for 4 and creates R1, R2, R3, ready at 3, 1.5 and 2.
    The queue goes to R2 (r1), R3 (r2), R1 (r3). Tick 2 counts three held and one queued: still 4.
    """
    result = run(
        [0, 0, 0, 0],
        [10, 10, 10, 10],
        cold=[2, 0.5, 1],
        api=Api.V2,
        max_replicas=5,
        max_request_wait_s=5.0,
    )
    assert result.replica == [0, 2, 3, 1]
    assert result.dispatch_s == [0, 1.5, 2, 3]
    # time, desired, ready, starting, busy, queued
    assert result.replica_rows[:5] == [
        (0, 1, 1, 0, 1, 3),
        (1, 4, 1, 3, 1, 3),
        (1.5, 4, 2, 2, 2, 2),
        (2, 4, 3, 1, 3, 1),
        (3, 4, 4, 0, 4, 0),
    ]


def test_a_replica_that_becomes_ready_fills_up_before_the_next_one() -> None:
    """Two slots each. r0 and r1 on R0; tick 1: x = 5, ceil(5/2) = 3 replicas. R1 and R2 are ready at 1.5: R1 takes
    r2 and r3, then R2 takes r4.
    """
    result = run(
        [0] * 5, [9] * 5, cold=[0.5, 0.5], api=Api.V2, max_replicas=3, max_concurrent_requests=2, max_request_wait_s=2.0
    )
    assert result.replica == [0, 0, 1, 1, 2]


def test_a_finish_comes_before_a_replica_that_becomes_ready_and_that_before_a_tick() -> None:
    """Two wanted, one at the start: tick 1 creates R1. Ready at 1.5, when r0 leaves R0: r1 goes to R0, which is free
    first. Ready at 2, the instant of tick 2: it takes r1 first, so that v1, blind to the queue, counts two.
    """
    two: dict[str, Any] = {"min_replicas": 2, "max_replicas": 2, "initial_replicas": 1, "max_request_wait_s": 5.0}
    assert run([0, 0], [1.5, 1], cold=[0.5], **two).replica == [0, 0]
    late = run([0, 0], [9, 9], cold=[1], **two)
    assert late.replica == [0, 1]
    assert [tick.signal for tick in late.ticks[:2]] == [1, 2]


def test_too_few_cold_starts_are_an_error() -> None:
    with pytest.raises(ValueError, match="cold_starts_s has 1 draws, one more is needed at 1"):
        run([0, 0, 0], [5, 5, 5], cold=[0.5], api=Api.V2, max_replicas=3)


def test_the_ceiling_is_exact() -> None:
    """21 requests at 70 %: 2100 / 70 = 30, but 21 / 0.7 is 30.000000000000004 in floats and would give 31."""
    result = run([0] * 21, [2] * 21, cold=[9] * 40, api=Api.V2, max_replicas=40, target_utilization_percent=70)
    assert math.ceil(21 / 0.7) == 31
    assert result.ticks[0] == (1, 21, 30, 30, 30)
    for target in range(1, 101):
        for x in range(50):
            exact = math.ceil(Fraction(100 * x, 3 * target))
            assert exact == unclamped_count(
                x, current=7, ready=7, concurrency=3, target_percent=target, over=UtilizationOver.CURRENT
            )


def test_utilization_window() -> None:
    """Window 2 s, target 50 %. r0 works 0.5-1.5, r1 arrives at 0.5 and works 1.5-2.5.

    v1, held: 1 from 0.5 to 2.5. Ticks 1-4 average over [0,1), [0,2), [1,3), [2,4): 1/2, 3/4, 3/4, 1/4; twice that, up:
    1, 2, 2, 1. v2, with the queue: 2 from 0.5 to 1.5, then 1 to 2.5: 1, 5/4, 1, 1/4; 2, 3, 2, 1.
    """
    windowed: dict[str, Any] = {
        "utilization_window_s": 2.0,
        "target_utilization_percent": 50,
        "max_request_wait_s": 2.0,
    }
    v1 = run([0.5, 0.5], [1, 1], **windowed)
    assert [(tick.signal, tick.unclamped) for tick in v1.ticks] == [(0.5, 1), (0.75, 2), (0.75, 2), (0.25, 1)]
    v2 = run([0.5, 0.5], [1, 1], api=Api.V2, **windowed)
    assert [(tick.signal, tick.unclamped) for tick in v2.ticks] == [(1, 2), (1.25, 3), (1, 2), (0.25, 1)]


def test_the_ceiling_of_an_average_forgives_rounding() -> None:
    """7 at 70 % is 10; an average a little above 7 by rounding alone is still 10, 7.001 is not."""

    def unclamped(signal: float) -> int:
        return unclamped_count(
            signal, current=3, ready=3, concurrency=1, target_percent=70, over=UtilizationOver.CURRENT
        )

    assert [unclamped(x) for x in (0.0, 7.0, 7.0000000001, 7.001)] == [0, 10, 10, 11]
